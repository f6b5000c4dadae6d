/** What is wrong with a stream of messages that was received. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

export type MessageFormatCode = "line_too_long" | "event_too_large" | "bad_json";

/** A stream cannot be read on: its connection is of no more use. */
export class MessageFormatError extends RunnelError {
  static {
    nameErrorClass(this, "MessageFormatError");
  }

  declare readonly code: MessageFormatCode;

  constructor(code: MessageFormatCode, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "remote", cause });
  }
}
