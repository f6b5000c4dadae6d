// @ts-check
/** Hostile peers against a real edge, one scenario after the other: what does a neighbor feel of them? */
import { readOptions, usageError } from "../lib/arguments.mjs";
import { programOf, setUp } from "../lib/toolchain.mjs";
import { findNginx } from "../bench/nginx.mjs";
import { playOnNginx } from "./nginx.mjs";
import { broken, cells, columns, markdownRow } from "./report.mjs";
import { scenarios } from "./scenarios/mod.mjs";
import { Stage } from "./stage.mjs";

/** @typedef {import("../lib/toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./scenarios/mod.mjs").Scenario} Scenario */
/** @typedef {import("./stage.mjs").Result} Result */

const help = `Usage: scripts/abuse.sh [--runtime bun|deno|all] [--only NAME]… [--short] [--list] [--json | --markdown]

Starts an edge, and beside a neighbor's tunnel a flood: one scenario after the other, each bounded in count and time.
For each it prints what the neighbor's requests took (beside the same at rest), how much the edge's memory grew, which
growth what it says to hold allows, the sockets it had open, and what ended. Exits with 1 where a bound is broken.

  --runtime RUNTIME  what edge and agents run on (default all)
  --only NAME        only this scenario, or those whose names begin with NAME
  --short            few peers and seconds, and no bound on times: for test.sh
  --list             print the scenarios
  --json             print one JSON object a line
  --markdown         print the table of docs/limits.md
  --help             print this

Needs Linux: memory and descriptors are read from /proc.`;

function readArguments() {
  const { values } = readOptions("abuse", help, {
    options: {
      runtime: { type: "string", default: "all" },
      only: { type: "string", multiple: true, default: [] },
      short: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!["bun", "deno", "all"].includes(values.runtime)) usageError("abuse", `no such runtime: ${values.runtime}`);
  if (values.json && values.markdown) usageError("abuse", "--json and --markdown exclude each other");
  for (const name of values.only) {
    if (!scenarios.some((scenario) => scenario.name.startsWith(name))) usageError("abuse", `no such scenario: ${name}`);
  }
  return values;
}

/**
 * The neighbor's latency at nginx by scenario: one flood serves both runtimes.
 * @type {Map<string, import("./stage.mjs").Latency>}
 */
const nginxResults = new Map();
const nginxProgram = findNginx();

/** @param {Scenario} scenario @param {boolean} short */
async function nginxResult(scenario, short) {
  if (!scenario.nginx || short) return undefined;
  if (nginxProgram === null) return null;
  const known = nginxResults.get(scenario.name);
  if (known !== undefined) return known;
  const result = await playOnNginx(nginxProgram, scenario);
  nginxResults.set(scenario.name, result);
  return result;
}

/**
 * The scenarios that the options name; those that share a stage, together.
 * @param {ReturnType<typeof readArguments>} options
 */
function wantedOf({ only, short }) {
  const wanted = scenarios.filter(({ name }) => only.length === 0 || only.some((prefix) => name.startsWith(prefix)))
    .filter((scenario) => !short || scenario.short !== undefined);
  if (!short) return wanted;
  const keys = [...new Set(wanted.map(Stage.keyOf))];
  return keys.flatMap((key) => wanted.filter((scenario) => Stage.keyOf(scenario) === key));
}

/**
 * Plays the scenarios: each on programs of its own, the short ones of equal needs on the same.
 * @param {ReturnType<typeof readArguments>} options @param {Runtime} runtime
 * @param {(scenario: Scenario, result: Result) => Promise<void>} report
 */
async function playAll(options, runtime, report) {
  /** @type {Stage | null} */
  let stage = null;
  let key = "";
  try {
    for (const scenario of wantedOf(options)) {
      if (stage !== null && !(options.short && Stage.keyOf(scenario) === key)) {
        await stage.stop();
        stage = null;
      }
      if (stage === null) {
        key = Stage.keyOf(scenario);
        stage = new Stage(runtime, scenario);
      }
      await report(scenario, await stage.play(scenario, options.short));
    }
  } finally {
    await stage?.stop();
  }
}

/** @param {ReturnType<typeof readArguments>} options */
async function run(options) {
  const { runtime, short, json, markdown } = options;
  const runtimes = /** @type {Runtime[]} */ (runtime === "all" ? ["bun", "deno"] : [runtime]);
  const total = { passed: 0, failed: 0 };
  if (markdown) console.log(`${markdownRow(columns)}\n${markdownRow(columns.map(() => "---"))}`);
  else if (!json) console.log(`     ${columns.join("  ")}`);
  for (const item of runtimes.filter((name) => programOf(name) !== null)) {
    await playAll(options, item, async (scenario, result) => {
      const nginx = await nginxResult(scenario, short);
      const faults = broken(scenario, result, short);
      const row = cells(scenario, result, nginx);
      if (json) console.log(JSON.stringify({ ...result, nginx, faults }));
      else if (markdown) console.log(markdownRow(row));
      else console.log(`${faults.length === 0 ? "ok  " : "FAIL"} ${row.join("  ")}`);
      // The table alone is what goes to standard output where it is to be pasted.
      const print = markdown || json ? console.error : console.log;
      for (const fault of faults) print(`       ${scenario.name}, ${item}: ${fault}`);
      total[faults.length === 0 ? "passed" : "failed"]++;
    });
  }
  if (!json && !markdown) console.log(`\n${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0) process.exitCode = 1;
}

const options = readArguments();
if (options.list) {
  for (const { name, what } of wantedOf(options)) console.log(`${name.padEnd(24)} ${what}`);
  process.exit(0);
}
if (process.platform !== "linux") {
  console.log("abuse: skipped: memory and descriptors are read from /proc (Linux)");
  process.exit(0);
}
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
setUp();
await run(options);
