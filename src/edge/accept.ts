/** What a request's `Accept` says about the two forms of an error: a page for people, or JSON for programs. */
import { parseAccept } from "hono/utils/accept";

const jsonTypes = ["application/problem+json", "application/json"];

/**
 * True where `accept` gives `text/html` a higher quality than JSON (RFC 9110 §12.5.1). False where it prefers neither,
 * as curl's does, which takes anything.
 *
 * @param accept the field's value; several fields are joined with commas
 */
export function prefersHtml(accept: string): boolean {
  const ranges = parseAccept(accept).map(({ type, q }) => ({ type: type.toLowerCase(), q }));
  const html = qualityOf("text/html", ranges);
  return html > 0 && jsonTypes.every((type) => html > qualityOf(type, ranges));
}

interface MediaRange {
  readonly type: string;
  readonly q: number;
}

/** The quality of the most specific range that matches; 0 where none does. Of equally specific ones the highest counts. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const group = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const range of [type, group, "*/*"]) {
    const matching = ranges.filter((item) => item.type === range);
    if (matching.length > 0) return Math.max(...matching.map(({ q }) => q));
  }
  return 0;
}
