import { nameErrorClass, RunnelError } from "../base/mod.ts";

export type ControlErrorCode =
  /** A value cannot be used; `reason` names it. */
  | "bad_request"
  | "bad_name"
  | "node_not_found"
  | "tunnel_not_found"
  | "token_not_found"
  | "project_not_found"
  /** A revision is not kept any more, or has not been yet. */
  | "revision_not_found"
  /** A node, tunnel or hostname of that name exists. */
  | "name_taken"
  | "hostname_taken"
  | "port_taken"
  /** The record was changed by someone else meanwhile. */
  | "conflict"
  /** There are as many records of this kind as the edge takes. */
  | "too_many";

/** An operator's change was refused. */
export class ControlError extends RunnelError {
  static {
    nameErrorClass(this, "ControlError");
  }

  declare readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "user", retryable: code === "conflict", cause });
  }
}
