/** How asking an upstream fails. The caller that waits for the head and the reader of the body get the same error. */
import { type Initiator, nameErrorClass, RunnelError } from "../base/mod.ts";
import { SocketError } from "../net/mod.ts";
import { isProblemCode, type ProblemCode, problemKinds } from "./problems.ts";

/** Each code with who began it. All but `upstream_reset` and `canceled` are problem codes. */
const initiators = {
  /** No connection came about. */
  upstream_refused: "remote",
  /** No connection, or no head of an answer, within its time. */
  upstream_timeout: "remote",
  /** The upstream ended the connection before its answer, or short of the answer's end. */
  upstream_closed: "remote",
  /** The connection was reset in the middle of the answer. */
  upstream_reset: "remote",
  /** The upstream's bytes are no answer, or one that must not be passed on. */
  upstream_invalid: "remote",
  /** The function that stands for an upstream threw. */
  upstream_failed: "remote",
  /** Too many requests wait for a socket already. */
  overloaded: "library",
  /** The request cannot be sent: its head is malformed, or its body is not as long as its Content-Length. */
  bad_request: "user",
  /** The caller aborted its signal, failed its body, or canceled the answer. Nobody is left to be told the status. */
  canceled: "user",
} as const satisfies Partial<Record<ProblemCode | "upstream_reset" | "canceled", Initiator>>;

export type UpstreamErrorCode = keyof typeof initiators;

/**
 * An upstream could not be asked, or its answer broke off. `retryable` says that nothing of the request was answered. It
 * does not say that sending the request twice is harmless.
 */
export class UpstreamError extends RunnelError {
  static {
    nameErrorClass(this, "UpstreamError");
  }

  declare readonly code: UpstreamErrorCode;
  /** The status that tells a public client about it. */
  readonly status: number;

  constructor(code: UpstreamErrorCode, reason: string, cause?: unknown) {
    const retryable = code === "upstream_refused" || code === "upstream_timeout" || code === "overloaded";
    super({ code, reason, initiator: initiators[code], retryable, cause });
    this.status = problemKinds[isProblemCode(code) ? code : "upstream_failed"].status;
  }

  /** For a dial that failed. */
  static ofDial(cause: unknown): UpstreamError {
    if (!(cause instanceof SocketError)) return new UpstreamError("upstream_refused", "Cannot connect", cause);
    if (cause.code === "aborted") return UpstreamError.ofCancel(cause);
    const code = cause.code === "connect_timeout" ? "upstream_timeout" : "upstream_refused";
    return new UpstreamError(code, cause.reason, cause);
  }

  /** For what the parser or the body's decoder threw. */
  static ofParse(cause: unknown): UpstreamError {
    const detail = cause instanceof RunnelError ? `: ${cause.reason}` : "";
    return new UpstreamError("upstream_invalid", `Malformed answer of the upstream${detail}`, cause);
  }

  /** For a caller that went away. */
  static ofCancel(cause: unknown): UpstreamError {
    return new UpstreamError("canceled", "The caller canceled the request", cause);
  }
}
