/** Why a session does not get a tunnel. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

export type ClaimErrorCode =
  | "bad_name"
  | "name_taken"
  | "too_many_tunnels"
  | "too_many_sessions"
  | "name_not_allowed"
  | "feature_missing";

/** True where a limit is reached, of which `onFull` and `onQuotaReached` are told. */
export function isQuota(code: ClaimErrorCode): boolean {
  return code === "too_many_tunnels" || code === "too_many_sessions";
}

/** A tunnel could not be opened. */
export class ClaimError extends RunnelError {
  static {
    nameErrorClass(this, "ClaimError");
  }

  declare readonly code: ClaimErrorCode;
  constructor(code: ClaimErrorCode, reason: string) {
    super({ code, reason, initiator: "remote", retryable: code !== "bad_name" });
  }
}
