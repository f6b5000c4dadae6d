/**
 * The edge's own errors as visitors get them: a small page where `Accept` prefers one, else problem details. The page has
 * status and code of the problem, and no text but that of the table of problems: nothing of the request, nothing of the
 * upstream.
 */
import { createHash } from "node:crypto";
import {
  type Answer,
  fieldValues,
  type ProblemCode,
  type ProblemKind,
  problemKinds,
  type RequestHead,
  withoutFields,
} from "../http/mod.ts";
import { prefersHtml } from "./accept.ts";

const kinds: Readonly<Record<ProblemCode, ProblemKind>> = problemKinds;
const encoder = new TextEncoder();

const style = "html{color-scheme:light dark}" +
  "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}" +
  "h1{font-size:1.5rem}code{opacity:.7}";
const styleHash = createHash("sha256").update(style).digest("base64");

const formFields: ReadonlySet<string> = new Set(["content-type", "content-length"]);
const securityFields = [
  ...["Content-Security-Policy", `default-src 'none'; style-src 'sha256-${styleHash}'`],
  ...["X-Content-Type-Options", "nosniff"],
];

/**
 * The `Accept` of a request whose answer may be a page; null for handshakes of upgrades. HEAD has the fields that GET would
 * have (RFC 9110 §9.3.2).
 */
export function acceptOf(
  { fields, upgrade }: Pick<RequestHead, "fields" | "upgrade">,
): string | null {
  return upgrade !== undefined ? null : fieldValues(fields, "accept").join(", ");
}

/**
 * `problem`, or the page about it where `accept` prefers one.
 *
 * @param problem what `problemAnswer` made of `code`
 * @param accept see `acceptOf`; null: there is no choice
 */
export function inAcceptedForm(problem: Answer, code: ProblemCode, accept: string | null): Answer {
  if (accept === null) return problem;
  const { status, fields } = problem;
  if (!prefersHtml(accept)) return { ...problem, fields: [...fields, "Vary", "Accept"] };
  const body = encoder.encode(pageOf(code));
  const form = ["Content-Type", "text/html; charset=utf-8", "Content-Length", String(body.length)];
  return { status, fields: [...form, ...withoutFields(fields, formFields), ...securityFields, "Vary", "Accept"], body };
}

/** The table's texts have no characters that mean something in HTML. */
function pageOf(code: ProblemCode): string {
  const { status, title, visitorAdvice } = kinds[code];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${title}</title>
<style>${style}</style>
<h1>${title}</h1>
<p>${visitorAdvice}</p>
<p><code>${status} ${code}</code></p>
</html>
`;
}
