/** What `--hsts` says: for how long browsers ask by `https` alone (RFC 6797). */
import { parseDuration } from "./units.ts";

const directives = ["includeSubDomains", "preload"];
/** What lists of preloaded hosts ask for (hstspreload.org). */
const LEAST_PRELOAD_S = 31_536_000;

/**
 * Reads `180d`, `1h,includeSubDomains`, `365d,includeSubDomains,preload`. Commas or blanks separate the words.
 *
 * @returns the value of `Strict-Transport-Security` (RFC 6797 §6.1)
 * @throws {Error} whose message goes on after the text
 */
export function parseStrictTransport(text: string): string {
  const [duration = "", ...words] = text.split(/[\s,;]+/).filter((word) => word !== "");
  const ms = parseDuration(duration);
  if (ms === null) throw new Error("does not begin with a duration such as 180d");
  const given = words.map((word) => directives.find((item) => item.toLowerCase() === word.toLowerCase()) ?? word);
  const unknown = given.find((word) => !directives.includes(word));
  if (unknown !== undefined) throw new Error(`has the word ${unknown}, which is none of ${directives.join(", ")}`);
  const seconds = Math.floor(ms / 1000);
  const isPreload = given.includes("preload");
  if (isPreload && (seconds < LEAST_PRELOAD_S || !given.includes("includeSubDomains"))) {
    throw new Error("is not enough for preload, which needs includeSubDomains and 365d");
  }
  return [`max-age=${seconds}`, ...directives.filter((item) => given.includes(item))].join("; ");
}
