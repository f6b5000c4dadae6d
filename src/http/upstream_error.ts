/** How asking an upstream fails, for the caller that waits for the head and for the reader of the body alike. */
import { type Initiator, RunnelError } from "../base/mod.ts";
import { SocketError } from "../net/mod.ts";

/** Each code with the status that tells a public client about it, and who began it. */
const kinds = {
  /** No connection came about. */
  upstream_refused: { status: 502, initiator: "remote" },
  /** No connection, or no head of an answer, within its time. */
  upstream_timeout: { status: 504, initiator: "remote" },
  /** The upstream ended the connection before its answer, or short of the answer's end. */
  upstream_closed: { status: 502, initiator: "remote" },
  /** The connection was reset in the middle of the answer. */
  upstream_reset: { status: 502, initiator: "remote" },
  /** The upstream's bytes are no answer, or one that must not be passed on. */
  upstream_invalid: { status: 502, initiator: "remote" },
  /** The function that stands for an upstream threw. */
  upstream_failed: { status: 502, initiator: "remote" },
  /** Too many requests wait for a socket already. */
  overloaded: { status: 503, initiator: "library" },
  /** The request cannot be sent as it is: its head is malformed, or its body is not as long as it said. */
  bad_request: { status: 400, initiator: "user" },
  /** The asking side went away: its signal, its body, or its reader. Nobody is left to be told the status. */
  canceled: { status: 502, initiator: "user" },
} as const satisfies Record<string, { status: number; initiator: Initiator }>;

export type UpstreamErrorCode = keyof typeof kinds;

/**
 * An upstream could not be asked, or its answer broke off. `status` is the hint for the public answer; `retryable`
 * says that nothing of the request was answered, not that sending it twice is harmless.
 */
export class UpstreamError extends RunnelError {
  declare readonly code: UpstreamErrorCode;
  readonly status: number;

  constructor(code: UpstreamErrorCode, reason: string, cause?: unknown) {
    const retryable = code === "upstream_refused" || code === "upstream_timeout" || code === "overloaded";
    super({ code, reason, initiator: kinds[code].initiator, retryable, cause });
    this.status = kinds[code].status;
  }

  /** For a dial that failed. */
  static ofDial(cause: unknown): UpstreamError {
    if (!(cause instanceof SocketError)) return new UpstreamError("upstream_refused", "cannot connect", cause);
    if (cause.code === "aborted") return UpstreamError.ofCancel(cause);
    return new UpstreamError(
      cause.code === "connect_timeout" ? "upstream_timeout" : "upstream_refused",
      cause.reason,
      cause,
    );
  }

  /** For what the parser or the body's decoder threw. */
  static ofParse(cause: unknown): UpstreamError {
    const detail = cause instanceof RunnelError ? `: ${cause.reason}` : "";
    return new UpstreamError("upstream_invalid", `Malformed answer of the upstream${detail}`, cause);
  }

  /** For an asking side that went away. */
  static ofCancel(cause: unknown): UpstreamError {
    return new UpstreamError("canceled", "request canceled by the asking side", cause);
  }
}
