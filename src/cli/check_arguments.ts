/**
 * The mistakes on a command line that citty lets pass. A mistyped flag must end the program, so each is refused here:
 *
 * - An unknown flag: citty ignores it. It also takes `--logLevel` for `--log-level`, and `--no-json` for a switch that is
 *   off; neither is documented, and both are refused.
 * - A flag without its value: citty takes the next flag as the value, or the empty text at the end of the line.
 * - A value for a switch: citty takes `--json=x` for `--json`.
 * - A flag that is given twice: citty takes the last value. It knows no option that may be repeated, and so the values
 *   of all flags come from here.
 * - A surplus argument: citty ignores it.
 * - A flag before the command: citty skips it, and takes its value for the command.
 *
 * citty parses with `parseArgs` of node:util in its lenient mode. The checks look at the tokens of that same parser, and
 * so see the same flags and arguments. A missing argument and an unknown command are left to citty (dispatch.ts).
 */
import { parseArgs } from "node:util";
import { didYouMean, flagUsage, type GivenFlags, type OptionSpec, UsageError } from "../config/mod.ts";
import { argumentNames, type Command } from "./command.ts";

/** Flags that are no options: the program answers them before anything is checked. */
const builtInFlags = ["help", "version"];

/**
 * Checks `args`, which stand behind the words of `command`, and returns the flags among them.
 *
 * @throws {UsageError}
 */
export function checkArguments(args: readonly string[], command: Command): GivenFlags {
  const specs = new Map(Object.values(command.options).map((spec) => [spec.name, spec]));
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  const { tokens } = parseArgs({
    args: [...args],
    options: flagTypes(command),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const spec = token.rawName.startsWith("--") ? specs.get(token.name) : undefined;
    if (spec === undefined) throw unknownFlag(token.rawName, [...specs.keys(), ...builtInFlags]);
    collect(flags, spec, flagValue(spec, token.value, token.inlineValue === true));
  }
  const surplusAt = argumentNames(command, flags).length;
  if (words.length > surplusAt) {
    throw new UsageError(`The argument ${JSON.stringify(words[surplusAt])} is one too many`);
  }
  return flags;
}

/** True where flags stand before or between the words of `command`, so that `args` are more than words and `rest`. */
export function hasLeadingFlags(args: readonly string[], command: Command, rest: readonly string[]): boolean {
  return args.length > command.name.split(" ").length + rest.length;
}

/** The error of a flag that stands in place of the command. */
export function leadingFlagError(word: string): UsageError {
  // Of `--token=SECRET` only the flag is shown.
  return new UsageError(`The flag ${word.split("=")[0]} stands before the command`);
}

/** The flags of a command, as citty and `parseArgs` want them: they must know which of them have a value. */
export function flagTypes({ options }: Command): Record<string, { readonly type: "boolean" | "string" }> {
  return Object.fromEntries(
    Object.values(options).map(({ name, kind }) => [name, { type: kind === "switch" ? "boolean" : "string" }]),
  );
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
    const inline = `--${spec.name}=VALUE for one that begins with a hyphen`;
    throw new UsageError(`The flag --${spec.name} has no value`, `Write ${flagUsage(spec)}, or ${inline}`);
  }
  return value;
}

function collect(flags: Map<string, string[]>, spec: OptionSpec, value: string): void {
  const known = flags.get(spec.name);
  if (known === undefined) flags.set(spec.name, [value]);
  else if (spec.kind === "list") known.push(value);
  else throw new UsageError(`The flag --${spec.name} is given more than once`);
}
