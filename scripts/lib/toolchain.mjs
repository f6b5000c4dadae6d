// @ts-check
/** Where this checkout is, and what runs its programs here. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {"bun" | "deno"} Runtime */
/**
 * What a program may be started as: its sources by a runtime, compiled (`binary`, out of dist/ by scripts/build.sh),
 * or as the npm package has it, by Node (`node`, out of dist/npm by scripts/pack.sh).
 * @typedef {Runtime | "binary" | "node"} Form
 */

/** @type {readonly Form[]} */
export const forms = ["bun", "deno", "binary", "node"];

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/**
 * @type {{ name: string, version: string, description: string, license: string,
 *   dependencies: Record<string, string> }}
 */
export const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Where setup.sh and `--install-peers` keep what they have made; `npm ci` takes it away with everything else. */
const stateFolder = join(root, "node_modules", ".runnel");

/** The folder into which a Node from npm is installed for the tests, and its package for this machine. */
export const nodePeerFolder = join(stateFolder, "node");
export const nodePeerPackage = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;

/**
 * Tells the runtimes where to keep what they have transpiled and compiled. By default they look in the home folder, which
 * many tests replace: each start would then begin at nothing.
 */
export const cacheVariables = {
  DENO_DIR: process.env.DENO_DIR || join(stateFolder, "cache", "deno"),
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: process.env.BUN_RUNTIME_TRANSPILER_CACHE_PATH || join(stateFolder, "cache", "bun"),
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || join(stateFolder, "cache", "node"),
};

/** The virtual environment with the peers from PyPI. */
export const pythonPeerFolder = join(stateFolder, "python");

/** Runs setup.sh; where it fails, this process ends with its exit code. */
export function setUp() {
  const { status } = spawnSync(join(root, "scripts", "setup.sh"), ["--quiet"], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

/**
 * The runtime's own program (never a wrapper, so that signals reach it), or null where this machine cannot have it.
 * @param {Runtime} runtime
 */
export function programOf(runtime) {
  const path = join(stateFolder, "bin", runtime);
  return existsSync(path) ? realpathSync(path) : null;
}

/** A Node of version 22.18 or later (that runs TypeScript as it is), from `--install-peers` or from PATH, or null. */
export function nodeProgram() {
  return findNode((major, minor) => major > 22 || (major === 22 && minor >= 18));
}

/** A Node that is too old for the npm package, from PATH, or null. */
export function oldNodeProgram() {
  return findNode((major) => major < 22);
}

/** @param {(major: number, minor: number) => boolean} isWanted */
function findNode(isWanted) {
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node"));
  for (const path of [join(nodePeerFolder, "node_modules", nodePeerPackage, "bin", "node"), ...onPath]) {
    if (!existsSync(path)) continue;
    const [major, minor] = spawnSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).stdout.split(".");
    if (isWanted(Number(major), Number(minor))) return path;
  }
  return null;
}

/**
 * The arguments with which `runtime` runs the TypeScript program `file`.
 * @param {Runtime} runtime
 * @param {string} file relative to the root
 * @param {string[]} rest the program's own arguments
 */
export function runArguments(runtime, file, rest) {
  return runtime === "deno" ? ["run", "-A", file, ...rest] : [file, ...rest];
}

/**
 * The command that runs `file` in the form `form`. What is no program of ours (an example) has no compiled form: Bun
 * runs it then.
 * @param {Form} form
 * @param {string} file relative to the root
 * @param {string[]} rest the program's own arguments
 * @returns {[command: string, ...args: string[]]}
 */
export function commandOf(form, file, rest) {
  const name = file.startsWith("bin/") ? basename(file, ".ts") : null;
  if (form === "binary" && name !== null) {
    const suffix = process.platform === "win32" ? ".exe" : "";
    return [built(`${name}${suffix}`, "scripts/build.sh"), ...rest];
  }
  if (form === "node") {
    const node = nodeProgram();
    if (node === null) throw new Error("there is no node of version 22.18 or later on this machine");
    return [node, name === null ? file : built(`npm/${name}.js`, "scripts/pack.sh"), ...rest];
  }
  const runtime = form === "deno" ? "deno" : "bun";
  const program = programOf(runtime);
  if (program === null) throw new Error(`there is no ${runtime} on this machine`);
  return [program, ...runArguments(runtime, file, rest)];
}

/** @param {string} path in dist/ @param {string} script what makes it */
function built(path, script) {
  const file = join(root, "dist", path);
  if (!existsSync(file)) throw new Error(`dist/${path} is not there: run ${script}`);
  return file;
}
