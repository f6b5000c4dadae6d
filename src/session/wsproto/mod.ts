/** The face of `src/session/wsproto`. */
export { JsonAgentSession } from "./agent_session.ts";
export { JsonEdgeSession, type JsonEdgeSessionOptions } from "./edge_session.ts";
export {
  type ErrorFrame,
  FeatureRequestCancel,
  FeatureResponseAbort,
  FrameError,
  parseAgentFrame,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeError,
  TypeRegister,
  TypeRegistered,
} from "./frames.ts";
export { closeReason } from "./link.ts";
