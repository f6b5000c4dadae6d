/** Errors of streams and connections. Each tells who caused it and whether the same call may succeed later. */
import { type Initiator, nameErrorClass, RunnelError } from "../base/mod.ts";
import { ErrorCode, errorCodeName } from "./wire/mod.ts";

export type StreamErrorCode =
  /** A reset, by either side's owner or by the library; `errorCode` says why. */
  | "stream_reset"
  /** The peer does not take the stream now, or its limits do not allow it; nothing of it was processed. */
  | "refused"
  /** The connection ended before the stream did. */
  | "connection_lost"
  /** Fields that the wire cannot carry. */
  | "invalid_headers"
  /** More fields, or a longer header block, than the peer takes. */
  | "headers_too_large"
  /** A call that the stream's state does not allow. */
  | "invalid_state"
  /** The peer broke the protocol on this stream. */
  | "protocol_error";

export interface StreamErrorInit {
  code: StreamErrorCode;
  reason: string;
  initiator: Initiator;
  /** The number that the wire carries; default `CANCEL`. */
  errorCode?: number;
  retryable?: boolean;
  cause?: unknown;
}

/** One stream failed; its connection goes on. */
export class StreamError extends RunnelError {
  static {
    nameErrorClass(this, "StreamError");
  }

  declare readonly code: StreamErrorCode;
  /** The number of RST_STREAM (`ErrorCode`). */
  readonly errorCode: number;

  constructor(init: StreamErrorInit) {
    super(init);
    this.errorCode = init.errorCode ?? ErrorCode.CANCEL;
  }

  /** For a reset with `errorCode`. A refused stream was not processed, and may be retried. */
  static reset(errorCode: number, initiator: Initiator, what = "The stream", cause?: unknown): StreamError {
    const refused = errorCode === ErrorCode.REFUSED_STREAM;
    const who = initiator === "remote" ? "the peer" : initiator === "user" ? "this side" : "the library";
    return new StreamError({
      code: refused ? "refused" : "stream_reset",
      reason: `${what} was reset by ${who} with ${errorCodeName(errorCode)}`,
      initiator,
      errorCode,
      retryable: refused,
      cause,
    });
  }

  static invalidState(reason: string): StreamError {
    return new StreamError({ code: "invalid_state", reason, initiator: "user" });
  }
}

export type ConnectionErrorCode =
  /** The peer broke the protocol. */
  | "protocol_error"
  /** The peer ended the connection with an error: this side broke the protocol, or the peer failed. */
  | "peer_failed"
  /** Nothing was heard, or nothing was acknowledged, for too long. */
  | "peer_silent"
  /** The link ended, and not as the end of a drain. */
  | "link_lost"
  /** The link was lost, and the connection was not resumed in time, or the peer does not know it any more. */
  | "resume_expired"
  /** The peer sent more, or let more wait, than the limits of a connection allow. */
  | "flooded"
  /** `createStream()` on a connection that either side drains. */
  | "draining"
  /** A call on a connection that has ended. */
  | "closed";

export interface ConnectionErrorInit {
  code: ConnectionErrorCode;
  reason: string;
  initiator: Initiator;
  /** The number that the wire carries; default `NO_ERROR`. */
  errorCode?: number;
  retryable?: boolean;
  cause?: unknown;
}

/** A whole connection failed, and every stream on it. */
export class ConnectionError extends RunnelError {
  static {
    nameErrorClass(this, "ConnectionError");
  }

  declare readonly code: ConnectionErrorCode;
  /** The number of GOAWAY (`ErrorCode`). */
  readonly errorCode: number;

  constructor(init: ConnectionErrorInit) {
    super(init);
    this.errorCode = init.errorCode ?? ErrorCode.NO_ERROR;
  }
}

/** What becomes of an error that nobody was given a place for: it is not swallowed. */
export function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
