/** What can be wrong with an HTTP/1.1 message, received or to be sent. */
import { nameErrorClass, RunnelError } from "../../base/mod.ts";

/** The status that answers a message which cannot be parsed; 502 for an upstream's response. */
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

/** The kind of a message: the same fault is a 400 in a request and a 502 in an upstream's response. */
export type MessageSide = "request" | "response";

/** The peer sent bytes that are no HTTP/1.1 message, or one that Runnel refuses. Nothing after them can be parsed. */
export class HttpParseError extends RunnelError {
  static {
    nameErrorClass(this, "HttpParseError");
  }

  readonly status: ParseErrorStatus;

  constructor(status: ParseErrorStatus, reason: string) {
    super({ code: codes[status], reason, initiator: "remote" });
    this.status = status;
  }

  /** The error for `side`. The faults of a response are all 502. */
  static for(side: MessageSide, status: ParseErrorStatus, reason: string): HttpParseError {
    return new HttpParseError(side === "response" ? 502 : status, reason);
  }
}

/** A head or trailer section cannot be written: others would not read it as it is meant. Code `invalid_head`. */
export class HttpWriteError extends RunnelError {
  static {
    nameErrorClass(this, "HttpWriteError");
  }

  constructor(reason: string) {
    super({ code: "invalid_head", reason, initiator: "user" });
  }
}
