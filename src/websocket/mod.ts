/** WebSockets (RFC 6455) on Runnel's sockets, as client and server: the opening handshake, messages, the close. */
export {
  type MessageSource,
  type WebSocketClose,
  WebSocketConnection,
  type WebSocketHandlers,
  type WebSocketOptions,
} from "./connection.ts";
export {
  type DialedWebSocket,
  dialWebSocket,
  HandshakeError,
  type HandshakeErrorCode,
  type WebSocketDialOptions,
} from "./dial.ts";
export { CloseCode, WebSocketProtocolError } from "./frames.ts";
export { checkUpgrade } from "./handshake.ts";
