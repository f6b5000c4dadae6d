/**
 * The check of the raw arguments. Parsers let an unknown flag pass or keep the last of a repeated one; a script that
 * misspells a flag must hear of it.
 */
import { parseArgs } from "node:util";
import { type GivenFlags, nearest, type OptionSpec, type OptionSpecs, UsageError } from "../config/mod.ts";

export interface CheckedArguments {
  readonly flags: GivenFlags;
  readonly positionals: readonly string[];
}

/**
 * @param positionals names of the words that the command takes, for the message
 * @throws {UsageError} for an unknown flag, a missing value, a value that a switch does not take, a repeated
 *   single-valued flag, a missing or a surplus argument
 */
export function checkArguments(
  args: readonly string[],
  specs: OptionSpecs,
  positionals: readonly string[],
): CheckedArguments {
  const byName = new Map(Object.values(specs).map((spec) => [spec.name, spec]));
  const options = Object.fromEntries(
    [...byName.values()].map((spec) => [spec.name, { type: spec.kind === "switch" ? "boolean" : "string" } as const]),
  );
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const spec = token.rawName.startsWith("--") ? byName.get(token.name) : undefined;
    if (spec === undefined) throw unknownFlag(token.rawName, [...byName.keys()]);
    collect(flags, spec, flagValue(spec, token.value, token.inlineValue === true));
  }
  if (words.length < positionals.length) throw new UsageError(`The argument ${positionals[words.length]} is missing`);
  if (words.length > positionals.length) {
    throw new UsageError(`The argument ${JSON.stringify(words[positionals.length])} is one too many`);
  }
  return { flags, positionals: words };
}

function unknownFlag(rawName: string, names: readonly string[]): UsageError {
  const near = nearest(rawName.replace(/^-+(?:no-)?/, ""), [...names, "help", "version"]);
  return new UsageError(`Unknown flag ${rawName}${near === null ? "" : `; did you mean --${near}?`}`);
}

function flagValue(spec: OptionSpec, value: string | undefined, inline: boolean): string {
  if (spec.kind === "switch") {
    if (value !== undefined) {
      throw new UsageError(`--${spec.name} takes no value, and was given ${JSON.stringify(value)}`);
    }
    return "true";
  }
  // `--name --edge x` means that the value of --name was forgotten.
  if (value === undefined || (!inline && value.startsWith("-") && value !== "-")) {
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
