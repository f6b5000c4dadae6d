/**
 * Options are declared once: name, kind, default, check and help. Flags, environment variables, keys of the settings
 * file, `--help`, completion, `docs/cli.md` and error messages are made of these declarations.
 */
import { parseDuration, parseSize, parseTimeout } from "./units.ts";

/** What a shell offers as the value: these words, or names of files or folders. */
export type Completion = readonly string[] | "file" | "folder";

export interface OptionSpec<T = unknown> {
  /** As on the command line, without the hyphens: `connect-timeout`. */
  readonly name: string;
  /** A `switch` takes no value, a `list` may be repeated, and a `value` is given once. */
  readonly kind: "value" | "switch" | "list";
  /** Stands for the value in `--help`: `URL`, `DURATION`; empty for a switch. */
  readonly hint: string;
  /** What it does, as a sentence without capital and full stop. */
  readonly help: string;
  /** As a person would type it; undefined where there is none. */
  readonly default?: string;
  readonly completion?: Completion;
  /** True where no message may show the value. Default false. */
  readonly isSecret?: boolean;
  /** The name of an option that says the same in another way: a command uses one of the two. */
  readonly insteadOf?: string;
  /**
   * Makes the value of its text; of a list, one item. Throws an `Error` whose message goes on after name and value, such
   * as `is empty`, or a `RunnelError` whose reason is a sentence of its own.
   */
  readonly parse: (text: string) => T;
}

/** An option that may be repeated: `--allow a --allow b`. */
export interface ListSpec<T = unknown> extends OptionSpec<T> {
  readonly kind: "list";
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The values of options, under the keys of their declarations. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends ListSpec<infer T> ? readonly T[] : S[K] extends OptionSpec<infer T> ? T : never;
};

/** `RUNNEL_` and the flag in upper snake case. */
export function environmentName(name: string): string {
  return `RUNNEL_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** `--edge URL`; `--json` for a switch. */
export function flagUsage({ name, hint }: OptionSpec): string {
  return hint === "" ? `--${name}` : `--${name} ${hint}`;
}

/** What every kind of option declares. */
type Declaration = Omit<OptionSpec, "kind" | "parse">;

/** Only an option with a default always has a value. */
type Value<D, T> = D extends { readonly default: string } ? T : T | undefined;

/** An option with a syntax of its own. See `OptionSpec.parse` for what `parse` may throw. */
export function parsedOption<T, D extends Declaration>(
  declaration: D,
  parse: (text: string) => T,
): OptionSpec<Value<D, T>> {
  return { ...declaration, kind: "value", parse: parse as (text: string) => Value<D, T> };
}

/**
 * Any text but the empty one.
 *
 * @param check returns what is wrong with the text, as the end of a sentence; null where nothing is
 */
export function textOption<D extends Declaration>(
  declaration: D,
  check: (text: string) => string | null = () => null,
): OptionSpec<Value<D, string>> {
  return parsedOption(declaration, (text) => {
    const fault = text === "" ? "is empty" : check(text);
    if (fault !== null) throw new Error(fault);
    return text;
  });
}

/** One of `choices`. */
export function choiceOption<C extends string, D extends Omit<Declaration, "hint">>(
  declaration: D,
  choices: readonly C[],
): OptionSpec<Value<D, C>> {
  return parsedOption({ ...declaration, hint: choices.join("|"), completion: choices }, (text) => {
    const choice = choices.find((item) => item === text);
    if (choice === undefined) throw new Error(`is none of ${choices.join(", ")}`);
    return choice;
  }) as OptionSpec<Value<D, C>>;
}

/**
 * A duration such as `30s`, in milliseconds.
 *
 * @param range the least and the longest one, as a person would type them. Default: any.
 */
export function durationOption<D extends Omit<Declaration, "hint">>(
  declaration: D,
  range?: readonly [least: string, most: string],
): OptionSpec<Value<D, number>> {
  return unitOption(declaration, "DURATION", parseDuration, "is no duration such as 500ms, 30s, 5m, 1h", range);
}

/** A duration over 0, in milliseconds, or `off`: `Infinity`. */
export function timeoutOption<D extends Omit<Declaration, "hint">>(declaration: D): OptionSpec<Value<D, number>> {
  const fault = "is neither off nor a duration over 0 such as 500ms, 30s, 5m, 1h";
  return unitOption(declaration, "off|DURATION", parseTimeout, fault);
}

/**
 * A size such as `4MiB`, in bytes.
 *
 * @param range the least and the largest one, as a person would type them. Default: any.
 */
export function sizeOption<D extends Omit<Declaration, "hint">>(
  declaration: D,
  range?: readonly [least: string, most: string],
): OptionSpec<Value<D, number>> {
  return unitOption(declaration, "SIZE", parseSize, "is no size such as 64KiB, 4MiB", range);
}

/**
 * A whole number.
 *
 * @param range the least and the largest one.
 */
export function countOption<D extends Omit<Declaration, "hint">>(
  declaration: D,
  range: readonly [least: string, most: string],
): OptionSpec<Value<D, number>> {
  return unitOption(declaration, "NUMBER", parseCount, "is no whole number", range);
}

function parseCount(text: string): number | null {
  return /^\d{1,12}$/.test(text) ? Number(text) : null;
}

/** @param parse returns null for a text of another form, which `fault` then describes */
function unitOption<D extends Omit<Declaration, "hint">>(
  declaration: D,
  hint: string,
  parse: (text: string) => number | null,
  fault: string,
  range?: readonly [least: string, most: string],
): OptionSpec<Value<D, number>> {
  const [least, most] = range?.map((text) => parse(text) as number) ?? [0, Infinity];
  return parsedOption({ ...declaration, hint }, (text) => {
    const value = parse(text);
    if (value === null) throw new Error(fault);
    if (value < least! || value > most!) throw new Error(`is not between ${range!.join(" and ")}`);
    return value;
  }) as OptionSpec<Value<D, number>>;
}

/** False unless it is given. */
export function switchOption(declaration: Omit<Declaration, "hint" | "default">): OptionSpec<boolean> {
  return { ...declaration, hint: "", kind: "switch", parse: parseSwitch };
}

/** An empty list unless it is given. In an environment variable, commas separate the items. */
export function listOption<T>(declaration: Omit<Declaration, "default">, parse: (text: string) => T): ListSpec<T> {
  return { ...declaration, help: `${declaration.help}; may be repeated`, kind: "list", parse };
}

/** Reads a switch in the environment or in the settings file. Throws an `Error` as `OptionSpec.parse` does. */
export function parseSwitch(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new Error("is neither true nor false");
}
