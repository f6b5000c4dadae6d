/** What agents are told, and how it stands on their streams. docs/push.md is about the same. */
import { sseComment, sseEvent } from "../sse/mod.ts";

/** Why a config has another version; `resync`: something may have been missed. */
export type ConfigReason = "deploy" | "fleet" | "tunnel" | "resync";

/** What an agent is to do: dial its connections anew, finish what runs and end, end now. */
export type AgentAction = "reconnect" | "drain" | "shutdown";

export type PushMessage =
  | { readonly type: "config_changed"; readonly version: number; readonly reason: ConfigReason }
  /** Is to be obeyed before `expiresAt` (RFC 3339, UTC) alone. It is sent once and never again. */
  | { readonly type: "action"; readonly action: AgentAction; readonly expiresAt: string }
  | { readonly type: "poll_interval"; readonly pollIntervalMs: number };

export type PushType = PushMessage["type"];

export const pushTypes: readonly PushType[] = ["config_changed", "action", "poll_interval"];
export const agentActions: readonly AgentAction[] = ["reconnect", "drain", "shutdown"];

/** Those that an agent gets later where it was not there: a `shutdown` that came again would never end. */
export function isReplayed({ type }: PushMessage): boolean {
  return type !== "action";
}

const encoder = new TextEncoder();

/** The first bytes of a stream, so that proxies and agents see that it is open. */
export const connectedBytes: Uint8Array = encoder.encode(sseComment("connected"));
/** What a stream carries while nothing happens. */
export const keepAliveBytes: Uint8Array = encoder.encode(sseComment("keepalive"));

/** A message as an event of a stream (WHATWG HTML §9.2.5). */
export function bytesOfMessage(id: string, { type, ...fields }: PushMessage): Uint8Array {
  return encoder.encode(sseEvent({ type, id, data: JSON.stringify({ type, ...fields }) }));
}
