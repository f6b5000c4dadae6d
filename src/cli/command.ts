/** Declarations of programs and commands, which running, `--help`, completion and `docs/cli.md` are made of. */
import type { commonOptions, GivenFlags, GivenSettings, OptionSpecs, ResolvedOptions } from "../config/mod.ts";
import type { ProgramHost } from "./host.ts";
import type { Output } from "./output.ts";

/** The options of a command: those that all commands take, and its own. */
export type CommandOptions = OptionSpecs & typeof commonOptions;

export interface Command<S extends CommandOptions = CommandOptions> {
  /** One or more words: `serve`, `node add`. No command's words are the beginning of another's. */
  readonly name: string;
  /** One sentence without full stop. */
  readonly summary: string;
  readonly options: S;
  /** The arguments in their order, all of them required: the name in capitals, and its help. */
  readonly positionals: Readonly<Record<string, string>>;
  /** The name of a switch that may stand in place of the first argument: `edge push --all TYPE`. */
  readonly insteadOfFirst?: string;
  /** The words that an argument may be, for completion. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  readonly examples: readonly string[];
  /** Reads the settings file behind flags and environment. Rejects with `UsageError`. */
  settings?(host: ProgramHost): Promise<GivenSettings | null>;
  /** Resolves to the exit code. What it rejects with is printed, and decides the exit code. */
  run(call: CommandCall<S>): Promise<number>;
}

/** One call of a command. */
export interface CommandCall<S extends CommandOptions = CommandOptions> extends ResolvedOptions<S> {
  readonly program: Program;
  /** The arguments, under the names of `Command.positionals`. */
  readonly positionals: Readonly<Record<string, string>>;
  /** Null where there is no settings file. */
  readonly settings: GivenSettings | null;
  readonly output: Output;
  readonly host: ProgramHost;
}

export interface Program {
  readonly name: string;
  readonly summary: string;
  /** The one line of `--version`. */
  version(): string;
  // deno-lint-ignore no-explicit-any -- each command has its own options, and `run` is called with exactly those
  readonly commands: readonly Command<any>[];
}

/** `agent http TARGET [OPTIONS]`. */
export function usageLine(program: Program, command: Command): string {
  const [first, ...others] = Object.keys(command.positionals);
  const begin = command.insteadOfFirst === undefined ? first : `${first}|--${command.insteadOfFirst}`;
  return [program.name, command.name, ...(begin === undefined ? [] : [begin]), ...others, "[OPTIONS]"].join(" ");
}

/** The names of the arguments that a call with these flags has. */
export function argumentNames({ positionals, insteadOfFirst }: Command, flags: GivenFlags): string[] {
  const names = Object.keys(positionals);
  return insteadOfFirst !== undefined && flags.has(insteadOfFirst) ? names.slice(1) : names;
}
