/** Why an agent has no tunnel. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

export type AgentErrorCode =
  /** The edge could not be reached, or what answers is no edge. Trying again may help. */
  | "edge_unreachable"
  /** The edge refused the token. */
  | "unauthorized"
  /** The token was refused, as many others at that moment. Trying again may help: an older edge refuses right ones, too. */
  | "too_many_attempts"
  /** Another agent has the name. */
  | "name_taken"
  /** No tunnel can have the name. */
  | "bad_name"
  /** Edge and agent speak no common protocol. */
  | "protocol_mismatch"
  /** The edge refused for another reason. */
  | "refused";

/** A tunnel could not be opened. `retryable` is false where another attempt needs other settings. */
export class AgentError extends RunnelError {
  static {
    nameErrorClass(this, "AgentError");
  }

  declare readonly code: AgentErrorCode;
  constructor(code: AgentErrorCode, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "remote", retryable: !finalCodes.has(code), cause });
  }
}

/** Errors that no further attempt with the same settings can avoid. */
const finalCodes: ReadonlySet<AgentErrorCode> = new Set(["unauthorized", "bad_name", "protocol_mismatch"]);
