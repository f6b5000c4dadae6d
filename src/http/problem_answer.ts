/** The edge's own errors as answers: RFC 9457 problem details with a stable `code` and `X-Runnel-Error: CODE`. */
import { RunnelError } from "../base/mod.ts";
import type { Answer, Fields } from "./message.ts";
import { isProblemCode, type ProblemCode, type ProblemKind, problemKinds } from "./problems.ts";

const encoder = new TextEncoder();

/** The field that marks an answer as the edge's own; an upstream's is stripped. */
export const errorFieldName = "X-Runnel-Error";

/**
 * @param detail one sentence about this occurrence; shown to the public, so nothing secret
 * @param extra further fields, e.g. `["Allow", "GET"]`
 */
export function problemAnswer(code: ProblemCode, detail: string, extra: Fields = []): Answer {
  const kind: ProblemKind = problemKinds[code];
  const body = encoder.encode(
    JSON.stringify({ type: `urn:runnel:problem:${code}`, title: kind.title, status: kind.status, detail, code }) + "\n",
  );
  const fields = ["Content-Type", "application/problem+json", "Content-Length", String(body.length)];
  fields.push("Cache-Control", "no-store", errorFieldName, code);
  if (kind.retryAfter !== undefined) fields.push("Retry-After", String(kind.retryAfter));
  fields.push(...extra);
  return { status: kind.status, fields, body };
}

/** The problem code of any error: its own where it is one of the table's, by its `status`, else `internal`. */
export function problemCodeOf(error: unknown): ProblemCode {
  if (!(error instanceof RunnelError)) return "internal";
  // Where there is a public client to be told, the head that could not be written was the upstream's answer's.
  if (error.code === "invalid_head") return "upstream_invalid";
  if (isProblemCode(error.code)) return error.code;
  return codeByStatus((error as { status?: unknown }).status);
}

function codeByStatus(status: unknown): ProblemCode {
  switch (status) {
    case 400:
      return "bad_request";
    case 502:
      return "upstream_failed";
    case 504:
      return "upstream_timeout";
    default:
      return "internal";
  }
}

/** What a public client gets where a handler gave no answer. An unknown error's text stays inside. */
export function errorAnswer(error: unknown): Answer {
  const code = problemCodeOf(error);
  const detail = code === "internal" ? problemKinds.internal.title : (error as RunnelError).reason;
  return problemAnswer(code, detail);
}
