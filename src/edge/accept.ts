/** What a request's `Accept` says about the two forms of an error: a page for people, or JSON for programs. */
import { acceptQualities } from "../http/mod.ts";

const jsonTypes = ["application/problem+json", "application/json"];

/**
 * True where `accept` gives `text/html` a higher quality than JSON (RFC 9110 §12.5.1). False where it prefers neither,
 * as curl's does, which takes anything.
 *
 * @param accept the field's value; several fields are joined with commas
 */
export function prefersHtml(accept: string): boolean {
  const [html = 0, ...json] = acceptQualities(accept, ["text/html", ...jsonTypes]);
  return html > 0 && json.every((quality) => html > quality);
}
