/** The programs as commands, for scripts and shells that tests run. */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { programOf, root, runArguments } from "../../scripts/lib/toolchain.mjs";
import { runtimeName } from "../../src/net/current_runtime.ts";

/** Writes the command `path`, which runs `file` (from the root) under `runtime`, by default that of this test. */
export async function writeProgram(path: string, file: string, runtime = runtimeName): Promise<void> {
  const form = runtime === "deno" ? "deno" : "bun";
  const program = runtime === runtimeName ? process.execPath : programOf(form);
  const words = [program, ...runArguments(form, join(root, file), [])].map((word) => `'${word}'`);
  await writeFile(path, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  await chmod(path, 0o755);
}
