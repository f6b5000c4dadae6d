// @ts-check
/** What a request costs an edge with 1,000 agents that have one tunnel each, beside one with few agents. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import process from "node:process";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { programOf, root, runArguments, setUp } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { interval, median } from "./figures.mjs";
import { Generator } from "./generator.mjs";
import { freePort, untilAnswering } from "./ports.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {{ edge: Child, agents: Child[], port: number, tunnels: number, stop(): Promise<void> }} Side */

const help = `Usage: node scripts/bench/many_tunnels.mjs [--edge bun|deno] [--tunnels N] [--rounds N] [--limit RATIO]

Measures the processor time of an edge for each request of 1 KiB at 32 connections: with many agents that have one tunnel
each, beside one with few, in pairs of measurements. The agents are light ones, in few processes, and their time does not
count. First all requests ask one tunnel, and the other edge has one agent ("one"); then each connection asks another
tunnel, and the other edge has 32 agents ("spread"). Prints, for many divided by few, the median of the pairs and the 95 %
interval of their mean. Exits with 1 where a median is over the limit.

  --edge RUNTIME  what the edges run on (default bun)
  --tunnels N     how many agents, with one tunnel each (default 1000)
  --rounds N      pairs of each measurement (default 20)
  --limit RATIO   the most that a median may be (default 1.03)
  --json          print one JSON object
  --help          print this

Needs Linux.`;

const connections = 32;
const requestMilliseconds = 2_000;
const bodyBytes = 1024;
const warmUp = { requests: 200_000, milliseconds: 20_000 };
const agentsPerProcess = 250;

function readArguments() {
  const { values } = readOptions("many_tunnels", help, {
    options: {
      edge: { type: "string", default: "bun" },
      tunnels: { type: "string", default: "1000" },
      rounds: { type: "string", default: "20" },
      limit: { type: "string", default: "1.03" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!["bun", "deno"].includes(values.edge)) usageError("many_tunnels", `--edge is no runtime: ${values.edge}`);
  const [tunnels, rounds] = [Number(values.tunnels), Number(values.rounds)];
  if (!(Number.isInteger(tunnels) && tunnels > 0)) usageError("many_tunnels", `--tunnels is: ${values.tunnels}`);
  if (!(Number.isInteger(rounds) && rounds > 1)) usageError("many_tunnels", `--rounds is no number from 2`);
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError("many_tunnels", `--limit is no ratio: ${values.limit}`);
  return { edge: /** @type {Runtime} */ (values.edge), tunnels, rounds, limit, json: values.json };
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
  for (let first = 0; first < tunnels; first += agentsPerProcess) {
    const count = Math.min(agentsPerProcess, tunnels - first);
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
  const { requests } = await generator.run({ ...task, milliseconds: requestMilliseconds });
  return (edge.cpuSeconds - before) / requests * 1e6;
}

/** @param {ReturnType<typeof readArguments>} options */
async function run({ edge, tunnels, rounds }) {
  const generator = new Generator();
  const [many, one, few] = [await start(edge, tunnels), await start(edge, 1), await start(edge, connections)];
  try {
    for (const { port } of [many, one, few]) {
      await generator.run({ port, host: "t0.localhost", path: "/small", connections, bodyBytes, ...warmUp });
    }
    return [await pairs("one", [many, one], false), await pairs("spread", [many, few], true)];
  } finally {
    for (const side of [many, one, few]) await side.stop();
    await generator.stop();
  }

  /** @param {string} name @param {[Side, Side]} sides @param {boolean} isSpread */
  async function pairs(name, sides, isSpread) {
    /** @type {[number[], number[]]} */
    const samples = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
        samples[side].push(await measure(generator, sides[side], isSpread, round));
      }
    }
    const ratios = samples[0].map((cost, pair) => cost / samples[1][pair]);
    return { name, many: median(samples[0]), few: median(samples[1]), ratio: median(ratios), ...interval(ratios) };
  }
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
    `edge on ${options.edge}, ${options.tunnels} agents with one tunnel each, ${options.rounds} pairs`,
  );
  for (const { name, many, few, ratio, low, high } of rows) {
    const figures = `${many.toFixed(1)} µs a request, beside ${few.toFixed(1)}`;
    console.log(`${name}: ${ratio.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}), ${figures}`);
  }
}
if (rows.some(({ ratio }) => ratio > options.limit)) process.exitCode = 1;
