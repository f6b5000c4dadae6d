/** Sessions on `runnel.v2`: both ends, and the two halves of one HTTP exchange on a stream. */
export { V2AgentSession } from "./agent_session.ts";
export { V2EdgeSession } from "./edge_session.ts";
export { openExchange } from "./open.ts";
export { lostTunnelOf, targetOf } from "./pseudo_fields.ts";
export { serveExchange } from "./serve.ts";
