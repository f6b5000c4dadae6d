/** Why an exchange with a client ends before its time. */
import { RunnelError } from "../../base/mod.ts";

export type ExchangeAbortCode =
  /** The client sent FIN before its request, or the answer to it, was complete. */
  | "client_closed"
  | "client_reset"
  | "request_timeout"
  /** `close()` of the server. */
  | "server_closed"
  /** The answer's body failed, or was not as long as its head said. */
  | "answer_failed"
  /** The answer went out without the body that this is the end of: nobody needs it any more. */
  | "answer_complete";

/**
 * The reason of an aborted `signal` and the error of a request body that broke off. A request that took too long has
 * the `status` 408; the others have none, since nobody is left who could be answered.
 */
export class ExchangeAbortedError extends RunnelError {
  declare readonly code: ExchangeAbortCode;
  readonly status: number | undefined;

  constructor(code: ExchangeAbortCode, reason: string, cause?: unknown) {
    const isRemote = code === "client_closed" || code === "client_reset" || code === "request_timeout";
    super({ code, reason, initiator: isRemote ? "remote" : "library", cause });
    this.status = code === "request_timeout" ? 408 : undefined;
  }
}

/** A handler's answer cannot be written as HTTP/1.1. The client gets the answer to this error, or a reset. */
export class InvalidAnswerError extends RunnelError {
  readonly status = 502;

  constructor(reason: string) {
    super({ code: "upstream_invalid", reason, initiator: "remote" });
  }
}
