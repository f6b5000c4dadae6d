// @ts-check
/** What TLS costs: our own listener beside an nginx that ends TLS in front of the same server without it. */
import process from "node:process";
import { once } from "node:events";
import { connect } from "node:tls";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { interval, median } from "./figures.mjs";
import { Generator } from "./generator.mjs";
import { largeBytes, mediumBytes, NginxFarm } from "./nginx.mjs";
import { nginxToMeasure, ratioText } from "./side_by_side.mjs";
import { startEdges, startServers } from "./tls_sides.mjs";
import { bulkBytes, smallBytes } from "./tls_sizes.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./tls_sides.mjs").Side} Side */

const help = `Usage: node scripts/bench/tls.mjs [--server bun|deno] [--edge [--agent bun|deno] [--agent-tls]]
                                 [--rounds N] [--idle N] [--json] [FILTER]

Measures processor time and speed in pairs: a server with TLS of our own beside an nginx that ends TLS in front of the
same server without it. Asked are answers of 1 KiB and of 256 KiB at 32 connections that stay, and of 1 KiB on connections
that are made anew each time, so that each costs a handshake. Then what an idle connection costs our server in memory.

With --edge the servers are edges, each with an agent in front of one origin, and answers of 4 MiB are asked, too.
Processor time is that of edge and nginx, and then with the agents'.

  --server RUNTIME  what the servers or edges run on (default bun)
  --edge            whole edges with agents
  --agent RUNTIME   what the agents run on (default bun)
  --agent-tls       agents dial by TLS, too, beside agents that dial through nginx
  --rounds N        pairs of each measurement (default 10)
  --starts N        how often all are started anew (default 1)
  --idle N          idle connections (default 500; none with --edge)
  --json            print one JSON object
  --help            print this
  FILTER            only measurements whose name contains it

Needs Linux and nginx. Without nginx nothing is measured, and the exit code is 0.`;

const connections = 32;

/** What is asked, and how a figure is made of it. */
const smallRequests = {
  ...{ name: "requests of 1 KiB", unit: "µs a request", perSecond: "requests/s", isBulk: false },
  ...{ path: "/small", bodyBytes: smallBytes, reconnects: false, milliseconds: 2_000 },
};
const newConnections = {
  ...{ name: "connections with a request each", unit: "µs a connection", perSecond: "connections/s", isBulk: false },
  ...{ path: "/small", bodyBytes: smallBytes, reconnects: true, milliseconds: 2_000 },
};
/** @param {string} name @param {string} path @param {number} bodyBytes */
const bulk = (name, path, bodyBytes) => ({
  ...{ name, unit: "µs a MB", perSecond: "MB/s", isBulk: true },
  ...{ path, bodyBytes, reconnects: false, milliseconds: 2_000 },
});
const ofServers = [smallRequests, bulk("answers of 256 KiB", "/bulk", bulkBytes), newConnections];
const ofEdges = [
  smallRequests,
  bulk("answers of 256 KiB", "/medium", mediumBytes),
  bulk("answers of 4 MiB", "/large", largeBytes),
  newConnections,
];
/** The compilers of an edge settle later than those of a server alone. */
const warmUps = {
  servers: { requests: 60_000, milliseconds: 10_000 },
  edges: { requests: 200_000, milliseconds: 15_000 },
};

function readArguments() {
  const { values, positionals } = readOptions("tls", help, {
    allowPositionals: true,
    options: {
      server: { type: "string", default: "bun" },
      edge: { type: "boolean", default: false },
      agent: { type: "string", default: "bun" },
      "agent-tls": { type: "boolean", default: false },
      rounds: { type: "string", default: "10" },
      starts: { type: "string", default: "1" },
      idle: { type: "string", default: "500" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["server", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("tls", `--${name} is no runtime: ${values[name]}`);
  }
  /** @param {"rounds" | "starts" | "idle"} name @param {number} least */
  const count = (name, least) => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= least) return number;
    return usageError("tls", `--${name} is no whole number from ${least}: ${values[name]}`);
  };
  const { server, agent } = /** @type {{ server: Runtime, agent: Runtime }} */ (values);
  if (positionals.length > 1) usageError("tls", `one FILTER at most: ${positionals.join(" ")}`);
  const [filter = ""] = positionals;
  const measurements = (values.edge ? ofEdges : ofServers).filter(({ name }) => name.includes(filter));
  if (measurements.length === 0) usageError("tls", `FILTER is part of no measurement: ${filter}`);
  return {
    ...{ server, agent, isEdge: values.edge, areAgentsSecure: values["agent-tls"], measurements, json: values.json },
    ...{ rounds: count("rounds", 2), starts: count("starts", 1), idle: count("idle", 1) },
  };
}

/** Of the server's side, and of the agent. @param {Side} side */
function cpuSeconds({ programs, agent }) {
  const server = programs.reduce((sum, child) => sum + child.cpuSeconds, 0);
  return { server, whole: server + (agent?.cpuSeconds ?? 0) };
}

/** @param {Generator} generator @param {Side} side @param {typeof smallRequests} measurement */
async function measure(generator, side, { path, bodyBytes, reconnects, isBulk, milliseconds }) {
  const { port, host } = side;
  const before = cpuSeconds(side);
  const task = { port, host, path, connections, bodyBytes, tls: true, reconnects, milliseconds };
  const { requests, seconds, bytes } = await generator.run(task);
  const after = cpuSeconds(side);
  const units = isBulk ? bytes / 1e6 : requests;
  return {
    cpu: (after.server - before.server) / units * 1e6,
    cpuWithAgent: (after.whole - before.whole) / units * 1e6,
    speed: units / seconds,
  };
}

/** @typedef {Awaited<ReturnType<typeof measure>>} Sample */

/** Bytes of memory that each of `count` connections costs that does nothing. @param {Side} side @param {number} count */
async function measureIdle({ port, host, programs: [server] }, count) {
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
async function run({ server, agent, isEdge, areAgentsSecure, measurements, rounds, starts, idle }, nginx) {
  const generator = new Generator();
  /** Of each measurement and side. @type {[Sample[], Sample[]][]} */
  const samples = measurements.map(() => [[], []]);
  let idleKiB = NaN;
  try {
    for (let start = 0; start < starts; start++) {
      const farm = new NginxFarm(nginx);
      const { sides, stop } = isEdge
        ? await startEdges({ edge: server, agent, areAgentsSecure }, farm)
        : await startServers(server, farm);
      try {
        if (!isEdge) idleKiB = await measureIdle(sides[0], idle) / 1024;
        const warmUp = isEdge ? warmUps.edges : warmUps.servers;
        for (const { port, host } of sides) {
          await generator.run({ port, host, path: "/small", connections, bodyBytes: smallBytes, ...warmUp, tls: true });
        }
        for (const [index, measurement] of measurements.entries()) {
          // Bulk has code of its own, which is compiled while it passes.
          for (const side of sides) await measure(generator, side, { ...measurement, milliseconds: 6_000 });
          for (let round = 0; round < Math.ceil(rounds / starts); round++) {
            for (const side of round % 2 === 0 ? [0, 1] : [1, 0]) {
              samples[index][side].push(await measure(generator, sides[side], measurement));
            }
          }
        }
      } finally {
        await stop();
        await farm.stop();
      }
    }
  } finally {
    await generator.stop();
  }
  /** @param {[Sample[], Sample[]]} ofBoth @param {keyof Sample} key */
  const figures = (ofBoth, key) => {
    const ratios = ofBoth[0].map((sample, pair) => sample[key] / ofBoth[1][pair][key]);
    const [ours, nginx] = ofBoth.map((side) => median(side.map((sample) => sample[key])));
    return { ours, nginx, ratio: median(ratios), ...interval(ratios) };
  };
  const rows = measurements.map(({ name, unit, perSecond }, index) => {
    const [cpu, cpuWithAgent, speed] = /** @type {const} */ (["cpu", "cpuWithAgent", "speed"])
      .map((key) => figures(samples[index], key));
    return { name, unit, perSecond, cpu, cpuWithAgent, speed };
  });
  return { rows, idleKiB };
}

/** @param {{ ours: number, nginx: number, ratio: number, low: number, high: number }} figures @param {string} unit */
const cpuText = (figures, unit) =>
  `${ratioText(figures)}, ${figures.ours.toFixed(1)} ${unit} beside ${figures.nginx.toFixed(1)}`;

const options = readArguments();
const { rows, idleKiB } = await run(options, nginxToMeasure("tls"));
const { server, agent, isEdge, areAgentsSecure, rounds } = options;
if (options.json) {
  console.log(JSON.stringify({ date: new Date().toISOString(), ...options, measurements: undefined, rows, idleKiB }));
} else {
  const what = isEdge ? `an edge on ${server} (agent on ${agent}${areAgentsSecure ? ", by TLS" : ""})` : server;
  console.log(`TLS of our own on ${what} beside nginx in front of it, ${rounds} pairs`);
  for (const { name, unit, perSecond, cpu, cpuWithAgent, speed } of rows) {
    console.log(`${name}, CPU: ${cpuText(cpu, unit)}`);
    if (isEdge) console.log(`  with the agent: ${cpuText(cpuWithAgent, unit)}`);
    console.log(
      `  speed: ${ratioText(speed)}, ${Math.round(speed.ours)} ${perSecond} beside ${Math.round(speed.nginx)}`,
    );
  }
  if (!isEdge) console.log(`an idle connection: ${idleKiB.toFixed(1)} KiB`);
}
process.exit(0);
