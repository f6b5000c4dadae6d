/** What can be wrong with an HTTP/1.1 message: one that came in, or one that should go out. */
import { RunnelError } from "../../base/mod.ts";

/** The status that answers a message which could not be read; 502 for an upstream's answer. */
export type ParseErrorStatus = 400 | 405 | 414 | 431 | 501 | 502 | 505;

const codes: Record<ParseErrorStatus, string> = {
  400: "bad_request",
  405: "method_not_allowed",
  414: "uri_too_long",
  431: "head_too_large",
  501: "not_implemented",
  502: "upstream_invalid",
  505: "version_not_supported",
};

/** Which way a message goes: the same fault is a 400 in a request and a 502 in an upstream's answer. */
export type MessageSide = "request" | "answer";

/** The peer sent bytes that are no HTTP/1.1 message, or one that Runnel refuses. Nothing after them can be read. */
export class HttpParseError extends RunnelError {
  readonly status: ParseErrorStatus;

  constructor(status: ParseErrorStatus, reason: string) {
    super({ code: codes[status], reason, initiator: "remote" });
    this.status = status;
  }

  /** The error for `side`: an answer's faults are all 502, whatever they would be in a request. */
  static for(side: MessageSide, status: ParseErrorStatus, reason: string): HttpParseError {
    return new HttpParseError(side === "answer" ? 502 : status, reason);
  }
}

/** A head or trailer section that must not be written: it would not be read as what was meant. Code `invalid_head`. */
export class HttpWriteError extends RunnelError {
  constructor(reason: string) {
    super({ code: "invalid_head", reason, initiator: "user" });
  }
}
