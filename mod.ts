/**
 * Runnel as a library (docs/library.md): the multiplexer, and `expose`.
 *
 * - `expose` serves a function of the shape of `fetch` to the public through an edge.
 * - `Connection` carries many streams, each with headers and flow control of its own, on one `Link`;
 *   `ResponseUpgrader` and `UpgradeRoundTripper` make links of HTTP connections.
 * - `listen`, `HttpServer` and `fetchHandler` are what a `ResponseUpgrader` is served with.
 *
 * @module
 */
// Not by src/agent/mod.ts: its types reach those of zod, which the package does not install.
export { EdgeUrlError } from "./src/agent/edge_url.ts";
export { AgentError, type AgentErrorCode } from "./src/agent/errors.ts";
export { expose, type Exposed, type ExposeOptions } from "./src/agent/expose.ts";
export {
  type CancelSignal,
  type Clock,
  type Initiator,
  OptionError,
  RunnelError,
  systemClock,
  type Timer,
} from "./src/base/mod.ts";
export { type Answer, type Body, fetchHandler, type Handler, type RequestHead } from "./src/http/mod.ts";
export { HttpServer, type HttpServerInit } from "./src/http1/mod.ts";
export {
  type CloseInfo,
  Connection,
  ConnectionError,
  type ConnectionErrorCode,
  type ConnectionLimits,
  type ConnectionOptions,
  defaultMaxConcurrentStreams,
  ErrorCode,
  type Fields,
  type HeadOptions,
  type Link,
  type LinkCloseInfo,
  type LinkHandlers,
  MemoryAccount,
  type NewStreamHandler,
  noOpNewStreamHandler,
  type ResponseUpgrader,
  type Role,
  type Stream,
  StreamError,
  type StreamErrorCode,
  type StreamHandlers,
  type UpgradedConnection,
  type UpgradeOptions,
  type UpgradeRoundTripper,
  WebSocketLink,
  WebSocketRoundTripper,
  WebSocketUpgrader,
} from "./src/httpstream/mod.ts";
export {
  type DialTarget,
  listen,
  type Listener,
  type ListenTarget,
  type Socket,
  SocketError,
  type SocketErrorCode,
  tuneRuntime,
} from "./src/net/mod.ts";
export { HandshakeError, type HandshakeErrorCode, type WebSocketDialOptions } from "./src/websocket/mod.ts";
