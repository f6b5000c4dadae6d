// @ts-check
/** Where this checkout is, and the Bun and the Deno that setup.sh has found for it. */
import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {"bun" | "deno"} Runtime */

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

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
  const path = join(root, "node_modules", ".runnel", "bin", runtime);
  return existsSync(path) ? realpathSync(path) : null;
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
