/** Joins a program to the process it runs in. */
import { exit } from "../net/platform.ts";
import { processHost } from "./host.ts";
import { type Program, runProgram } from "./program.ts";

export async function main(program: Program): Promise<never> {
  return exit(await runProgram(program, processHost()));
}
