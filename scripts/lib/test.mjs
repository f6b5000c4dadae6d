// @ts-check
/** The one gate of this repository: format, lint, types, and every test on both runtimes. */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { installPeers } from "./peers.mjs";
import { fileItself, killAll, runCheck, runFile } from "./test_run.mjs";
import { nodeProgram, programOf, root, setUp } from "./toolchain.mjs";

/** @typedef {import("./toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./test_run.mjs").Result} Result */
/** @typedef {import("./test_run.mjs").FileRun} FileRun */

const help = `Usage: scripts/test.sh [--runtime bun|deno|all] [--install-peers] [--release] [--soak] [FILTER]

Checks format, lint and types, then runs every test of tests/ on both runtimes, and those of tests/system also with
edge and agent on different runtimes. Its last line is "N passed, N failed" (", N skipped" may follow).

  FILTER             only test files whose path contains it; format, lint and types are then left out
  --runtime RUNTIME  bun, deno or all (default all); the mixed runs of tests/system need all
  --install-peers    installs the foreign programs that tests talk to (by apt-get, as root); a test that
                     lacks one then fails instead of being skipped
  --release          also tests/packaging, and tests/system with the compiled programs and with the npm package
                     under Node (22.18 or later); a FILTER that names them does so, too
  --soak             the long versions of the tests that have one
  --help             print this

Exit code: 0 passed, 1 something failed or no test ran, 2 wrong usage. RUNNEL_TEST_JOBS is the number of test files
that run at once (default the number of CPUs, at most 4); those that measure memory run one by one.`;

function readArguments() {
  const { values, positionals } = readOptions("test", help, {
    allowPositionals: true,
    options: {
      runtime: { type: "string", default: "all" },
      "install-peers": { type: "boolean", default: false },
      release: { type: "boolean", default: false },
      soak: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!["bun", "deno", "all"].includes(values.runtime)) usageError("test", `no such runtime: ${values.runtime}`);
  if (positionals.length > 1) usageError("test", `surplus argument: ${positionals[1]}`);
  const jobs = Number(process.env.RUNNEL_TEST_JOBS ?? Math.min(4, availableParallelism()));
  if (!Number.isInteger(jobs) || jobs < 1) usageError("test", `RUNNEL_TEST_JOBS is no number of files: ${jobs}`);
  return { ...values, filter: positionals[0] ?? "", jobs };
}

/** The test files, relative to the root, sorted. @param {string} filter */
function testFiles(filter) {
  return readdirSync(join(root, "tests"), { recursive: true, encoding: "utf8" })
    .map((file) => `tests/${file.replaceAll("\\", "/")}`)
    .filter((file) => file.endsWith(".test.ts") && file.includes(filter))
    .sort();
}

/** @param {string} file */
const isSystemTest = (file) => file.startsWith("tests/system/");

/** Their figures are worth nothing beside others. @param {string} file */
const runsAlone = (file) => /^tests\/(system\/(demo|memory)|scripts\/(abuse|fuzz))\b/.test(file);

/** What is tested once for a release, being the same code in other clothes. @param {string} file */
const isReleaseTest = (file) => file.startsWith("tests/packaging/");

/**
 * What edge and agent of system tests are, beside both on the runtime that runs the test.
 * @param {Runtime[]} runtimes @param {boolean} release
 */
function systemPairs(runtimes, release) {
  const pairs = runtimes.length < 2 ? [] : [["bun", "deno"], ["deno", "bun"]];
  if (!runtimes.includes("bun") || !release) return pairs;
  pairs.push(["binary", "binary"]);
  if (nodeProgram() !== null) pairs.push(["node", "node"]);
  else console.log("     the npm package is not tested: there is no node of version 22.18 or later");
  return pairs;
}

/**
 * What to run: each file on each runtime, and each system test also with other pairs of edge and agent (which runtime
 * drives those does not matter).
 * @param {string[]} files @param {Runtime[]} runtimes @param {boolean} release
 * @returns {FileRun[]}
 */
function plan(files, runtimes, release) {
  /** @type {FileRun[]} */
  const runs = files.flatMap((file) => runtimes.map((runtime) => ({ file, runtime, label: runtime, env: {} })));
  const systemTests = files.filter(isSystemTest);
  const pairs = systemTests.length === 0 ? [] : systemPairs(runtimes, release);
  for (const file of systemTests) {
    for (const [edge, agent] of pairs) {
      const env = { RUNNEL_EDGE_RUNTIME: edge, RUNNEL_AGENT_RUNTIME: agent };
      runs.push({ file, runtime: "bun", label: `${edge}+${agent}`, env });
    }
  }
  return runs;
}

/** @param {Result} result */
function report(result) {
  const { name, label, passed, failures, skipped, seconds, output } = result;
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  const mark = failures.length > 0 ? "FAIL" : "ok  ";
  const failedAs = failures.filter((test) => test.name === fileItself).map((test) => `${test.detail}\n`).join("");
  console.log(`${mark} ${label.padEnd(8)} ${name}: ${counts.join(", ")} (${seconds.toFixed(1)} s)`);
  // The runner's own output shows each failed test in full; what it cannot show is how the file itself failed.
  if (failures.length > 0) console.log(`\n${failedAs}${output}`.replace(/\n/g, "\n    ") + "\n");
}

/**
 * Runs `runs`, at most `jobs` at once, in order of their start.
 * @param {FileRun[]} runs @param {number} jobs @param {boolean} soak @returns {Promise<Result[]>}
 */
async function runAll(runs, jobs, soak) {
  /** @type {Result[]} */
  const results = [];
  const waiting = runs.values();
  const worker = async () => {
    for (const run of waiting) {
      const result = await runFile(run, { soak });
      report(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

/** @returns {Promise<Result[]>} */
async function runChecks() {
  const deno = programOf("deno");
  if (deno === null) {
    console.log("     format, lint and types are not checked: there is no deno on this machine");
    return [];
  }
  const results = [];
  for (const [name, ...args] of [["format", "fmt", "--check"], ["lint", "lint"], ["types", "check"]]) {
    const result = await runCheck(name, deno, args);
    report(result);
    results.push(result);
  }
  return results;
}

/** Makes the programs that system tests start, into dist/. @param {FileRun[]} runs @returns {Promise<Result[]>} */
async function buildPrograms(runs) {
  const results = [];
  for (const [form, script] of [["binary", "build.sh"], ["node", "pack.sh"]]) {
    if (!runs.some(({ env }) => env.RUNNEL_EDGE_RUNTIME === form)) continue;
    const result = await runCheck(script, join(root, "scripts", script), []);
    report(result);
    results.push(result);
  }
  return results;
}

async function main() {
  const startedAt = performance.now();
  const options = readArguments();
  setUp();
  if (options["install-peers"]) {
    installPeers();
    process.env.RUNNEL_REQUIRE_PEERS = "1";
  }
  if (options.soak) process.env.RUNNEL_SOAK = "1";

  /** @type {Runtime[]} */
  const wanted = options.runtime === "all" ? ["bun", "deno"] : [/** @type {Runtime} */ (options.runtime)];
  const runtimes = wanted.filter((runtime) => programOf(runtime) !== null);
  if (runtimes.length < wanted.length) console.log("     deno cannot be had on this machine: testing on bun only");
  const files = testFiles(options.filter);
  const release = options.release || (options.filter !== "" && files.every((file) => isReleaseTest(file)));
  const runs = plan(files.filter((file) => release || !isReleaseTest(file)), runtimes, release);
  const results = [
    ...(options.filter === "" ? await runChecks() : []),
    ...await buildPrograms(runs),
    ...await runAll(runs.filter(({ file }) => !runsAlone(file)), options.jobs, options.soak),
    ...await runAll(runs.filter(({ file }) => runsAlone(file)), 1, options.soak),
  ];

  const failures = results.flatMap(({ name, label, failures }) =>
    failures.map((test) => `${label} ${name}: ${test.name}`)
  );
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join("\n")}`);
  if (runs.length === 0) console.log(`\nNo test ran: no file of tests/ contains "${options.filter}"`);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const skipped = results.reduce((sum, result) => sum + result.skipped, 0);
  console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s in all`);
  console.log(`${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failures.length > 0 || runs.length === 0 ? 1 : 0;
}

for (const [signal, number] of /** @type {const} */ ([["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]])) {
  process.on(signal, () => {
    killAll();
    process.exit(128 + number);
  });
}
await main();
