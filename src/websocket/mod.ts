/** WebSockets (RFC 6455) on Runnel's sockets: handshakes and framing, both roles. */
export { CloseTimeoutError, type WebSocketClose, WebSocketConnection } from "./connection.ts";
export type { WebSocketHandlers, WebSocketOptions } from "./connection.ts";
export { type DialedWebSocket, dialWebSocket, HandshakeError } from "./dial.ts";
export type { HandshakeErrorCode, WebSocketDialOptions } from "./dial.ts";
export { CloseCode, WebSocketProtocolError, type WebSocketRole } from "./frames.ts";
export { type AcceptedUpgrade, checkUpgrade, type RefusedUpgrade, type UpgradeOptions } from "./handshake.ts";
export { DEFAULT_MAX_MESSAGE_BYTES } from "./parser.ts";
