/** Sessions of the JSON protocol: both ends, and the frames with which a link becomes one. */
export { JsonAgentSession } from "./agent_session.ts";
export { JsonEdgeSession, type JsonEdgeSessionOptions } from "./edge_session.ts";
export {
  type ErrorFrame,
  FeatureChallengeLines,
  FeatureDraining,
  FeatureLatin1,
  FeatureReplaced,
  FeatureRequestCancel,
  FeatureRequestId,
  FeatureResponseAbort,
  FrameError,
  parseAgentFrame,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeErrorFrame,
  TypeRegister,
  TypeRegistered,
} from "./frames.ts";
export { closeReason } from "./link.ts";
