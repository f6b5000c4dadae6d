/** Durations and sizes as people write them: `500ms`, `30s`, `5m`, `1h`, `90d`; `64KiB`, `4MiB`. */

/** Those that programs of the version before read, too. */
const formattedUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const durationUnits: Readonly<Record<string, number>> = { ...formattedUnits, d: 86_400_000 };
const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Milliseconds; null where the text is no duration. The unit is required: `5` could mean minutes. */
export function parseDuration(text: string): number | null {
  return withUnit(text, durationUnits);
}

/** Bytes; null where the text is no size. */
export function parseSize(text: string): number | null {
  return withUnit(text, sizeUnits);
}

/** Milliseconds, more than 0; `Infinity` for `off`; null where the text is neither that nor a duration. */
export function parseTimeout(text: string): number | null {
  if (text === "off") return Infinity;
  const ms = parseDuration(text);
  return ms === 0 ? null : ms;
}

/** The text of a timeout in whole units, the largest that fit: `off`, `90s`, `1500ms`. */
export function formatTimeout(ms: number): string {
  if (ms === Infinity) return "off";
  const [name = "ms", factor = 1] = Object.entries(formattedUnits).findLast(([, factor]) => ms % factor === 0) ?? [];
  return `${ms / factor}${name}`;
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)([A-Za-z]+)$/.exec(text);
  const unit = match === null || !Object.hasOwn(units, match[2] as string) ? undefined : units[match[2] as string];
  return unit === undefined ? null : Math.round(Number(match?.[1]) * unit);
}
