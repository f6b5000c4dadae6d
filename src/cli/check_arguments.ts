/**
 * What citty lets pass. A script that mistypes a flag must hear of it, so each of these is refused here:
 *
 * - an unknown flag: citty ignores it. It also takes `--logLevel` for `--log-level` and `--no-json` for a switch that is
 *   off, which are unknown here.
 * - a flag without its value: citty takes the next flag for the value, or an empty text at the end.
 * - a value for a switch: citty takes `--json=x` for `--json`.
 * - a flag that is given twice: citty takes the last value. The values come from here, since citty has but one for an
 *   option that may be repeated.
 * - a surplus argument: citty ignores it.
 * - a flag before the command: citty skips it, and takes its value for the command.
 *
 * All but the last are seen in the tokens of `parseArgs` of node:util, with which citty parses, too, in the same lenient
 * mode. citty does notice a missing argument and an unknown command (dispatch.ts).
 */
import { parseArgs } from "node:util";
import { didYouMean, type GivenFlags, type OptionSpec, UsageError } from "../config/mod.ts";
import type { Command } from "./command.ts";

/** Flags that every program answers itself. */
const builtInFlags = ["help", "version"];

/**
 * Checks `args`, which stand behind the words of `command`, and returns the flags among them.
 *
 * @throws {UsageError}
 */
export function checkArguments(args: readonly string[], command: Command): GivenFlags {
  const specs = new Map(Object.values(command.options).map((spec) => [spec.name, spec]));
  const surplusAt = Object.keys(command.positionals).length;
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokensOf(args, specs.values())) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const spec = token.rawName.startsWith("--") ? specs.get(token.name) : undefined;
    if (spec === undefined) throw unknownFlag(token.rawName, [...specs.keys(), ...builtInFlags]);
    collect(flags, spec, flagValue(spec, token.value, token.inlineValue === true));
  }
  if (words.length > surplusAt) {
    throw new UsageError(`The argument ${JSON.stringify(words[surplusAt])} is one too many`);
  }
  return flags;
}

/** True where flags stand before or between the words of `command`, so that `args` are more than words and `rest`. */
export function hasLeadingFlags(args: readonly string[], command: Command, rest: readonly string[]): boolean {
  return args.length > command.name.split(" ").length + rest.length;
}

/** Throws `UsageError` where a flag stands in place of the command. */
export function checkFirstWord(word: string): void {
  // Only the flag is shown of `--token=SECRET`.
  if (word.startsWith("-")) throw new UsageError(`The flag ${word.split("=")[0]} stands before the command`);
}

function tokensOf(args: readonly string[], specs: Iterable<OptionSpec>) {
  const options = Object.fromEntries(
    Array.from(specs, ({ name, kind }) => [name, { type: kind === "switch" ? "boolean" : "string" } as const]),
  );
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

function unknownFlag(rawName: string, names: readonly string[]): UsageError {
  const word = rawName.replace(/^-+(?:no-)?/, "");
  return new UsageError(`Unknown flag ${rawName}${didYouMean(word, names, "--")}`);
}

/** The value's text; `true` for a switch. */
function flagValue(spec: OptionSpec, value: string | undefined, isInline: boolean): string {
  if (spec.kind === "switch") {
    if (value === undefined) return "true";
    throw new UsageError(`--${spec.name} takes no value, and was given ${JSON.stringify(value)}`);
  }
  // In `--name --edge x` the value of --name was forgotten.
  if (value === undefined || (!isInline && value.startsWith("-") && value !== "-")) {
    const hint = `--${spec.name} ${spec.hint}, or --${spec.name}=VALUE for one that begins with a hyphen`;
    throw new UsageError(`The flag --${spec.name} has no value`, `Write ${hint}`);
  }
  return value;
}

function collect(flags: Map<string, string[]>, spec: OptionSpec, value: string): void {
  const known = flags.get(spec.name);
  if (known === undefined) flags.set(spec.name, [value]);
  else if (spec.kind === "list") known.push(value);
  else throw new UsageError(`The flag --${spec.name} is given more than once`);
}
