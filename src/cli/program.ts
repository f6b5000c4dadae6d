/** One program of several commands: finds the command, checks the arguments, resolves the options, runs, exits. */
import {
  commonOptions,
  type GivenSettings,
  nearest,
  type OptionSpecs,
  type OptionValues,
  parseSwitch,
  type ResolvedOptions,
  resolveOptions,
  UsageError,
} from "../config/mod.ts";
import { RunnelError } from "../base/mod.ts";
import { configureLog, type LogOptions } from "../observe/mod.ts";
import { checkArguments } from "./arguments.ts";
import { ExitCode, exitCodeOf, remedyOf } from "./exit_codes.ts";
import { findCommand, type FoundCommand } from "./find_command.ts";
import { commandUsage, programUsage } from "./help.ts";
import type { ProgramHost } from "./host.ts";
import { createOutput, type Output } from "./output.ts";
import { printable } from "./printable.ts";

/** The options of a command: those that all commands take, and its own. */
export type CommandOptions = OptionSpecs & typeof commonOptions;

export interface Command<S extends CommandOptions = CommandOptions> {
  /** One or more words: `serve`, `node add`. */
  readonly name: string;
  /** One sentence without full stop. */
  readonly summary: string;
  readonly options: S;
  /** Names of the arguments, in capitals, each with its help. */
  readonly positionals: Readonly<Record<string, string>>;
  /** The words that an argument may be, for completion. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  readonly examples: readonly string[];
  /** Reads the settings file behind flags and environment. Rejects with `UsageError`. */
  settings?(host: ProgramHost): Promise<GivenSettings | null>;
  /** Resolves to the exit code. What it rejects with is shown, and makes the exit code. */
  run(call: CommandCall<S>): Promise<number>;
}

/** One call of a command. */
export interface CommandCall<S extends CommandOptions = CommandOptions> extends ResolvedOptions<S> {
  readonly program: Program;
  readonly positionals: readonly string[];
  readonly settings: GivenSettings | null;
  readonly output: Output;
  readonly host: ProgramHost;
}

export interface Program {
  readonly name: string;
  readonly summary: string;
  /** The one line of `--version`. */
  version(): string;
  // deno-lint-ignore no-explicit-any -- each command has options of its own; `run` is called with just those
  readonly commands: readonly Command<any>[];
}

/** Runs `program` to its end. Never rejects: the exit code tells. */
export async function runProgram(program: Program, host: ProgramHost): Promise<number> {
  const own = untilSeparator(host.args);
  let found: FoundCommand | null = null;
  try {
    found = await findCommand(program, host.args);
    if (own.includes("--help") || own.includes("-h")) return say(host, usage(program, found?.command, host));
    if (own.includes("--version")) return say(host, program.version());
    if (found === null) throw noSuchCommand(program, host.args);
    return await runCommand(program, found.command, found.rest, host);
  } catch (error) {
    return fail(error, program, found?.command, host);
  } finally {
    await host.flush();
  }
}

async function runCommand(program: Program, command: Command, args: readonly string[], host: ProgramHost) {
  const { flags, positionals } = checkArguments(args, command.options, Object.keys(command.positionals));
  const settings = await command.settings?.(host) ?? null;
  const environment = (name: string) => host.environment(name);
  const { values, origins } = resolveOptions(command.options, { flags, environment, settings });
  await configureLog(logOptions(values, host));
  const output = createOutput(values.json, host);
  return await command.run({ program, values, origins, positionals, settings, output, host });
}

export function logOptions(values: OptionValues<typeof commonOptions>, host: ProgramHost): LogOptions {
  return { level: values.logLevel, format: values.logFormat, write: (line) => void host.stderr(line) };
}

function noSuchCommand(program: Program, [word]: readonly string[]): UsageError {
  const names = program.commands.map((item) => item.name);
  if (word === undefined) return new UsageError(`The command is missing: one of ${names.join(", ")}`);
  // Of --token=SECRET only the flag is repeated.
  const flag = word.split("=")[0] as string;
  if (word.startsWith("-")) return new UsageError(`The flag ${flag} stands before the command`);
  const near = nearest(word, names);
  return new UsageError(`Unknown command ${word}${near === null ? "" : `; did you mean ${near}?`}`);
}

function fail(error: unknown, program: Program, command: Command | undefined, host: ProgramHost): number {
  const known = error instanceof RunnelError;
  const code = known ? error.code : "internal";
  const message = known ? error.reason : error instanceof Error ? error.stack ?? error.message : String(error);
  const help = `See '${program.name}${command === undefined ? "" : ` ${command.name}`} --help'`;
  const remedy = (error instanceof UsageError ? error.remedy : null) ?? remedyOf(code) ?? help;
  const exitCode = exitCodeOf(error);
  const output = createOutput(wantsJson(host), host);
  output.event("error", { code, message, remedy });
  output.event("exit", { code: exitCode, from: "error" });
  host.stderr(`error: ${known ? printable(message) : message}\n${remedy}\n`);
  return exitCode;
}

/** Looked up without the command's own options, since an error may be about these. */
function wantsJson(host: ProgramHost): boolean {
  if (untilSeparator(host.args).includes("--json")) return true;
  try {
    return parseSwitch(host.environment("RUNNEL_JSON") ?? "false");
  } catch {
    // Neither true nor false: that is the error which is being shown.
    return false;
  }
}

function usage(program: Program, command: Command | undefined, host: ProgramHost): string {
  return command === undefined ? programUsage(program, host) : commandUsage(program, command, host);
}

function say(host: ProgramHost, text: string): number {
  host.stdout(text.endsWith("\n") ? text : text + "\n");
  return ExitCode.ok;
}

/** What stands after `--` belongs to the command that is run, and is none of our flags. */
function untilSeparator(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return end < 0 ? args : args.slice(0, end);
}
