/** The edge: listens for the public and for agents, and routes the requests of one to the other. */
export type { AccessRecord, AccessStart, RequestObserver } from "./access.ts";
export type { AgentPeer } from "./agent_identity.ts";
export type { ChallengeAnswer } from "./challenges.ts";
export { type ClientPolicies, clientPolicyOf } from "./client_policies.ts";
export { type Edge, type EdgeEvents, type EdgeOptions, startEdge } from "./edge.ts";
export type { DeclaredTunnel, DeclaredTunnels } from "./declared.ts";
export type { ConfigResult, NodeService, PushRequest, ToldConfig } from "./node_service.ts";
export { joinEvents } from "./join_events.ts";
export type { EdgeListener } from "./listeners.ts";
export type { AgentSession, SessionFacts } from "./sessions.ts";
export type { EdgeFigures, RefusalFigures, TunnelFigures } from "./figures.ts";
export { TokenRefusals } from "./refusals.ts";
export type { TokenCheck, TokenOwner } from "./tokens.ts";
export type { ExpectedTunnel, Tunnel } from "./tunnels.ts";
