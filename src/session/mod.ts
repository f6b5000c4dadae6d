/** The face of `src/session`. */
export { type Session, type SessionEnd } from "./session.ts";
export { BinarySession, openExchange, serveExchange, targetOf } from "./v2/mod.ts";
export {
  closeReason,
  type ErrorFrame,
  FeatureRequestCancel,
  FeatureResponseAbort,
  FrameError,
  JsonAgentSession,
  JsonEdgeSession,
  type JsonEdgeSessionOptions,
  parseAgentFrame,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeError,
  TypeRegister,
  TypeRegistered,
} from "./wsproto/mod.ts";
