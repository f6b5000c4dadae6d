// @ts-check
/** Runs one test file, or one check, in a process of its own and says how it went. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseJUnit } from "./junit.mjs";
import { cacheVariables, programOf, root } from "./toolchain.mjs";

/** @typedef {import("./toolchain.mjs").Runtime} Runtime */
/** @typedef {{ file: string, runtime: Runtime, label: string, env: Record<string, string> }} FileRun */
/** @typedef {{ name: string, detail: string }} Failure */
/**
 * @typedef {{ name: string, label: string, passed: number, failures: Failure[], skipped: number, seconds: number,
 *   output: string }} Result
 */

/** The name under which a failure stands that is no test's: a file that does not load, or a process that dies. */
export const fileItself = "the file itself";

const minute = 60_000;
const outputLimitBytes = 256 * 1024;

/** What every test and check finds in its environment. */
const environment = {
  NO_COLOR: "1",
  RUNNEL_CHECK_BUFFERS: "1",
  ...cacheVariables,
  DENO_NO_UPDATE_CHECK: "1",
};

/** Process groups that run at this moment. @type {Set<number>} */
const groups = new Set();

/** @param {number} pid */
function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of the group is left, which is what was wanted.
  }
}

/** Ends all that `runFile` and `runCheck` have running. */
export function killAll() {
  groups.forEach(killGroup);
}

/**
 * Runs a command in a process group of its own, which is gone when this resolves.
 * @param {string} command @param {string[]} args @param {Record<string, string>} env @param {number} limitMs
 * @returns {Promise<{ outcome: string | null, output: string, seconds: number }>} `outcome` is null for exit code 0
 */
function run(command, args, env, limitMs) {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      env: { ...process.env, ...environment, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const pid = child.pid;
    if (pid !== undefined) groups.add(pid);
    let output = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (pid !== undefined) killGroup(pid);
    }, limitMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => output = (output + text).slice(-outputLimitBytes));
    }
    /** @param {string | null} outcome */
    const done = (outcome) => {
      clearTimeout(timer);
      if (pid !== undefined) groups.delete(pid);
      resolve({ outcome, output: output.trim(), seconds: (performance.now() - startedAt) / 1000 });
    };
    child.on("error", (error) => done(`could not be started: ${error.message}`));
    // What a test left behind may hold the pipes open; it ends with the process that began it.
    child.on("exit", () => pid !== undefined && killGroup(pid));
    child.on("close", (code, signal) => {
      if (late) done(`took longer than ${limitMs / minute} minutes`);
      else done(code === 0 ? null : signal ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}

/** A path's text, or "" where there is no such file: a runtime that crashes writes none. @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/**
 * @param {FileRun} fileRun @param {{ soak: boolean }} options
 * @returns {Promise<Result>}
 */
export async function runFile({ file, runtime, label, env }, { soak }) {
  const folder = mkdtempSync(join(tmpdir(), "runnel-test-"));
  try {
    const xml = join(folder, "junit.xml");
    const args = runtime === "bun"
      ? [
        "test",
        "--timeout",
        String(soak ? 60 * minute : 2 * minute),
        "--reporter=junit",
        `--reporter-outfile=${xml}`,
        `./${file}`,
      ]
      : ["test", "-A", "--no-check", `--junit-path=${xml}`, file];
    const program = /** @type {string} */ (programOf(runtime));
    const { outcome, output, seconds } = await run(program, args, env, (soak ? 60 : 5) * minute);
    const cases = parseJUnit(readIfThere(xml));
    const failures = cases.filter((test) => test.outcome === "failed").map(({ name, detail }) => ({ name, detail }));
    const skipped = cases.filter((test) => test.outcome === "skipped").length;
    if (outcome !== null && failures.length === 0) failures.push({ name: fileItself, detail: outcome });
    if (outcome === null && cases.length === 0) failures.push({ name: fileItself, detail: "no test ran" });
    const passed = cases.filter((test) => test.outcome === "passed").length;
    return { name: file, label, passed, failures, skipped, seconds, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A check is one command: it counts as one test, passed or failed.
 * @param {string} name @param {string} command @param {string[]} args
 * @returns {Promise<Result>}
 */
export async function runCheck(name, command, args) {
  const { outcome, output, seconds } = await run(command, args, {}, 5 * minute);
  const failures = outcome === null ? [] : [{ name, detail: outcome }];
  return { name, label: "check", passed: 1 - failures.length, failures, skipped: 0, seconds, output };
}
