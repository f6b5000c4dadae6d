/** What an `Accept` field says of media types (RFC 9110 §12.5.1). */
import { parseAccept } from "hono/utils/accept";

interface MediaRange {
  readonly type: string;
  readonly q: number;
}

/**
 * The quality that `accept` gives each of `types`, from 0 to 1; 0: it does not take that type.
 *
 * @param accept the field's value; several fields are joined with commas
 */
export function acceptQualities(accept: string, types: readonly string[]): number[] {
  const ranges = parseAccept(accept).map(({ type, q }) => ({ type: type.toLowerCase(), q }));
  return types.map((type) => qualityOf(type, ranges));
}

/** That of the most specific range that matches; 0 where none does. Of equally specific ones the highest counts. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const group = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const range of [type, group, "*/*"]) {
    const matching = ranges.filter((item) => item.type === range);
    if (matching.length > 0) return Math.max(...matching.map(({ q }) => q));
  }
  return 0;
}
