/** Values of options: flag before environment before settings file before default, each checked, each fault named. */
import { RunnelError } from "../base/mod.ts";
import { environmentName, type OptionSpec, type OptionSpecs, type OptionValues } from "./option.ts";
import { UsageError } from "./usage_error.ts";

/** What the flags said, by name; a switch says `true`. */
export type GivenFlags = ReadonlyMap<string, readonly string[]>;

/** What a settings file said, by the key under which an option is declared (`connectTimeout`). */
export interface GivenSettings {
  readonly path: string;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

export interface Sources {
  readonly flags: GivenFlags;
  environment(name: string): string | undefined;
  /** Null or absent where there is no such file. */
  readonly settings?: GivenSettings | null;
}

/** Where a value came from; null where there is none. */
export type Origin = "flag" | "environment" | "settings" | "default" | null;

export interface ResolvedOptions<S extends OptionSpecs> {
  readonly values: OptionValues<S>;
  readonly origins: Readonly<Record<keyof S, Origin>>;
}

interface Found {
  readonly origin: Origin;
  /** For an error: `--token`, `RUNNEL_TOKEN`, `token in agent.yaml`. */
  readonly from: string;
  readonly texts: readonly string[];
}

const nowhere: Found = { origin: null, from: "", texts: [] };
const precedence: readonly Origin[] = [null, "default", "settings", "environment", "flag"];

/** @throws {UsageError} that names the flag, the variable or the key, the value, and what is wrong with it */
export function resolveOptions<S extends OptionSpecs>(specs: S, sources: Sources): ResolvedOptions<S> {
  const found = new Map(Object.entries(specs).map(([key, spec]) => [key, find(key, spec, sources)]));
  keepOneOfTwo(specs, found);
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const [key, spec] of Object.entries(specs)) {
    const { origin, from, texts } = found.get(key) as Found;
    const items = texts.map((text) => parse(spec, text, from));
    values[key] = spec.kind === "list" ? items : spec.kind === "switch" ? items[0] ?? false : items[0];
    origins[key] = origin;
  }
  return { values: values as OptionValues<S>, origins: origins as Record<keyof S, Origin> };
}

function find(key: string, spec: OptionSpec, sources: Sources): Found {
  const flag = sources.flags.get(spec.name);
  if (flag !== undefined) return { origin: "flag", from: `--${spec.name}`, texts: flag };
  const variable = environmentName(spec.name);
  const text = sources.environment(variable);
  // An empty variable is an unset one, as everywhere in shells.
  if (text !== undefined && text !== "") {
    const texts = spec.kind === "list" ? text.split(",").map((item) => item.trim()) : [text];
    return { origin: "environment", from: variable, texts };
  }
  const setting = sources.settings?.values.get(key);
  if (setting !== undefined) return { origin: "settings", from: `${key} in ${sources.settings?.path}`, texts: setting };
  if (spec.default !== undefined) return { origin: "default", from: `--${spec.name}`, texts: [spec.default] };
  return nowhere;
}

/** Of two options that stand for each other, the one from the stronger source counts; from the same source, neither. */
function keepOneOfTwo(specs: OptionSpecs, found: Map<string, Found>): void {
  for (const [key, spec] of Object.entries(specs)) {
    const other = Object.keys(specs).find((item) => specs[item]?.name === spec.insteadOf);
    if (spec.insteadOf === undefined || other === undefined) continue;
    const [mine, theirs] = [found.get(key) as Found, found.get(other) as Found];
    if (mine.origin === null || theirs.origin === null) continue;
    if (mine.origin === theirs.origin) {
      throw new UsageError(`${theirs.from} and ${mine.from} are both given, and only one can count`);
    }
    const isStronger = precedence.indexOf(mine.origin) > precedence.indexOf(theirs.origin);
    found.set(isStronger ? other : key, nowhere);
  }
}

function parse(spec: OptionSpec, text: string, from: string): unknown {
  try {
    return spec.parse(text);
  } catch (error) {
    if (error instanceof RunnelError) throw new UsageError(`${from}: ${withoutPassword(error.reason)}`);
    const shown = spec.secret === true ? "" : ` ${JSON.stringify(withoutPassword(text))}`;
    throw new UsageError(`${from}${shown} ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** `https://me:secret@example.com` is a mistake for most options, and no reason to print the secret. */
export function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/\s]*@/g, "//");
}
