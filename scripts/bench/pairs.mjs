// @ts-check
/** Two checkouts of Runnel side by side, in pairs of measurements: did a change cost processor time? */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { root } from "../lib/toolchain.mjs";
import { Generator } from "./generator.mjs";
import { NginxFarm } from "./nginx.mjs";
import { startRunnel } from "./runnel.mjs";
import {
  addPairs,
  measureBulk,
  measureRequests,
  nginxToMeasure,
  ratioText,
  rowOf,
  warmUpBulk,
  warmUpRequests,
} from "./side_by_side.mjs";

/** @typedef {import("./runnel.mjs").Runtime} Runtime */
/** @typedef {import("./side_by_side.mjs").Tunnel} Tunnel */
/** @typedef {import("./side_by_side.mjs").Sample} Sample */

const help = `Usage: node scripts/bench/pairs.mjs --against DIR [--edge bun|deno] [--agent bun|deno] [--rounds N]
                                   [--bulk-only | --requests-only]

Measures this checkout and the one in DIR (git worktree add DIR COMMIT, with node_modules) in pairs: processor time for
each request of 1 KiB at 32 connections, and for each megabyte of a download of 256 MiB. Prints, for this checkout
divided by the other, the median of the pairs and the 95 % interval of their mean. Exits with 1 where a median of
processor time is over the limit.

  --against DIR    the other checkout
  --edge RUNTIME   what the edges run on (default bun)
  --agent RUNTIME  what the agents run on (default bun)
  --rounds N       pairs of each measurement (default 20)
  --starts N       how often both are started anew, in alternating order (default 2)
  --bulk-only      only downloads
  --requests-only  only requests
  --limit RATIO    the most that a median of processor time may be (default 1.03)
  --json           print one JSON object
  --help           print this

Needs Linux and nginx. Without nginx nothing is measured, and the exit code is 0.`;

function readArguments() {
  const { values } = readOptions("pairs", help, {
    options: {
      against: { type: "string", default: "" },
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      rounds: { type: "string", default: "20" },
      starts: { type: "string", default: "2" },
      limit: { type: "string", default: "1.03" },
      "bulk-only": { type: "boolean", default: false },
      "requests-only": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const against = resolve(values.against);
  if (values.against === "" || !existsSync(join(against, "bin/edge.ts"))) {
    usageError("pairs", `--against is no checkout of Runnel: ${values.against}`);
  }
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("pairs", `--${name} is no runtime: ${values[name]}`);
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 2) usageError("pairs", `--rounds is no number from 2: ${values.rounds}`);
  const starts = Number(values.starts);
  if (!Number.isInteger(starts) || starts < 1) usageError("pairs", `--starts is no number from 1: ${values.starts}`);
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError("pairs", `--limit is no ratio: ${values.limit}`);
  const { edge, agent } = /** @type {{ edge: Runtime, agent: Runtime }} */ (values);
  if (values["bulk-only"] && values["requests-only"]) {
    usageError("pairs", "--bulk-only and --requests-only exclude each other");
  }
  const what = { requests: !values["bulk-only"], bulk: !values["requests-only"] };
  return { against, edge, agent, rounds, starts, limit, ...what, json: values.json };
}

/**
 * Both checkouts, started anew: the one that is started first is slower by up to 5 %, so the starts alternate.
 * @param {ReturnType<typeof readArguments>} options @param {number} originPort @param {boolean} isSwapped
 * @returns {Promise<[Tunnel, Tunnel]>} this checkout's first
 */
async function startBoth(options, originPort, isSwapped) {
  const start = (/** @type {string} */ checkout) => startRunnel({ ...options, protocol: "v2", originPort, checkout });
  if (!isSwapped) return [await start(root), await start(options.against)];
  const there = await start(options.against);
  return [await start(root), there];
}

/** @param {ReturnType<typeof readArguments>} options @param {string} nginx */
async function run(options, nginx) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  /** @type {[Sample[], Sample[]]} */
  const requests = [[], []];
  /** @type {[Sample[], Sample[]]} */
  const bulk = [[], []];
  try {
    const origin = await farm.startOrigin();
    for (let start = 0; start < options.starts; start++) {
      const rounds = Math.ceil(options.rounds / options.starts);
      const tunnels = await startBoth(options, origin.port, start % 2 === 1);
      try {
        const warmUpOrder = start % 2 === 0 ? tunnels : tunnels.toReversed();
        for (const tunnel of warmUpOrder) await warmUpRequests(generator, tunnel);
        if (options.requests) await addPairs(measureRequests, generator, tunnels, rounds, requests);
        if (!options.bulk) continue;
        for (const tunnel of warmUpOrder) await warmUpBulk(generator, tunnel);
        await addPairs(measureBulk, generator, tunnels, rounds, bulk);
      } finally {
        for (const tunnel of tunnels) await tunnel.stop();
      }
    }
  } finally {
    await generator.stop();
    await farm.stop();
  }
  return [
    ...(options.requests ? [rowOf("requests", requests)] : []),
    ...(options.bulk ? [rowOf("bulk", bulk)] : []),
  ];
}

const options = readArguments();
const rows = await run(options, nginxToMeasure("pairs"));
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, rows }));
else {
  console.log(
    `edge on ${options.edge}, agent on ${options.agent}, ${options.rounds} pairs, against ${options.against}`,
  );
  for (const { name, cpu, speed } of rows) {
    const unit = name === "bulk" ? "MB" : "request";
    console.log(`${name}, CPU: ${ratioText(cpu)}, ${cpu.here.toFixed(1)} µs a ${unit}, was ${cpu.there.toFixed(1)}`);
    console.log(
      `${name}, speed: ${ratioText(speed)}, ${speed.here.toFixed(0)} a second, was ${speed.there.toFixed(0)}`,
    );
  }
}
if (rows.some(({ cpu }) => cpu.ratio > options.limit)) process.exitCode = 1;
