/** The edge's own errors as answers: RFC 9457 problem details with a stable `code` and `X-Runnel-Error: CODE`. */
import { RunnelError } from "../base/mod.ts";
import type { Answer, Fields } from "./message.ts";
import { UpstreamError } from "./upstream_error.ts";
import {
  ExchangeError,
  isProblemCode,
  type ProblemCode,
  problemCodes,
  type ProblemKind,
  problemKinds,
} from "./problems.ts";

const encoder = new TextEncoder();
const kinds: Readonly<Record<ProblemCode, ProblemKind>> = problemKinds;

/** The field that marks an answer as the edge's own. It is removed from the answers of upstreams. */
export const errorFieldName = "X-Runnel-Error";

/**
 * The answer that tells of a problem.
 *
 * @param detail one sentence about this occurrence. The public sees it, so it must hold nothing secret.
 * @param extra further fields, e.g. `["Allow", "GET"]`. Default none.
 */
export function problemAnswer(code: ProblemCode, detail: string, extra: Fields = []): Answer {
  const { status, title, retryAfter } = kinds[code];
  const body = encoder.encode(
    JSON.stringify({ type: `urn:runnel:problem:${code}`, title, status, detail, code }) + "\n",
  );
  const fields = ["Content-Type", "application/problem+json", "Content-Length", String(body.length)];
  fields.push("Cache-Control", "no-store", errorFieldName, code);
  if (retryAfter !== undefined) fields.push("Retry-After", String(retryAfter));
  fields.push(...extra);
  return { status, fields, body };
}

const generalCodes: ReadonlyMap<unknown, ProblemCode> = new Map(
  problemCodes.filter((code) => kinds[code].isGeneral).map((code) => [kinds[code].status, code]),
);

/**
 * The problem code of any error: its own where that is in the table, else the general one of its `status`, else
 * `internal`.
 */
export function problemCodeOf(error: unknown): ProblemCode {
  if (!(error instanceof RunnelError)) return "internal";
  // The head that could not be written was that of the upstream's answer: ours are always well-formed.
  if (error.code === "invalid_head") return "upstream_invalid";
  if (isProblemCode(error.code)) return error.code;
  return generalCodes.get((error as { status?: unknown }).status) ?? "internal";
}

/**
 * What a public client gets where a handler rejects. The text of an unknown error is not shown, since it may hold secrets,
 * nor that of an upstream's, which names private addresses.
 */
export function errorAnswer(error: unknown): Answer {
  const code = problemCodeOf(error);
  const isPrivate = code === "internal" || error instanceof UpstreamError;
  const detail = isPrivate ? kinds[code].title : (error as RunnelError).reason;
  return problemAnswer(code, detail, error instanceof ExchangeError ? error.fields : undefined);
}
