/** The private side: dials the edge, keeps the tunnel open, asks the upstream. */
export { Agent, type AgentEvents } from "./agent.ts";
export { type EdgeUrl, parseEdgeUrl } from "./edge_url.ts";
export { AgentError } from "./errors.ts";
export { openJsonTunnel } from "./json_dial.ts";
export { proxyFor } from "./proxy.ts";
export { dialThrough } from "./proxy_dial.ts";
export { type OpenTunnel, type OpenTunnelOnce } from "./session.ts";
export { parseTarget, type UpstreamTarget } from "./target.ts";
export { type BinaryDialOptions, openBinaryTunnel } from "./v2_dial.ts";
export { type AgentErrorCode } from "./errors.ts";
export { EdgeUrlError } from "./edge_url.ts";
export { expose, type Exposed, type ExposeOptions } from "./expose.ts";
