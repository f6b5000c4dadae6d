/** Runs a program as the process that it is. */
import { exit, tuneRuntime } from "../net/mod.ts";
import type { Program } from "./command.ts";
import { holdSignals } from "./held_signals.ts";
import { processHost } from "./host.ts";
import { runProgram } from "./program.ts";

/** Ends the process with the exit code of the program. */
export async function main(program: Program): Promise<never> {
  tuneRuntime();
  return exit(await runProgram(program, holdSignals(processHost())));
}
