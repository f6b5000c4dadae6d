/** Joins a program to the process it runs in. */
import { exit, tuneRuntime } from "../net/mod.ts";
import type { Program } from "./command.ts";
import { processHost } from "./host.ts";
import { runProgram } from "./program.ts";

export async function main(program: Program): Promise<never> {
  tuneRuntime();
  return exit(await runProgram(program, processHost()));
}
