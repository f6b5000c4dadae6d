/** One program of several commands: finds the command, checks the arguments, resolves the options, runs, exits. */
import { printable, printableLines, RunnelError } from "../base/mod.ts";
import { type GivenFlags, parseSwitch, resolveOptions } from "../config/mod.ts";
import { isMissingPermission } from "../net/mod.ts";
import { configureLog } from "../observe/mod.ts";
import { checkArguments } from "./check_arguments.ts";
import type { Command, CommandCall, Program } from "./command.ts";
import { checkSubject, findCommand, type FoundCommand, noSuchCommand, runFound } from "./dispatch.ts";
import { ExitCode, exitCodeOf, permissionRemedy, remedyFor, remedyOf } from "./exit_codes.ts";
import { commandUsage, programUsage } from "./help.ts";
import { inLocale, type ProgramHost } from "./host.ts";
import { createOutput, logOptions } from "./output.ts";

/** Runs `program` to its end, and resolves to the exit code. Never rejects. */
export async function runProgram(program: Program, processHost: ProgramHost): Promise<number> {
  const host = inLocale(processHost);
  let found: FoundCommand | null = null;
  try {
    const [first, ...others] = host.args;
    const words = first === "help" ? others : host.args;
    found = await findCommand(program, words);
    if (isGiven(host, "--help", "-h")) return print(host, usage(program, found?.command, host));
    if (isGiven(host, "--version", "-v")) return print(host, program.version());
    if (first === "help") {
      checkSubject(program, words, found);
      return print(host, usage(program, found?.command, host));
    }
    // Whoever gives no word at all wants to know which there are.
    if (first === undefined) host.stderr(`${programUsage(program, host)}\n`);
    if (found === null) throw noSuchCommand(program, host.args);
    const { command, rest } = found;
    const flags = checkArguments(rest, command);
    return await runFound(found, flags, (positionals) => runCommand(program, command, flags, positionals, host));
  } catch (error) {
    return fail(error, program, found?.command, host);
  } finally {
    await host.flush();
  }
}

async function runCommand(
  program: Program,
  command: Command,
  flags: GivenFlags,
  positionals: CommandCall["positionals"],
  host: ProgramHost,
): Promise<number> {
  const settings = await command.settings?.(host) ?? null;
  const environment = (name: string) => host.environment(name);
  const { values, origins } = resolveOptions(command.options, { flags, environment, settings });
  await configureLog(logOptions(values, host));
  const output = createOutput(values.json, host);
  return await command.run({ program, values, origins, positionals, settings, output, host });
}

/** Prints what went wrong, and returns the exit code. */
function fail(error: unknown, program: Program, command: Command | undefined, host: ProgramHost): number {
  const { isKnown, code, message } = described(error);
  const help = `See '${program.name}${command === undefined ? "" : ` ${command.name}`} --help'`;
  const remedy = permissionRemedy(message) ?? (error instanceof RunnelError ? remedyFor(error) : remedyOf(code)) ??
    help;
  const exitCode = exitCodeOf(error);
  const output = createOutput(isJsonWanted(host), host);
  output.event("error", { code, message, remedy });
  output.event("exit", { code: exitCode, from: "error" });
  host.stderr(`error: ${isKnown ? printable(message) : printableLines(message)}\n${printable(remedy)}\n`);
  return exitCode;
}

/** `isKnown` is false for a mistake of Runnel's own, which is told with its stack. */
function described(error: unknown): { isKnown: boolean; code: string; message: string } {
  if (error instanceof RunnelError) return { isKnown: true, code: error.code, message: error.reason };
  if (!(error instanceof Error)) return { isKnown: false, code: "internal", message: String(error) };
  if (isMissingPermission(error)) return { isKnown: true, code: "permission_denied", message: error.message };
  return { isKnown: false, code: "internal", message: error.stack ?? error.message };
}

/** Looked up without the options of the command, since the error may be about these. */
function isJsonWanted(host: ProgramHost): boolean {
  if (isGiven(host, "--json")) return true;
  try {
    return parseSwitch(host.environment("RUNNEL_JSON") ?? "false");
  } catch {
    // Neither true nor false: that is the error which is being printed.
    return false;
  }
}

function usage(program: Program, command: Command | undefined, host: ProgramHost): string {
  return command === undefined ? programUsage(program, host) : commandUsage(program, command, host);
}

function print(host: ProgramHost, text: string): number {
  host.stdout(text.endsWith("\n") ? text : text + "\n");
  return ExitCode.ok;
}

/** True where one of `flags` is given. Behind `--` there are arguments only. */
function isGiven({ args }: ProgramHost, ...flags: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((word) => flags.includes(word));
}
