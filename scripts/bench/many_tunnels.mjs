// @ts-check
/** What a request costs an edge with 1,000 agents that have one tunnel each, beside one with few agents. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { programOf, root, runArguments, setUp } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { median, medianInterval } from "./figures.mjs";
import { Generator } from "./generator.mjs";
import { freePort, untilAnswering } from "./ports.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {{ edge: Child, agents: Child[], port: number, tunnels: number, stop(): Promise<void> }} Side */

const help = `Usage: node scripts/bench/many_tunnels.mjs [--edge bun|deno] [--tunnels N] [--rounds N] [--starts N]
                                            [--one-only | --spread-only] [--limit RATIO] [--json]

Measures the processor time of an edge for each request of 1 KiB at 32 connections: with many agents that have one tunnel
each, beside one with few, in pairs of short measurements. The agents are light ones, in few processes, and their time
does not count. "one": all requests ask one tunnel, and the other edge has one agent. "spread": each connection asks
another tunnel, and the other edge has 32 agents. "null": one agent beside one agent on another edge, in the same rounds
as "one"; what it is away from 1 is noise. Prints, for many divided by few, the median of the pairs and its 95 %
interval. Exits with 1 where a median of "one" or "spread" is over the limit.

  --edge RUNTIME  what the edges run on (default bun)
  --tunnels N     how many agents, with one tunnel each (default 1000)
  --rounds N      pairs of "one", of all starts together (default 400); those of "spread" are eight times as long, and
                  an eighth as many
  --starts N      how often the edges are started anew, in alternating order (default 2)
  --one-only      only "one" and "null"
  --spread-only   only "spread"
  --limit RATIO   the most that a median may be (default 1.03)
  --json          print one JSON object
  --help          print this

Needs Linux.`;

const connections = 32;
/**
 * Short, so that both of a pair find the machine in the same state: what else runs there comes and goes within seconds.
 * Processor time is told in ticks of 10 ms, which is a twentieth of it, and evens out over the pairs.
 */
const requestMilliseconds = 250;
/**
 * Those of "spread" are longer, and fewer by as much: a tunnel that was at rest costs more for its first requests, which
 * must not be most of a measurement.
 */
const spreadFactor = 8;
const bodyBytes = 1024;
/** The just-in-time compilers have settled after so many; a busy machine takes long. */
const warmUp = { requests: 200_000, milliseconds: 40_000 };
/** From here on the heartbeats of an idle link are as rare as they get (src/base/liveness.ts). */
const settledMilliseconds = 80_000;
/**
 * Of the agents of one edge, where it has so many. All edges have the same number: answers that come from more processes
 * come at more moments, in smaller batches.
 */
const agentProcesses = 4;

function readArguments() {
  const { values } = readOptions("many_tunnels", help, {
    options: {
      edge: { type: "string", default: "bun" },
      tunnels: { type: "string", default: "1000" },
      rounds: { type: "string", default: "400" },
      starts: { type: "string", default: "2" },
      limit: { type: "string", default: "1.03" },
      "one-only": { type: "boolean", default: false },
      "spread-only": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!["bun", "deno"].includes(values.edge)) usageError("many_tunnels", `--edge is no runtime: ${values.edge}`);
  const [tunnels, rounds, starts] = [Number(values.tunnels), Number(values.rounds), Number(values.starts)];
  if (!(Number.isInteger(tunnels) && tunnels > 0)) usageError("many_tunnels", `--tunnels is: ${values.tunnels}`);
  if (!(Number.isInteger(rounds) && rounds > spreadFactor)) {
    usageError("many_tunnels", `--rounds is no number from ${spreadFactor + 1}: ${values.rounds}`);
  }
  if (!(Number.isInteger(starts) && starts > 0)) usageError("many_tunnels", `--starts is no number from 1`);
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError("many_tunnels", `--limit is no ratio: ${values.limit}`);
  if (values["one-only"] && values["spread-only"]) {
    usageError("many_tunnels", "--one-only and --spread-only exclude each other");
  }
  const what = { one: !values["spread-only"], spread: !values["one-only"] };
  return { edge: /** @type {Runtime} */ (values.edge), tunnels, rounds, starts, limit, ...what, json: values.json };
}

/** @param {Runtime} runtime */
function programFor(runtime) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  return program;
}

/** An edge with so many agents. @param {Runtime} runtime @param {number} tunnels @returns {Promise<Side>} */
async function start(runtime, tunnels) {
  const port = await freePort();
  const token = randomBytes(16).toString("hex");
  const many = ["--names-per-token", String(2 * tunnels), "--sessions-per-token", String(2 * tunnels)];
  const args = ["serve", "--listen", `127.0.0.1:${port}`, "--token", token, "--log-level", "error", ...many];
  const edge = new Child(
    `edge (${runtime})`,
    programFor(runtime),
    runArguments(runtime, join(root, "bin/edge.ts"), args),
  );
  await Promise.race([untilAnswering(port, "localhost", "/healthz"), edge.lost]);
  /** @type {Child[]} */
  const agents = [];
  const perProcess = Math.ceil(tunnels / agentProcesses);
  for (let first = 0; first < tunnels; first += perProcess) {
    const count = Math.min(perProcess, tunnels - first);
    const script = join(root, "scripts/bench/many_agents.ts");
    const words = [String(port), token, String(first), String(count)];
    const agent = new Child("agents", programFor("bun"), runArguments("bun", script, words), { stdout: "pipe" });
    agents.push(agent);
    const lines = createInterface({ input: agent.stdout })[Symbol.asyncIterator]();
    await Promise.race([lines.next(), agent.lost, edge.lost]);
  }
  return {
    edge,
    agents,
    port,
    tunnels,
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await edge.stop();
    },
  };
}

/**
 * Microseconds of the edge's for each request. In each round others of the tunnels are asked.
 * @param {Generator} generator @param {Side} side @param {boolean} isSpread @param {number} round
 */
async function measure(generator, { edge, port, tunnels }, isSpread, round) {
  const step = Math.max(1, Math.floor(tunnels / connections));
  const nameOf = (/** @type {number} */ index) => `t${(index * step + round) % tunnels}.localhost`;
  const hosts = isSpread ? Array.from({ length: connections }, (_, index) => nameOf(index)) : ["t0.localhost"];
  const before = edge.cpuSeconds;
  const task = { port, host: hosts[0], hosts, path: "/small", connections, bodyBytes };
  const milliseconds = requestMilliseconds * (isSpread ? spreadFactor : 1);
  const { requests } = await generator.run({ ...task, milliseconds });
  return (edge.cpuSeconds - before) / requests * 1e6;
}

/**
 * Starts the edges of the rows that are wanted, and measures `rounds` rounds of each. What a process costs depends on how
 * its compilers happened to go, and the edge that is started first is slower by up to 5 %: so there are several starts,
 * in alternating order.
 * @param {ReturnType<typeof readArguments>} options @param {Generator} generator @param {boolean} isSwapped
 * @param {number} rounds @param {{ one: number[][], spread: number[][] }} samples
 */
async function runOnce({ edge, tunnels, one: isOne, spread: isSpread }, generator, isSwapped, rounds, samples) {
  const counts = [tunnels, ...(isOne ? [1, 1] : []), ...(isSpread ? [connections] : [])];
  /** @type {Side[]} */
  const sides = [];
  try {
    const places = [...counts.keys()];
    for (const place of isSwapped ? places.reverse() : places) sides[place] = await start(edge, counts[place]);
    const startedAt = performance.now();
    for (const { port } of sides) {
      await generator.run({ port, host: "t0.localhost", path: "/small", connections, bodyBytes, ...warmUp });
    }
    await pause(Math.max(0, startedAt + settledMilliseconds - performance.now()));
    const ones = sides.slice(0, 3);
    const spread = [sides[0], sides[sides.length - 1]];
    for (let round = 0; round < rounds; round++) {
      if (isOne) await addRound(generator, ones, false, round, samples.one);
      if (isSpread && round % spreadFactor === 0) {
        await addRound(generator, spread, true, round / spreadFactor, samples.spread);
      }
    }
  } finally {
    await Promise.all(sides.map((side) => side?.stop()));
  }
}

/**
 * Adds one measurement of each side. Who comes first changes from round to round.
 * @param {Generator} generator @param {Side[]} sides @param {boolean} isSpread @param {number} round
 * @param {number[][]} samples those of each side
 */
async function addRound(generator, sides, isSpread, round, samples) {
  const order = sides.map((_, place) => (place + round) % sides.length);
  if (Math.floor(round / sides.length) % 2 === 1) order.reverse();
  for (const place of order) samples[place].push(await measure(generator, sides[place], isSpread, round));
}

/** @param {ReturnType<typeof readArguments>} options */
async function run(options) {
  const generator = new Generator();
  const samples = { one: [[], [], []].map(noNumbers), spread: [[], []].map(noNumbers) };
  try {
    for (let start = 0; start < options.starts; start++) {
      await runOnce(options, generator, start % 2 === 1, Math.ceil(options.rounds / options.starts), samples);
    }
  } finally {
    await generator.stop();
  }
  const [many, one, another] = samples.one;
  return [
    ...(options.one ? [row("one", many, one), row("null", another, one)] : []),
    ...(options.spread ? [row("spread", samples.spread[0], samples.spread[1])] : []),
  ];
}

/** @returns {number[]} */
function noNumbers() {
  return [];
}

/** @param {string} name @param {number[]} many @param {number[]} few of the same rounds */
function row(name, many, few) {
  const ratios = many.map((cost, pair) => cost / few[pair]);
  return { name, many: median(many), few: median(few), ratio: median(ratios), ...medianInterval(ratios) };
}

const options = readArguments();
if (process.platform !== "linux") {
  console.log("many_tunnels: skipped: needs processor time from /proc (Linux)");
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
const rows = await run(options);
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, rows }));
else {
  console.log(
    `edge on ${options.edge}, ${options.tunnels} agents with one tunnel each, ${options.rounds} pairs of ${options.starts} starts`,
  );
  for (const { name, many, few, ratio, low, high } of rows) {
    const figures = `${many.toFixed(1)} µs a request, beside ${few.toFixed(1)}`;
    console.log(`${name}: ${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}), ${figures}`);
  }
}
if (rows.some(({ name, ratio }) => name !== "null" && ratio > options.limit)) process.exitCode = 1;
