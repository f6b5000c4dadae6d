/**
 * The values of options. A flag counts before the environment variable, that before the settings file, that before the
 * default. Every value is checked.
 */
import { RunnelError } from "../base/mod.ts";
import { environmentName, type OptionSpec, type OptionSpecs, type OptionValues } from "./option.ts";
import { UsageError, withoutPassword } from "./usage_error.ts";

/** The texts of the flags that are given, by name; `true` for a switch. */
export type GivenFlags = ReadonlyMap<string, readonly string[]>;

/** The texts of a settings file, by the keys under which the options are declared (`connectTimeout`). */
export interface GivenSettings {
  readonly path: string;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

export interface Sources {
  readonly flags: GivenFlags;
  environment(name: string): string | undefined;
  /** Null or undefined where there is no such file. */
  readonly settings?: GivenSettings | null;
}

/** Where a value comes from; null where there is none. */
export type Origin = "flag" | "environment" | "settings" | "default" | null;

export interface ResolvedOptions<S extends OptionSpecs> {
  readonly values: OptionValues<S>;
  readonly origins: Readonly<Record<keyof S, Origin>>;
}

interface Found {
  readonly origin: Origin;
  /** For error messages: `--token`, `RUNNEL_TOKEN`, `token in agent.yaml`. */
  readonly from: string;
  readonly texts: readonly string[];
}

const nowhere: Found = { origin: null, from: "", texts: [] };
/** The weakest first. */
const precedence: readonly Origin[] = [null, "default", "settings", "environment", "flag"];

/**
 * The value of each option, and where it comes from.
 *
 * @throws {UsageError} naming the flag, variable or key, the value unless it is secret, and what is wrong with it
 */
export function resolveOptions<S extends OptionSpecs>(specs: S, sources: Sources): ResolvedOptions<S> {
  const found = new Map(Object.entries(specs).map(([key, spec]) => [key, find(key, spec, sources)]));
  dropWeakerAlternatives(specs, found);
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
  // An empty variable counts as unset, as in shells.
  if (text !== undefined && text !== "") {
    const texts = spec.kind === "list" ? text.split(",").map((item) => item.trim()) : [text];
    return { origin: "environment", from: variable, texts };
  }
  const setting = sources.settings?.values.get(key);
  if (setting !== undefined) return { origin: "settings", from: `${key} in ${sources.settings?.path}`, texts: setting };
  if (spec.default !== undefined) return { origin: "default", from: `--${spec.name}`, texts: [spec.default] };
  return nowhere;
}

/**
 * Of two options that say the same (`insteadOf`), only the one from the stronger source counts.
 *
 * @throws {UsageError} where both are from the same source
 */
function dropWeakerAlternatives(specs: OptionSpecs, found: Map<string, Found>): void {
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
    const shown = spec.isSecret === true ? "" : ` ${JSON.stringify(withoutPassword(text))}`;
    throw new UsageError(`${from}${shown} ${error instanceof Error ? error.message : String(error)}`);
  }
}
