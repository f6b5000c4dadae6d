// @ts-check
/** What stalled transfers cost the small requests beside them on the same connection between edge and agent. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { cpus } from "node:os";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { setUp } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { Generator } from "./generator.mjs";
import { median } from "./figures.mjs";
import { startRunnel } from "./runnel.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("node:net").Socket} Socket */
/** @typedef {Awaited<ReturnType<typeof startRunnel>>} Tunnel */
/** @typedef {{ p50Ms: number, p99Ms: number }} Latency */
/** @typedef {{ name: string, downloads: number, uploads: number }} Case */

const help = `Usage: node scripts/bench/isolation.mjs [--edge bun|deno] [--agent bun|deno] [--rounds N] [--seconds S]

Measures 1 KiB requests on one public connection, alone and beside transfers that stall, on one connection between
edge and agent: first one download and one upload of 512 MB, then 500 downloads that nobody reads. Rounds are
interleaved. Prints one JSON object: milliseconds without and with the stalled ones, their ratio (the median of the
rounds), and the most that the memory of both programs grew in a round. Exits with 1 where a median is over 2x or a 99th
percentile over 5x.

  --edge RUNTIME    what the edge runs on (default bun)
  --agent RUNTIME   what the agent runs on (default bun)
  --rounds N        rounds of each case (default 5)
  --seconds S       length of each measurement (default 2)
  --help            print this`;

const bulkBytes = 512 * 1024 * 1024;
const smallBytes = 1024;
const block = Buffer.alloc(64 * 1024, "x");
const limits = { p50Ms: 2, p99Ms: 5 };

/** @type {readonly Case[]} */
const cases = [
  { name: "a download and an upload", downloads: 1, uploads: 1 },
  { name: "500 downloads", downloads: 500, uploads: 0 },
];

function readArguments() {
  const { values } = readOptions("isolation", help, {
    options: {
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("isolation", `--${name} is no runtime: ${values[name]}`);
  }
  const rounds = Number(values.rounds);
  const seconds = Number(values.seconds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    usageError("isolation", `--rounds is no whole number from 1: ${values.rounds}`);
  }
  if (!(seconds > 0 && seconds <= 60)) usageError("isolation", `--seconds is not from 0 to 60: ${values.seconds}`);
  return {
    edge: /** @type {Runtime} */ (values.edge),
    agent: /** @type {Runtime} */ (values.agent),
    rounds,
    seconds,
  };
}

/** What the upstream and its visitors moved so far: while it grows, something has not stalled yet. */
const moved = { bytes: 0 };

/** Writes until `bytes` are taken, as fast as they are. @param {Socket} socket @param {number} bytes */
function pour(socket, bytes) {
  let left = bytes;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= block.length;
      moved.bytes += block.length;
      if (!socket.write(block)) return;
    }
  };
  socket.on("drain", more);
  more();
}

/** GET /bulk: 512 MB. PUT: its head is read, and nothing more. Everything else: 1 KiB. */
async function startUpstream() {
  const small = `HTTP/1.1 200 OK\r\nContent-Length: ${smallBytes}\r\n\r\n${"x".repeat(smallBytes)}`;
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (read) => {
      const line = read.toString("latin1", 0, 16);
      if (line.startsWith("PUT ")) return void socket.pause();
      if (!line.startsWith("GET /bulk ")) return void socket.write(small);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bulkBytes}\r\n\r\n`);
      pour(socket, bulkBytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: /** @type {import("node:net").AddressInfo} */ (server.address()).port };
}

/** @param {Tunnel} tunnel @param {string} request @returns {Promise<Socket>} */
async function visit({ port, host }, request) {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(`${request} HTTP/1.1\r\nHost: ${host}\r\n`);
  return socket;
}

/** Opens the transfers and resolves once nothing has moved for half a second. @param {Tunnel} tunnel @param {Case} what */
async function stall(tunnel, { downloads, uploads }) {
  /** @type {Socket[]} */
  const sockets = [];
  for (let i = 0; i < downloads; i++) {
    const socket = await visit(tunnel, "GET /bulk");
    socket.write("\r\n");
    await once(socket, "readable");
    sockets.push(socket);
  }
  for (let i = 0; i < uploads; i++) {
    const socket = await visit(tunnel, "PUT /upload");
    socket.write(`Content-Length: ${bulkBytes}\r\n\r\n`);
    pour(socket, bulkBytes);
    sockets.push(socket);
  }
  for (let last = -1; moved.bytes !== last;) {
    last = moved.bytes;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return sockets;
}

/** @param {readonly Latency[]} without @param {readonly Latency[]} beside @param {"p50Ms" | "p99Ms"} key */
function compare(without, beside, key) {
  const ratio = median(beside.map((latency, round) => latency[key] / without[round][key]));
  /** @param {number} value */
  const rounded = (value) => Math.round(value * 1000) / 1000;
  return {
    without: rounded(median(without.map((latency) => latency[key]))),
    with: rounded(median(beside.map((latency) => latency[key]))),
    ratio: rounded(ratio),
    limit: limits[key],
  };
}

/** @param {Tunnel} tunnel @param {Generator} generator @param {{ rounds: number, seconds: number }} options @param {Case} what */
async function measure(tunnel, generator, { rounds, seconds }, what) {
  const { port, host } = tunnel;
  const task = { port, host, path: "/", connections: 1, bodyBytes: smallBytes, milliseconds: seconds * 1000 };
  /** @type {{ without: Latency[], beside: Latency[] }} */
  const samples = { without: [], beside: [] };
  const programs = [tunnel.edge, tunnel.agent];
  let growth = [0, 0];
  for (let round = 0; round < rounds; round++) {
    samples.without.push(await generator.run(task));
    // Requests alone let a heap grow and shrink by more than two transfers do.
    const before = programs.map((child) => child.memory.resident);
    const sockets = await stall(tunnel, what);
    samples.beside.push(await generator.run(task));
    growth = programs.map((child, index) => Math.max(growth[index], child.memory.resident - before[index]));
    for (const socket of sockets) socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return {
    case: what.name,
    p50Ms: compare(samples.without, samples.beside, "p50Ms"),
    p99Ms: compare(samples.without, samples.beside, "p99Ms"),
    growthMiB: { edge: Math.round(growth[0] / 2 ** 20), agent: Math.round(growth[1] / 2 ** 20) },
  };
}

const options = readArguments();
if (process.platform !== "linux") {
  console.log(JSON.stringify({ skipped: "memory is read from /proc (Linux)" }));
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
const upstream = await startUpstream();
const generator = new Generator();
const results = [];
try {
  const tunnel = await startRunnel({ ...options, protocol: "v2", originPort: upstream.port });
  const { port, host } = tunnel;
  await generator.run({ port, host, path: "/", connections: 8, bodyBytes: smallBytes, milliseconds: 3000 });
  for (const what of cases) results.push(await measure(tunnel, generator, options, what));
  await tunnel.stop();
} finally {
  await generator.stop();
  for (const child of Child.running) child.kill();
}
const { edge, agent, rounds, seconds } = options;
const machine = { cpus: cpus().length, model: cpus()[0].model };
console.log(JSON.stringify({ date: new Date().toISOString(), machine, edge, agent, rounds, seconds, results }));
const isWithin = results.every(({ p50Ms, p99Ms }) => p50Ms.ratio <= p50Ms.limit && p99Ms.ratio <= p99Ms.limit);
process.exit(isWithin ? 0 : 1);
