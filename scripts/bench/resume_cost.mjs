// @ts-check
/** What it costs that sessions can resume: an edge that lets them beside one that does not. */
import { readOptions, usageError } from "../lib/arguments.mjs";
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

const help = `Usage: node scripts/bench/resume_cost.mjs [--edge bun|deno] [--agent bun|deno] [--rounds N]
                                        [--bulk-only | --requests-only] [--json]

Measures processor time of edge and agent, for each request of 1 KiB at 32 connections and for each gigabyte of downloads
of 256 MiB, in pairs: an edge with --resume-timeout 30s, whose sessions keep what they have sent until it is
acknowledged, beside one with --resume-timeout off. Prints, for on divided by off, the median of the pairs and the 95 %
interval of their mean. Exits with 1 where the middle of an interval is over the limit.

  --edge RUNTIME   what the edges run on (default bun)
  --agent RUNTIME  what the agents run on (default bun)
  --rounds N       pairs of each measurement (default 20)
  --starts N       how often both are started anew, in alternating order (default 2)
  --bulk-only      only downloads
  --requests-only  only requests
  --limit RATIO    the most that the middle of an interval may be (default 1.05)
  --json           print one JSON object
  --help           print this

Needs Linux and nginx. Without nginx nothing is measured, and the exit code is 0.`;

function readArguments() {
  const { values } = readOptions("resume_cost", help, {
    options: {
      edge: { type: "string", default: "bun" },
      agent: { type: "string", default: "bun" },
      rounds: { type: "string", default: "20" },
      starts: { type: "string", default: "2" },
      limit: { type: "string", default: "1.05" },
      "bulk-only": { type: "boolean", default: false },
      "requests-only": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const name of /** @type {const} */ (["edge", "agent"])) {
    if (!["bun", "deno"].includes(values[name])) usageError("resume_cost", `--${name} is no runtime: ${values[name]}`);
  }
  /** @param {"rounds" | "starts"} name @param {number} least */
  const count = (name, least) => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= least) return number;
    return usageError("resume_cost", `--${name} is no whole number from ${least}: ${values[name]}`);
  };
  const limit = Number(values.limit);
  if (!(limit > 0)) usageError("resume_cost", `--limit is no ratio: ${values.limit}`);
  if (values["bulk-only"] && values["requests-only"]) {
    usageError("resume_cost", "--bulk-only and --requests-only exclude each other");
  }
  const { edge, agent } = /** @type {{ edge: Runtime, agent: Runtime }} */ (values);
  const what = { requests: !values["bulk-only"], bulk: !values["requests-only"] };
  return { edge, agent, rounds: count("rounds", 2), starts: count("starts", 1), limit, ...what, json: values.json };
}

/** @typedef {ReturnType<typeof readArguments>} Options */

/** @param {Options} options @param {number} originPort @param {"30s" | "off"} timeout @returns {Promise<Tunnel>} */
function startWith({ edge, agent }, originPort, timeout) {
  return startRunnel({ edge, agent, protocol: "v2", originPort, edgeArguments: ["--resume-timeout", timeout] });
}

/** @param {Options} options @param {string} nginx */
async function run(options, nginx) {
  const farm = new NginxFarm(nginx);
  const generator = new Generator();
  /** @type {[Sample[], Sample[]]} */
  const requests = [[], []];
  /** @type {[Sample[], Sample[]]} */
  const bulk = [[], []];
  try {
    const origin = await farm.startOrigin();
    const timeouts = /** @type {const} */ (["30s", "off"]);
    for (let index = 0; index < options.starts; index++) {
      // The one that is started first is slower by up to 5 %.
      const order = index % 2 === 0 ? [0, 1] : [1, 0];
      /** @type {Tunnel[]} */
      const tunnels = [];
      for (const side of order) tunnels[side] = await startWith(options, origin.port, timeouts[side]);
      const [on, off] = tunnels;
      try {
        const rounds = Math.ceil(options.rounds / options.starts);
        for (const side of order) await warmUpRequests(generator, tunnels[side]);
        if (options.requests) await addPairs(measureRequests, generator, [on, off], rounds, requests);
        if (!options.bulk) continue;
        for (const side of order) await warmUpBulk(generator, tunnels[side]);
        await addPairs(measureBulk, generator, [on, off], rounds, bulk);
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
const rows = await run(options, nginxToMeasure("resume_cost"));
if (options.json) console.log(JSON.stringify({ date: new Date().toISOString(), ...options, rows }));
else {
  console.log(`edge on ${options.edge}, agent on ${options.agent}, ${options.rounds} pairs, resume on beside off`);
  for (const { name, cpu } of rows) {
    // Microseconds a megabyte are milliseconds a gigabyte.
    const unit = name === "bulk" ? "ms a GB" : "µs a request";
    console.log(`${name}, CPU: ${ratioText(cpu)}, ${cpu.here.toFixed(1)} ${unit}, beside ${cpu.there.toFixed(1)}`);
  }
}
if (rows.some(({ cpu }) => (cpu.low + cpu.high) / 2 > options.limit)) process.exitCode = 1;
