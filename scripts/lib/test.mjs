// @ts-check
/** The one gate of this repository: format, lint, types, and every test on both runtimes. */
import { readdirSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { installPeers } from "./peers.mjs";
import { runTasks } from "./task_queue.mjs";
import { fileItself, killAll, runCheck, runFile } from "./test_run.mjs";
import { nodeProgram, programOf, root, setUp } from "./toolchain.mjs";

/** @typedef {import("./toolchain.mjs").Runtime} Runtime */
/** @typedef {import("./test_run.mjs").Result} Result */
/** @typedef {import("./test_run.mjs").FileRun} FileRun */
/** @typedef {import("./task_queue.mjs").Task<Result[]>} Task */

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

Exit code: 0 passed, 1 something failed or no test ran, 2 wrong usage. RUNNEL_TEST_JOBS is the number of checks and test
files that run at once (default twice the number of CPUs, at most 8, since many wait most of the time); of those that
measure memory, one at a time.`;

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
  const jobs = Number(process.env.RUNNEL_TEST_JOBS ?? Math.min(8, 2 * availableParallelism()));
  if (!Number.isInteger(jobs) || jobs < 1) usageError("test", `RUNNEL_TEST_JOBS is no number of files: ${jobs}`);
  return { ...values, filter: positionals[0] ?? "", jobs };
}

/** Its programs keep two processors busy for as long as it takes. @param {string} file */
const weightOf = (file) => file.startsWith("tests/scripts/abuse.") ? 3 : 1;

/**
 * Files that take long, by the beginnings of their names: they begin first, so that none of them is what all wait for in
 * the end. The first one is heavy, and begins while there is room for it.
 */
const long = ["tests/scripts/abuse.", "tests/packaging/", "tests/scripts/", "tests/system/", "tests/docs/"];

/** The place of a file in the order of starts. @param {string} file */
function orderOf(file) {
  const at = long.findIndex((beginning) => file.startsWith(beginning));
  return at === -1 ? long.length : at;
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

/** They move hundreds of megabytes, and would take the processors from each other. @param {string} file */
const measuresMemory = (file) => /^tests\/(system\/(demo|memory)|scripts\/(abuse|fuzz))\b/.test(file);

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

/** What a test prints of its figures: the only output of one that passed that is shown. */
const measurement = /^measured: .*$/gm;

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
  else for (const line of output.match(measurement) ?? []) console.log(`     ${line}`);
}

/** @param {() => Promise<Result>} run @returns {Task["run"]} */
const reported = (run) => async () => {
  const result = await run();
  report(result);
  return [result];
};

/** Format, lint and types, the longest one first. @returns {Task[]} */
function checkTasks() {
  const deno = programOf("deno");
  if (deno === null) {
    console.log("     format, lint and types are not checked: there is no deno on this machine");
    return [];
  }
  return [["types", "check"], ["format", "fmt", "--check"], ["lint", "lint"]].map(([name, ...args]) => ({
    run: reported(() => runCheck(name, deno, args)),
  }));
}

/**
 * What makes the programs of one form that system tests start, into dist/. Both scripts write the list of checksums
 * there.
 * @param {"binary" | "node"} form @returns {Task}
 */
function buildTask(form) {
  const script = form === "binary" ? "build.sh" : "pack.sh";
  return { run: reported(() => runCheck(script, join(root, "scripts", script), [])), lock: "dist" };
}

/**
 * The runs of test files in the order of their starts, with the builds before those that need them.
 * @param {FileRun[]} runs @param {boolean} soak @returns {Task[]}
 */
function testTasks(runs, soak) {
  const forms = /** @type {const} */ (["binary", "node"]).filter((form) =>
    runs.some(({ env }) => env.RUNNEL_EDGE_RUNTIME === form)
  );
  const builds = new Map(forms.map((form) => [/** @type {string} */ (form), buildTask(form)]));
  const inOrder = runs.toSorted((one, other) => orderOf(one.file) - orderOf(other.file));
  return [
    ...builds.values(),
    ...inOrder.map((run) => ({
      run: reported(() => runFile(run, { soak })),
      after: builds.get(run.env.RUNNEL_EDGE_RUNTIME ?? ""),
      lock: measuresMemory(run.file) ? "memory" : undefined,
      weight: weightOf(run.file),
    })),
  ];
}

/** Milliseconds that all processors together have worked and rested, since they were started. */
function processorTimes() {
  const times = cpus().map(({ times }) => times);
  const idle = times.reduce((sum, { idle }) => sum + idle, 0);
  const all = times.reduce((sum, { user, nice, sys, irq, idle }) => sum + user + nice + sys + irq + idle, 0);
  return { worked: all - idle, all };
}

/** @param {ReturnType<typeof processorTimes>} before */
function busyShare(before) {
  const now = processorTimes();
  return `${Math.round(100 * (now.worked - before.worked) / Math.max(1, now.all - before.all))} %`;
}

async function main() {
  const startedAt = performance.now();
  const timesBefore = processorTimes();
  const options = readArguments();
  setUp();
  // Peers come over the network: meanwhile the processors are free.
  const checking = runTasks(options.filter === "" ? checkTasks() : [], options.jobs).then((results) => results.flat());
  if (options["install-peers"]) {
    await installPeers();
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
  // What is left of the checks counts as one of the jobs.
  const tasks = [{ run: () => checking }, ...testTasks(runs, options.soak)];
  const results = (await runTasks(tasks, options.jobs)).flat();

  const failures = results.flatMap(({ name, label, failures }) =>
    failures.map((test) => `${label} ${name}: ${test.name}`)
  );
  if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join("\n")}`);
  if (runs.length === 0) console.log(`\nNo test ran: no file of tests/ contains "${options.filter}"`);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const skipped = results.reduce((sum, result) => sum + result.skipped, 0);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`\n${seconds} s in all, the processors of this machine ${busyShare(timesBefore)} busy`);
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
