/** Sessions between an agent and an edge, and the two protocols that carry them. */
export { type AskedTimeouts, askedTimeoutsShape } from "./asked_timeouts.ts";
export { parseJson } from "./json.ts";
export { type EdgeSession, type LinkEvents, type Session, type SessionEnd } from "./session.ts";
export { lostTunnelOf, openExchange, serveExchange, targetOf, V2AgentSession, V2EdgeSession } from "./v2/mod.ts";
export {
  closeReason,
  type ErrorFrame,
  FeatureChallengeLines,
  FeatureDraining,
  FeatureLatin1,
  FeatureReplaced,
  FeatureRequestCancel,
  FeatureRequestId,
  FeatureResponseAbort,
  FrameError,
  JsonAgentSession,
  JsonEdgeSession,
  type JsonEdgeSessionOptions,
  parseAgentFrame,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeErrorFrame,
  TypeRegister,
  TypeRegistered,
} from "./wsproto/mod.ts";
