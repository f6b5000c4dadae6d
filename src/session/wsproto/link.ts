/** The WebSocket under a session of the JSON protocol. */
import type { WebSocketConnection } from "../../websocket/mod.ts";

/** What a session uses of it; text messages only. The edge's session gets them as bytes, the agent's as strings. */
export type JsonLink = Pick<
  WebSocketConnection,
  "handlers" | "sendText" | "sendTextBytes" | "sendTextFrom" | "close" | "abort" | "pause" | "resume" | "ping"
>;

/** Closes the link of an agent whose name another one took. From 4000 codes are free to use (RFC 6455 §7.4.2). */
export const REPLACED_CLOSE_CODE = 4001;

const MAX_REASON_BYTES = 123;

/** As much of `text` as a close frame can carry (RFC 6455 §5.5): 123 bytes of UTF-8, whole characters. */
export function closeReason(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_REASON_BYTES));
  return text.slice(0, read);
}
