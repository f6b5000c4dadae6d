/** Errors of the admin API, as problems (RFC 9457). */
import type { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { ControlError } from "../control/mod.ts";
import { isProblemCode, problemAnswer, type ProblemCode } from "../http/mod.ts";
import { StoreError } from "../store/mod.ts";

/** A request is refused with this problem. */
export class Refusal extends RunnelError {
  static {
    nameErrorClass(this, "Refusal");
  }

  declare readonly code: ProblemCode;
  readonly extra: readonly string[];

  /** @param extra further fields of the answer */
  constructor(code: ProblemCode, detail: string, extra: readonly string[] = []) {
    super({ code, reason: detail, initiator: "user" });
    this.extra = extra;
  }
}

export function problemResponse(code: ProblemCode, detail: string, extra: readonly string[] = []): Response {
  const { status, fields, body } = problemAnswer(code, detail, extra);
  const headers = new Headers();
  for (let index = 0; index < fields.length; index += 2) {
    headers.append(fields[index] as string, fields[index + 1] as string);
  }
  return new Response(body as Uint8Array<ArrayBuffer>, { status, headers });
}

/** @param onError is told of mistakes of our own */
// deno-lint-ignore no-explicit-any -- whatever the app's environment is
export function answerProblems(app: Hono<any>, onError: (error: unknown) => void): void {
  app.notFound((c) => problemResponse("not_found", `The admin API has no route ${c.req.method} ${c.req.path}`));
  app.onError((error) => {
    if (error instanceof Refusal) return problemResponse(error.code, error.reason, error.extra);
    if (error instanceof StoreError) return problemResponse("store_unavailable", error.reason);
    if (error instanceof ControlError && isProblemCode(error.code)) return problemResponse(error.code, error.reason);
    if (error instanceof HTTPException && error.status === 400) {
      return problemResponse("bad_request", "The body is no JSON");
    }
    if (error instanceof HTTPException && error.status === 415) {
      return problemResponse("unsupported_media_type", "The body must have the Content-Type application/json");
    }
    onError(error);
    // The text of an unknown error may hold secrets.
    return problemResponse("internal", error instanceof RunnelError ? error.reason : "The admin API failed");
  });
}
