/** Why an agent has no tunnel. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

export type AgentErrorCode =
  /** The edge could not be reached, or what answers is no edge. */
  | "edge_unreachable"
  /** The edge refused the token. */
  | "unauthorized"
  /** The edge took the token, which may not open this tunnel. */
  | "name_not_allowed"
  /** The token was refused, as many others at that moment. Trying again may help: an older edge refuses right ones, too. */
  | "too_many_attempts"
  /** Another agent has the name. */
  | "name_taken"
  /** Another agent took the name from this one. */
  | "replaced"
  /** No tunnel can have the name. */
  | "bad_name"
  /** Edge and agent speak no common protocol. */
  | "protocol_mismatch"
  /** The edge refused for another reason. */
  | "refused";

/** What is known of an `AgentError` beside its code, reason and cause. */
export interface AgentErrorDetails {
  /** What a person can do, as a sentence without full stop. Default null: the code alone decides. */
  readonly remedy?: string | null;
  /** Default: false for `unauthorized`, `name_not_allowed`, `replaced`, `bad_name` and `protocol_mismatch`,
   * else true. */
  readonly retryable?: boolean;
  /** See `AgentError.isCutShort`. Default false. */
  readonly isCutShort?: boolean;
}

/**
 * A tunnel could not be opened, or was lost for good. `retryable` is false where the cause does not pass by itself:
 * another attempt needs other settings, or a change at the edge.
 */
export class AgentError extends RunnelError {
  static {
    nameErrorClass(this, "AgentError");
  }

  declare readonly code: AgentErrorCode;
  /** What a person can do about this cause, as a sentence without full stop; null where the code alone decides. */
  readonly remedy: string | null;
  /** True where the attempt was aborted before it had a result, so that the reason only says what it waited for. */
  readonly isCutShort: boolean;

  constructor(code: AgentErrorCode, reason: string, cause?: unknown, details: AgentErrorDetails = {}) {
    const { remedy = null, retryable = !lastingCodes.has(code), isCutShort = false } = details;
    super({ code, reason, initiator: "remote", retryable, cause });
    this.remedy = remedy;
    this.isCutShort = isCutShort;
  }
}

/** Errors that no further attempt with the same settings can avoid. */
const lastingCodes: ReadonlySet<AgentErrorCode> = new Set([
  ...["unauthorized", "name_not_allowed", "replaced", "bad_name", "protocol_mismatch"] as const,
]);
