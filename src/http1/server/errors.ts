/** Why an exchange with a client ends early. */
import { nameErrorClass, RunnelError } from "../../base/mod.ts";

export type ExchangeAbortCode =
  /** The client sent FIN before its request or the answer was complete. */
  | "client_closed"
  | "client_reset"
  | "request_timeout"
  /** So many heads are under way that this one, the oldest, has to go. */
  | "overloaded"
  /** `close()` of the server was called. */
  | "server_closed"
  /** The answer's body failed, or did not have the length that its head said. */
  | "answer_failed"
  /** The answer is complete, and the rest of this body is not needed. */
  | "answer_complete";

/**
 * The reason of an aborted `signal`, and the error of a request's body that broke off. The `status` is 408 for a
 * request that took too long, and 503 for one that there is no room for. The others have none, because there is no
 * client to be answered.
 */
export class ExchangeAbortedError extends RunnelError {
  static {
    nameErrorClass(this, "ExchangeAbortedError");
  }

  declare readonly code: ExchangeAbortCode;
  readonly status: number | undefined;

  constructor(code: ExchangeAbortCode, reason: string, cause?: unknown) {
    const isRemote = code === "client_closed" || code === "client_reset" || code === "request_timeout";
    super({ code, reason, initiator: isRemote ? "remote" : "library", cause });
    this.status = code === "request_timeout" ? 408 : code === "overloaded" ? 503 : undefined;
  }
}

/** A handler's answer cannot be sent in HTTP/1.1. The client gets a 502 or a reset. */
export class InvalidAnswerError extends RunnelError {
  static {
    nameErrorClass(this, "InvalidAnswerError");
  }

  readonly status = 502;

  constructor(reason: string) {
    super({ code: "upstream_invalid", reason, initiator: "remote" });
  }
}
