/** The multiplexer: many streams with their own flow control on one link, after Kubernetes' httpstream. */
export { Connection } from "./connection.ts";
export { ConnectionError, type ConnectionErrorCode, StreamError, type StreamErrorCode } from "./errors.ts";
export { MemoryAccount } from "../memory/mod.ts";
export type { Link, LinkCloseInfo, LinkHandlers, SentMessage } from "./link.ts";
export {
  type ConnectionLimits,
  type ConnectionOptions,
  defaultMaxConcurrentStreams,
  type LinkLimits,
} from "./options.ts";
export { parseResumeRequest, type ResumeRequest, type SessionAnswer } from "./resume_fields.ts";
export { ResumePoint } from "./resume_point.ts";
export {
  type CloseInfo,
  type Fields,
  type HeadOptions,
  type NewStreamHandler,
  noOpNewStreamHandler,
  type Role,
  type Stream,
  type StreamHandlers,
  type SuspensionHandlers,
} from "./types.ts";
export {
  type ResponseUpgrader,
  SUBPROTOCOL,
  type UpgradedConnection,
  type UpgradeOptions,
  type UpgradeRoundTripper,
  WebSocketRoundTripper,
  WebSocketUpgrader,
} from "./upgrade.ts";
export { WebSocketLink } from "./web_socket_link.ts";
export { ErrorCode, errorCodeName, Feature } from "./wire/mod.ts";
