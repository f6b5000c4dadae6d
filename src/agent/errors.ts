/** Why an agent has no session. */
import { RunnelError } from "../base/mod.ts";

export type AgentErrorCode =
  /** The edge could not be reached, or is no edge. Trying again may help. */
  | "edge_unreachable"
  /** The edge refused the token. */
  | "unauthorized"
  | "too_many_attempts"
  /** The name cannot be had. */
  | "name_taken"
  | "bad_name"
  /** Edge and agent speak no common protocol. */
  | "protocol_mismatch"
  /** The edge refused for another reason of its own. */
  | "refused";

export class AgentError extends RunnelError {
  declare readonly code: AgentErrorCode;
  constructor(code: AgentErrorCode, reason: string, cause?: unknown) {
    super({ code, reason, initiator: "remote", retryable: !finalCodes.has(code), cause });
  }
}

/** What no further attempt with the same settings can change. */
const finalCodes: ReadonlySet<AgentErrorCode> = new Set(["unauthorized", "bad_name", "protocol_mismatch"]);
