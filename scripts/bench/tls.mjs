// @ts-check
/** What TLS costs: our own listener beside an nginx that ends TLS in front of the same server without it. */
import process from "node:process";
import { join } from "node:path";
import { once } from "node:events";
import { connect } from "node:tls";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { programOf, root, runArguments } from "../lib/toolchain.mjs";
import { Child } from "./child.mjs";
import { interval, median } from "./figures.mjs";
import { Generator } from "./generator.mjs";
import { NginxFarm } from "./nginx.mjs";
import { nginxToMeasure, ratioText } from "./side_by_side.mjs";
import { bulkBytes, smallBytes } from "./tls_sizes.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */

const help = `Usage: node scripts/bench/tls.mjs [--server bun|deno] [--rounds N] [--idle N] [--json]

Measures processor time and speed in pairs: a server with TLS of our own beside an nginx that ends TLS in front of the
same server without it. Asked are answers of 1 KiB and of 256 KiB at 32 connections that stay, and of 1 KiB on connections
that are made anew each time, so that each costs a handshake. Then what an idle connection costs our server in memory.

  --server RUNTIME  what the servers run on (default bun)
  --rounds N        pairs of each measurement (default 10)
  --idle N          idle connections (default 500)
  --json            print one JSON object
  --help            print this

Needs Linux and nginx. Without nginx nothing is measured, and the exit code is 0.`;

const connections = 32;
const host = "localhost";
const certificates = join(root, "tests/support/certificates");
const files = [join(certificates, "server.pem"), join(certificates, "server.key")];
const warmUp = { requests: 60_000, milliseconds: 10_000 };

/** What is asked, and how a figure is made of it. */
const measurements = [
  {
    ...{ name: "requests of 1 KiB", unit: "µs a request", perSecond: "requests/s" },
    ...{ path: "/small", bodyBytes: smallBytes, reconnects: false, milliseconds: 2_000 },
  },
  {
    ...{ name: "answers of 256 KiB", unit: "µs a MB", perSecond: "MB/s" },
    // So many that those which are cut off at the end hardly count.
    ...{ path: "/bulk", bodyBytes: bulkBytes, reconnects: false, requests: 512 },
  },
  {
    ...{ name: "connections with a request each", unit: "µs a connection", perSecond: "connections/s" },
    ...{ path: "/small", bodyBytes: smallBytes, reconnects: true, milliseconds: 2_000 },
  },
];

/** @typedef {{ port: number, programs: Child[] }} Side */

function readArguments() {
  const { values } = readOptions("tls", help, {
    options: {
      server: { type: "string", default: "bun" },
      rounds: { type: "string", default: "10" },
      idle: { type: "string", default: "500" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!["bun", "deno"].includes(values.server)) usageError("tls", `--server is no runtime: ${values.server}`);
  /** @param {"rounds" | "idle"} name @param {number} least */
  const count = (name, least) => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= least) return number;
    return usageError("tls", `--${name} is no whole number from ${least}: ${values[name]}`);
  };
  const server = /** @type {Runtime} */ (values.server);
  return { server, rounds: count("rounds", 2), idle: count("idle", 1), json: values.json };
}

/** @param {Runtime} runtime @param {string[]} args @returns {Promise<{ child: Child, port: number }>} */
async function startServer(runtime, args) {
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  const file = join(root, "scripts/bench/tls_server.ts");
  const name = `server ${args.length > 0 ? "with" : "without"} TLS (${runtime})`;
  const child = new Child(name, program, runArguments(runtime, file, args), { stdout: "pipe" });
  const [told] = await Promise.race([once(child.stdout, "data"), child.lost]);
  return { child, port: Number(String(told)) };
}

/** @param {Side} side */
const cpuSeconds = ({ programs }) => programs.reduce((sum, child) => sum + child.cpuSeconds, 0);

/** @param {Generator} generator @param {Side} side @param {typeof measurements[number]} measurement */
async function measure(generator, side, { path, bodyBytes, reconnects, ...until }) {
  const before = cpuSeconds(side);
  const task = { port: side.port, host, path, connections, bodyBytes, tls: true, reconnects, ...until };
  const { requests, seconds } = await generator.run(task);
  const units = path === "/bulk" ? requests * bodyBytes / 1e6 : requests;
  return { cpu: (cpuSeconds(side) - before) / units * 1e6, speed: units / seconds };
}

/** Bytes of memory that each of `count` connections costs that does nothing. @param {Side} side @param {number} count */
async function measureIdle({ port, programs: [server] }, count) {
  const open = async () => {
    const socket = connect({ host: "127.0.0.1", port, servername: host, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    return socket;
  };
  /** @type {import("node:tls").TLSSocket[]} */
  const sockets = [];
  // What the first ones cost, they cost once.
  for (let i = 0; i < 50; i++) sockets.push(await open());
  const before = server.memory.resident;
  for (let i = 0; i < count; i++) sockets.push(await open());
  const after = server.memory.resident;
  for (const socket of sockets) socket.destroy();
  return (after - before) / count;
}

/** @param {ReturnType<typeof readArguments>} options @param {string} nginx */
async function run({ server: runtime, rounds, idle }, nginx) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  /** @type {Child[]} */
  const children = [];
  try {
    const secure = await startServer(runtime, files);
    children.push(secure.child);
    const plain = await startServer(runtime, []);
    children.push(plain.child);
    const proxy = await farm.startTls("tls", plain.port, files[0], files[1]);
    /** @type {[Side, Side]} */
    const sides = [
      { port: secure.port, programs: [secure.child] },
      { port: proxy.port, programs: [proxy.child, plain.child] },
    ];
    const idleBytes = await measureIdle(sides[0], idle);
    for (const { port } of sides) {
      await generator.run({ port, host, path: "/small", connections, bodyBytes: smallBytes, ...warmUp, tls: true });
    }
    const rows = [];
    for (const measurement of measurements) {
      /** @type {[{ cpu: number, speed: number }[], { cpu: number, speed: number }[]]} */
      const samples = [[], []];
      for (let round = 0; round < rounds; round++) {
        for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
          samples[side].push(await measure(generator, sides[side], measurement));
        }
      }
      /** @param {"cpu" | "speed"} key */
      const figures = (key) => {
        const ratios = samples[0].map((sample, pair) => sample[key] / samples[1][pair][key]);
        const [ours, nginx] = samples.map((side) => median(side.map((sample) => sample[key])));
        return { ours, nginx, ratio: median(ratios), ...interval(ratios) };
      };
      rows.push({ ...measurement, cpu: figures("cpu"), speed: figures("speed") });
    }
    return { rows, idleKiB: idleBytes / 1024 };
  } finally {
    for (const child of children) await child.stop();
    await generator.stop();
    await farm.stop();
  }
}

const options = readArguments();
const { rows, idleKiB } = await run(options, nginxToMeasure("tls"));
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, rows, idleKiB }));
else {
  console.log(`TLS of our own on ${options.server} beside nginx in front of it, ${options.rounds} pairs`);
  for (const { name, unit, perSecond, cpu, speed } of rows) {
    console.log(`${name}, CPU: ${ratioText(cpu)}, ${cpu.ours.toFixed(1)} ${unit} beside ${cpu.nginx.toFixed(1)}`);
    console.log(
      `  speed: ${ratioText(speed)}, ${Math.round(speed.ours)} ${perSecond} beside ${Math.round(speed.nginx)}`,
    );
  }
  console.log(`an idle connection: ${idleKiB.toFixed(1)} KiB`);
}
process.exit(0);
