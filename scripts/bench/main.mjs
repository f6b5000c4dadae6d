// @ts-check
/** Runnel beside nginx, interleaved: requests a second, processor time a request, and bulk. */
import { cpus } from "node:os";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { setUp } from "../lib/toolchain.mjs";
import { row, table } from "./figures.mjs";
import { Generator } from "./generator.mjs";
import { bulkBytes, findNginx, NginxFarm, smallBytes } from "./nginx.mjs";
import { startRunnel } from "./runnel.mjs";

/** @typedef {import("./runnel.mjs").Runtime} Runtime */
/** @typedef {import("./child.mjs").Child} Child */
/** What is measured: where it listens, and the processes that pay for it. @typedef {{ port: number, host: string, children: Child[] }} Subject */
/** @typedef {{ perSecond: number, cpuMicroseconds: number, p50Ms: number, p99Ms: number }} Sample */

const help =
  `Usage: scripts/bench.sh [--edge bun|deno] [--agent bun|deno] [--protocol v2|json] [--rounds N] [--seconds S]
                        [--bulk-only | --requests-only] [--json]

Measures an edge and an agent in front of an nginx, beside two nginx proxies in a row (for bulk: one) in front of the
same: requests a second of 1 KiB answers at 1, 32 and 256 connections, processor time a request, and a download of
256 MiB. Rounds are interleaved; what counts is the ratio. scripts/bench/README.md says how to read it. Takes a minute.

  --edge RUNTIME    what the edge runs on (default bun)
  --agent RUNTIME   what the agent runs on (default bun)
  --protocol NAME   what they speak (default v2)
  --rounds N        rounds that count (default 5)
  --seconds S       length of each measurement of requests (default 1)
  --bulk-only       only the download
  --requests-only   only the requests
  --json            print one JSON object instead of a table
  --help            print this

Needs nginx (Debian: apt-get install nginx). Without it nothing is measured, and the exit code is 0.`;

const levels = [1, 32, 256];
/**
 * A server runs for weeks, so it is measured as its just-in-time compiler leaves it: the processor time of a request
 * falls by a third until 200,000 of them have passed, that of a download until about twenty have.
 */
const warmUp = { requests: 200_000, milliseconds: 20_000 };
const bulkWarmUps = 25;

function readArguments() {
  const { values } = readOptions("bench", help, {
    options: {
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      protocol: { type: "string", default: "v2" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "1" },
      "bulk-only": { type: "boolean", default: false },
      "requests-only": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("bench", `--${name} is no runtime: ${values[name]}`);
  }
  if (!["v2", "json"].includes(values.protocol)) usageError("bench", `--protocol is none: ${values.protocol}`);
  const rounds = Number(values.rounds);
  const seconds = Number(values.seconds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    usageError("bench", `--rounds is no whole number from 1: ${values.rounds}`);
  }
  if (!(seconds > 0 && seconds <= 60)) usageError("bench", `--seconds is not from 0 to 60: ${values.seconds}`);
  if (values["bulk-only"] && values["requests-only"]) {
    usageError("bench", "--bulk-only and --requests-only exclude each other");
  }
  return {
    edge: /** @type {Runtime} */ (values.edge),
    agent: /** @type {Runtime} */ (values.agent),
    protocol: values.protocol,
    rounds,
    seconds,
    bulk: !values["requests-only"],
    requests: !values["bulk-only"],
    json: values.json,
  };
}

/** @param {Child[]} children */
const cpuSeconds = (children) => children.reduce((sum, child) => sum + child.cpuSeconds, 0);

/**
 * @param {Generator} generator @param {Subject} subject @param {number} connections @param {number} seconds
 * @returns {Promise<Sample>}
 */
async function measureRequests(generator, { port, host, children }, connections, seconds) {
  const before = cpuSeconds(children);
  const result = await generator.run({
    ...{ port, host, path: "/small", connections },
    ...{ bodyBytes: smallBytes, milliseconds: seconds * 1000 },
  });
  const cpuMicroseconds = (cpuSeconds(children) - before) / result.requests * 1e6;
  const { p50Ms, p99Ms } = result;
  return { perSecond: result.requests / result.seconds, cpuMicroseconds, p50Ms, p99Ms };
}

/** Megabytes a second. @param {Generator} generator @param {Subject} subject */
async function measureBulk(generator, { port, host }) {
  const result = await generator.run({
    ...{ port, host, path: "/bulk", connections: 1 },
    ...{ bodyBytes: bulkBytes, requests: 1 },
  });
  return bulkBytes / 1e6 / result.seconds;
}

/**
 * Measures both, in turns: A B, B A, A B, …
 * @template T
 * @param {number} rounds @param {(subject: Subject) => Promise<T>} measure @param {Subject} a @param {Subject} b
 * @returns {Promise<[T[], T[]]>}
 */
async function interleave(rounds, measure, a, b) {
  /** @type {[T[], T[]]} */
  const samples = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const turn of round % 2 === 0 ? [0, 1] : [1, 0]) samples[turn].push(await measure([a, b][turn]));
  }
  return samples;
}

/**
 * @param {ReturnType<typeof readArguments>} options
 * @param {{ generator: Generator, pair: Subject, single: Subject, installed: Subject, runnel: Subject }} subjects
 */
async function measureAll(options, { generator, pair, single, installed, runnel }) {
  const { rounds, seconds } = options;
  const rows = [];
  for (const { port, host } of options.requests ? [pair, runnel] : []) {
    await generator.run({ port, host, path: "/small", connections: 32, bodyBytes: smallBytes, ...warmUp });
  }
  for (const connections of options.requests ? levels : []) {
    /** @param {Subject} subject */
    const measure = (subject) => measureRequests(generator, subject, connections, seconds);
    const [nginxSamples, runnelSamples] = await interleave(rounds, measure, pair, runnel);
    /** @param {string} unit @param {keyof Sample} key */
    const add = (unit, key) =>
      rows.push(
        row(
          `${connections} connection${connections === 1 ? "" : "s"}`,
          unit,
          nginxSamples.map((sample) => sample[key]),
          runnelSamples.map((sample) => sample[key]),
        ),
      );
    add("requests/s", "perSecond");
    add("CPU µs/request", "cpuMicroseconds");
    add("p50 ms", "p50Ms");
    add("p99 ms", "p99Ms");
  }
  if (options.bulk) {
    for (const subject of [single, installed, pair]) await measureBulk(generator, subject);
    for (let times = 0; times < bulkWarmUps; times++) await measureBulk(generator, runnel);
    /** @param {Subject} subject */
    const measure = (subject) => measureBulk(generator, subject);
    rows.push(row("bulk, beside one proxy", "MB/s", ...await interleave(rounds, measure, single, runnel)));
    rows.push(row("bulk, one with defaults", "MB/s", ...await interleave(rounds, measure, installed, runnel)));
    rows.push(row("bulk, beside two", "MB/s", ...await interleave(rounds, measure, pair, runnel)));
  }
  return rows;
}

/** @param {ReturnType<typeof readArguments>} options @param {string} nginx */
async function run(options, nginx) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  let tunnel = null;
  try {
    const origin = await farm.startOrigin();
    const inner = await farm.startProxy("inner", origin.port);
    const outer = await farm.startProxy("outer", inner.port);
    const installed = await farm.startProxy("installed", origin.port, "");
    tunnel = await startRunnel({ ...options, originPort: origin.port });
    const { edge, agent, port, host } = tunnel;
    const rows = await measureAll(options, {
      generator,
      single: { port: inner.port, host: "127.0.0.1", children: [inner.child] },
      installed: { port: installed.port, host: "127.0.0.1", children: [installed.child] },
      pair: { port: outer.port, host: "127.0.0.1", children: [inner.child, outer.child] },
      runnel: { port, host, children: [edge, agent] },
    });
    return { rows, memory: { edge: edge.memory, agent: agent.memory } };
  } finally {
    await tunnel?.stop();
    await generator.stop();
    await farm.stop();
  }
}

const options = readArguments();
const nginx = findNginx();
if (nginx === null || process.platform !== "linux") {
  const reason = nginx === null ? "there is no nginx on this machine" : "processor time is read from /proc (Linux)";
  console.log(options.json ? JSON.stringify({ skipped: reason }) : `bench: skipped: ${reason}`);
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
const { edge, agent, protocol, rounds, seconds } = options;
const machine = { cpus: cpus().length, model: cpus()[0].model };
const { rows, memory } = await run(options, nginx);
if (options.json) {
  const date = new Date().toISOString();
  console.log(JSON.stringify({ date, machine, edge, agent, protocol, rounds, seconds, rows, memory }));
} else {
  console.log(`edge on ${edge}, agent on ${agent}, ${protocol}; ${rounds} rounds of ${seconds} s; ${machine.cpus} CPUs
(${machine.model})

${table(rows)}

Highest memory: edge ${Math.round(memory.edge.peak / 2 ** 20)} MiB, agent ${
    Math.round(memory.agent.peak / 2 ** 20)
  } MiB`);
}
