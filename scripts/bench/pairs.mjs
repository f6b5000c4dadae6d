// @ts-check
/** Two checkouts of Runnel side by side, in pairs of measurements: did a change cost processor time? */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readOptions, usageError } from "../lib/arguments.mjs";
import { root } from "../lib/toolchain.mjs";
import { pairFlags, pairOptions, runPairs } from "./pair_runs.mjs";
import { startRunnel } from "./runnel.mjs";
import { nginxToMeasure, ratioText } from "./side_by_side.mjs";

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
    options: { against: { type: "string", default: "" }, ...pairFlags("1.03") },
  });
  const against = resolve(values.against);
  if (values.against === "" || !existsSync(join(against, "bin/edge.ts"))) {
    usageError("pairs", `--against is no checkout of Runnel: ${values.against}`);
  }
  return { against, ...pairOptions("pairs", values) };
}

const options = readArguments();
const { edge, agent } = options;
const rows = await runPairs(options, nginxToMeasure("pairs"), (side, originPort) => {
  return startRunnel({ edge, agent, protocol: "v2", originPort, checkout: side === 0 ? root : options.against });
});
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
