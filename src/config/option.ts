/**
 * Options, declared once: name, kind, default, check and help. Flags, environment variables, keys of a settings file,
 * `--help`, completion, the documentation and error messages are all made of these.
 */
import { parseDuration, parseSize } from "./units.ts";

/** What a shell offers as the value: these words, or what is on the disk. */
export type Completion = readonly string[] | "file" | "folder";

export interface OptionSpec<T = unknown> {
  /** As on the command line, without the dashes: `connect-timeout`. */
  readonly name: string;
  /** `switch` takes no value; `list` may be repeated; everything else stands once. */
  readonly kind: "value" | "switch" | "list";
  /** Shown for the value in `--help`: `URL`, `30s`; empty for a switch. */
  readonly hint: string;
  /** What it is for, as a sentence without capital and full stop. */
  readonly help: string;
  /** As one would write it; undefined where there is none. */
  readonly default?: string;
  readonly completion?: Completion;
  /** True where the value must never be shown again, not even in an error. */
  readonly secret?: boolean;
  /** The name of an option for which this one stands: only one of the two may be given. */
  readonly insteadOf?: string;
  /** Makes the value of its text (of a list: one item); throws an `Error` that ends the sentence «--name VALUE …». */
  readonly parse: (text: string) => T;
}

/** An option that collects: `--allow a --allow b`. */
export interface ListSpec<T = unknown> extends OptionSpec<T> {
  readonly kind: "list";
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What `resolveOptions` makes of specs, each under its key. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends ListSpec<infer T> ? readonly T[] : S[K] extends OptionSpec<infer T> ? T : never;
};

/** `RUNNEL_` and the flag in upper snake case. */
export function environmentName(name: string): string {
  return `RUNNEL_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** The words of a declaration: everything that needs no code. */
type Words = Omit<OptionSpec, "kind" | "parse">;

/** An option with a default always has a value; any other may have none. */
type Value<W, T> = W extends { readonly default: string } ? T : T | undefined;

/** Whatever `parse` makes of the text; the message of what it throws is shown. */
export function parsedOption<T, W extends Words>(words: W, parse: (text: string) => T): OptionSpec<Value<W, T>> {
  return { ...words, kind: "value", parse: parse as (text: string) => Value<W, T> };
}

/** @param check what is wrong with the text, as the end of a sentence; null where nothing is */
export function textOption<W extends Words>(
  words: W,
  check: (text: string) => string | null = () => null,
): OptionSpec<Value<W, string>> {
  return parsedOption(words, (text) => {
    const fault = text === "" ? "is empty" : check(text);
    if (fault !== null) throw new Error(fault);
    return text;
  });
}

/** One of `choices`. */
export function choiceOption<C extends string, W extends Omit<Words, "hint">>(
  words: W,
  choices: readonly C[],
): OptionSpec<Value<W, C>> {
  return parsedOption({ ...words, hint: choices.join("|"), completion: choices }, (text) => {
    const choice = choices.find((item) => item === text);
    if (choice === undefined) throw new Error(`is none of ${choices.join(", ")}`);
    return choice;
  }) as OptionSpec<Value<W, C>>;
}

/** Milliseconds. */
export function durationOption<W extends Omit<Words, "hint">>(words: W): OptionSpec<Value<W, number>> {
  return parsedOption({ ...words, hint: "DURATION" }, (text) => {
    return orThrow(parseDuration(text), "is no duration such as 500ms, 30s, 5m, 1h");
  }) as OptionSpec<Value<W, number>>;
}

/** Bytes. */
export function sizeOption<W extends Omit<Words, "hint">>(words: W): OptionSpec<Value<W, number>> {
  return parsedOption({ ...words, hint: "SIZE" }, (text) => {
    return orThrow(parseSize(text), "is no size such as 64KiB, 4MiB");
  }) as OptionSpec<Value<W, number>>;
}

/** False unless it is given. */
export function switchOption(words: Omit<Words, "hint" | "default">): OptionSpec<boolean> {
  return { ...words, hint: "", kind: "switch", parse: parseSwitch };
}

/** Empty unless it is given; an environment variable separates the items with commas. */
export function listOption<T>(words: Omit<Words, "default">, parse: (text: string) => T): ListSpec<T> {
  return { ...words, kind: "list", parse };
}

/** A switch takes no value on the command line, but has one in the environment and in files. */
export function parseSwitch(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new Error("is neither true nor false");
}

function orThrow(value: number | null, fault: string): number {
  if (value === null) throw new Error(fault);
  return value;
}
