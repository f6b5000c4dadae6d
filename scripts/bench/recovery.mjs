// @ts-check
/** How soon streams go on behind a cut of their link, and what a thousand agents do that are cut at once. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { CuttingRelay } from "../lib/cutting_relay.mjs";
import { programOf, root, runArguments, setUp } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { median } from "./figures.mjs";
import { freePort, untilAnswering } from "./ports.mjs";
import { start } from "./runnel.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */

const help = `Usage: node scripts/bench/recovery.mjs [--edge bun|deno] [--agent bun|deno] [--cuts N] [--agents N]
                                     [--streams-only | --agents-only]

Cuts the links of some agents at random, each with a stream of a byte every 20 ms, makes dials impossible for 0 to 5 s,
and prints the milliseconds from when they are possible again until the first byte of the old stream: median, p99 and
most. A link lives for over 10 s before each cut, so that its agent begins with its first pause. Then cuts the links of
many agents at once, and prints how many dials there are in each second until the last is back. Exits with 1 where the
median is over 1 s, p99 over 5 s, or the last agent is back after more than 60 s.

  --edge RUNTIME   what the edge runs on (default bun)
  --agent RUNTIME  what the agents run on (default bun)
  --cuts N         cuts of links with a stream (default 100)
  --agents N       agents that are cut at once (default 1000)
  --outage S       seconds for which these cannot dial (default 3)
  --streams-only   only the streams
  --agents-only    only the many agents
  --json           print one JSON object
  --help           print this

Takes two minutes. Every link goes through this process.`;

const limits = { medianMs: 1_000, p99Ms: 5_000, backMs: 60_000 };
const streams = 20;
const longestOutageMs = 5_000;
/** A link that has lived for less does not begin its agent's pauses anew. */
const stableMs = 10_500;
const agentsPerProcess = 500;

function readArguments() {
  const { values } = readOptions("recovery", help, {
    options: {
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      cuts: { type: "string", default: "100" },
      agents: { type: "string", default: "1000" },
      outage: { type: "string", default: "3" },
      "streams-only": { type: "boolean", default: false },
      "agents-only": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("recovery", `--${name} is no runtime: ${values[name]}`);
  }
  const [cuts, agents, outage] = [Number(values.cuts), Number(values.agents), Number(values.outage)];
  for (const [name, number] of Object.entries({ cuts, agents })) {
    if (!Number.isInteger(number) || number < 1) usageError("recovery", `--${name} is no number from 1: ${number}`);
  }
  if (!(outage >= 0 && outage <= 30)) usageError("recovery", `--outage is not from 0 to 30: ${values.outage}`);
  if (values["streams-only"] && values["agents-only"]) {
    usageError("recovery", "--streams-only and --agents-only exclude each other");
  }
  return {
    edge: /** @type {Runtime} */ (values.edge),
    agent: /** @type {Runtime} */ (values.agent),
    cuts,
    agents,
    outageMs: outage * 1000,
    streams: !values["agents-only"],
    many: !values["streams-only"],
    json: values.json,
  };
}

/** @typedef {ReturnType<typeof readArguments>} Options */

/** An edge for so many agents. @param {Options} options @param {number} agents */
async function startEdge({ edge: runtime }, agents) {
  const port = await freePort();
  const token = randomBytes(16).toString("hex");
  const edge = start("edge", runtime, join(root, "bin/edge.ts"), [
    ...["serve", "--listen", `127.0.0.1:${port}`, "--token", token, "--log-level", "error"],
    ...["--names-per-token", String(2 * agents), "--sessions-per-token", String(2 * agents)],
  ]);
  await Promise.race([untilAnswering(port, "localhost", "/healthz"), edge.lost]);
  return { edge, port, token };
}

/**
 * Agents with the tunnels `t{first}` and those behind it, once all are open.
 * @param {Options} options @param {readonly number[]} ports @param {string} token @param {number} first
 * @param {number} count
 */
async function startAgents({ agent: runtime }, ports, token, first, count) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  const words = [ports.join(","), token, String(first), String(count)];
  const script = join(root, "scripts/bench/many_agents.ts");
  const agents = new Child(`agents (${runtime})`, program, runArguments(runtime, script, words), { stdout: "pipe" });
  const lines = createInterface({ input: agents.stdout })[Symbol.asyncIterator]();
  await Promise.race([lines.next(), agents.lost]);
  return agents;
}

/** A visitor's stream of ticks. */
class Ticks {
  /** Called for the ticks of each read. */
  onTicks = () => {};
  #socket;
  /** Rejects where the stream ends, whatever ends it. @type {Promise<never>} */
  lost;

  /** @param {number} port @param {number} index of the tunnel */
  constructor(port, index) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.write(`GET /ticks HTTP/1.1\r\nHost: t${index}.localhost\r\n\r\n`);
    this.#socket.on("data", () => this.onTicks());
    this.lost = new Promise((_, reject) => {
      this.#socket.on("error", (error) => reject(new Error(`stream ${index} broke: ${error.message}`)));
      this.#socket.on("end", () => reject(new Error(`stream ${index} ended`)));
    });
    this.lost.catch(() => {});
  }

  next() {
    return new Promise((resolve) => this.onTicks = () => resolve(undefined));
  }

  close() {
    this.#socket.destroy();
  }
}

/** Milliseconds until the stream went on, for each cut. @param {Options} options */
async function measureStreams(options) {
  const { edge, port, token } = await startEdge(options, streams);
  const relays = Array.from({ length: streams }, () => new CuttingRelay(port));
  const ports = await Promise.all(relays.map((relay) => relay.listen()));
  const agents = await startAgents(options, ports, token, 0, streams);
  /** @type {number[]} */
  const samples = [];
  let left = options.cuts;
  const measure = async (/** @type {CuttingRelay} */ relay, /** @type {number} */ index) => {
    const ticks = new Ticks(port, index);
    try {
      await Promise.race([ticks.next(), ticks.lost]);
      // Not all at the same time.
      await sleep(Math.random() * stableMs);
      while (left-- > 0) {
        await sleep(stableMs);
        const sample = await Promise.race([recover(relay, ticks), ticks.lost, edge.lost, agents.lost]);
        samples.push(sample);
      }
    } finally {
      ticks.close();
    }
  };
  try {
    await Promise.all(relays.map(measure));
  } finally {
    await agents.stop();
    await edge.stop();
    for (const relay of relays) relay.close();
  }
  const sorted = samples.toSorted((a, b) => a - b);
  const p99Ms = sorted[Math.min(sorted.length - 1, Math.floor(0.99 * sorted.length))] ?? NaN;
  return { cuts: sorted.length, medianMs: median(sorted), p99Ms, mostMs: sorted.at(-1) ?? NaN };
}

/** Cuts once. What was under way beyond the relay may still arrive: only ticks of the next link count. */
async function recover(/** @type {CuttingRelay} */ relay, /** @type {Ticks} */ ticks) {
  relay.refuses = true;
  relay.cut();
  await sleep(Math.random() * longestOutageMs);
  const back = once(relay, "answer");
  relay.refuses = false;
  const possibleAt = performance.now();
  await back;
  await ticks.next();
  return performance.now() - possibleAt;
}

/** Dials in each second from the cut on, and when the last agent was back. @param {Options} options */
async function measureMany(options) {
  const { agents: count, outageMs } = options;
  const { edge, port, token } = await startEdge(options, count);
  const relay = new CuttingRelay(port);
  const relayPort = await relay.listen();
  /** @type {Child[]} */
  const agents = [];
  try {
    for (let first = 0; first < count; first += agentsPerProcess) {
      const some = Math.min(agentsPerProcess, count - first);
      agents.push(await Promise.race([startAgents(options, [relayPort], token, first, some), edge.lost]));
    }
    await sleep(stableMs);
    /** @type {number[]} */
    const dials = [];
    let most = 0;
    let inTenth = { at: 0, count: 0 };
    /** @type {() => void} */
    let onAllBack = () => {};
    const allBack = new Promise((resolve) => onAllBack = () => resolve(undefined));
    relay.refuses = true;
    const cutAt = performance.now();
    relay.cut();
    relay.on("dial", () => {
      const tenth = Math.floor((performance.now() - cutAt) / 100);
      const second = Math.floor(tenth / 10);
      while (dials.length <= second) dials.push(0);
      dials[second]++;
      inTenth = { at: tenth, count: inTenth.at === tenth ? inTenth.count + 1 : 1 };
      most = Math.max(most, inTenth.count);
    });
    let refused = 0;
    relay.on("answer", (isAccepted) => {
      if (!isAccepted) refused++;
      else if (relay.links >= count) onAllBack();
    });
    await sleep(outageMs);
    relay.refuses = false;
    const lost = [edge.lost, ...agents.map((agent) => agent.lost)];
    await Promise.race([allBack, sleep(limits.backMs + outageMs, undefined, { ref: false }), ...lost]);
    const backMs = relay.links >= count ? performance.now() - cutAt : Infinity;
    // Each of them serves.
    for (let index = 0; index < count; index += 50) await untilAnswering(port, `t${index}.localhost`);
    return { agents: count, outageMs, backMs, refused, dialsBySecond: dials, mostDialsIn100Ms: most };
  } finally {
    for (const agent of agents) await agent.stop();
    await edge.stop();
    relay.close();
  }
}

/** @param {readonly number[]} dials */
function histogram(dials) {
  const scale = Math.max(1, ...dials) / 60;
  return dials.map((count, second) =>
    `  ${String(second).padStart(3)} s ${String(count).padStart(6)} ${"#".repeat(Math.ceil(count / scale))}`
  ).join("\n");
}

const options = readArguments();
if (process.platform !== "linux") {
  console.log("recovery: skipped: its processes are looked at in /proc (Linux)");
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
const recovered = options.streams ? await measureStreams(options) : null;
const many = options.many ? await measureMany(options) : null;
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, recovered, many }));
else {
  console.log(`edge on ${options.edge}, agents on ${options.agent}`);
  if (recovered !== null) {
    const { cuts, medianMs, p99Ms, mostMs } = recovered;
    const figures = [medianMs, p99Ms, mostMs].map((ms) => Math.round(ms));
    console.log(
      `${cuts} cuts: a stream goes on after ${figures[0]} ms (median), ${figures[1]} (p99), ${figures[2]} (most)`,
    );
  }
  if (many !== null) {
    const { agents, outageMs, backMs, refused, dialsBySecond, mostDialsIn100Ms } = many;
    const [outage, back] = [outageMs, backMs].map((ms) => (ms / 1000).toFixed(1));
    console.log(`${agents} agents, cut at once, dials impossible for ${outage} s: all back ${back} s behind the cut`);
    console.log(`at most ${mostDialsIn100Ms} dials in 100 ms, ${refused} refused by the edge; dials in each second:`);
    console.log(histogram(dialsBySecond));
  }
}
const isSlow = recovered !== null && !(recovered.medianMs <= limits.medianMs && recovered.p99Ms <= limits.p99Ms);
if (isSlow || (many !== null && !(many.backMs <= limits.backMs))) process.exitCode = 1;
