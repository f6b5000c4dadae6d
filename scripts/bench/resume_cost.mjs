// @ts-check
/** What it costs that sessions can resume: an edge that lets them beside one that does not. */
import { readOptions } from "../lib/arguments.mjs";
import { pairFlags, pairOptions, runPairs } from "./pair_runs.mjs";
import { startRunnel } from "./runnel.mjs";
import { nginxToMeasure, ratioText } from "./side_by_side.mjs";

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

/** What `--resume-timeout` is on each side. */
const timeouts = ["30s", "off"];

const { values } = readOptions("resume_cost", help, { options: pairFlags("1.05") });
const options = pairOptions("resume_cost", values);
const { edge, agent } = options;
const rows = await runPairs(options, nginxToMeasure("resume_cost"), (side, originPort) => {
  const edgeArguments = ["--resume-timeout", timeouts[side]];
  return startRunnel({ edge, agent, protocol: "v2", originPort, edgeArguments });
});
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
