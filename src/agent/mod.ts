/** The agent: dials an edge, keeps a tunnel open, and serves its requests with an upstream. */
export { Agent, type AgentEvents } from "./agent.ts";
export { AgentToken } from "./agent_token.ts";
export { AllowedUpstreams } from "./allowed_upstreams.ts";
export { type EdgeUrl, parseEdgeUrl } from "./edge_url.ts";
export { AgentError } from "./errors.ts";
export { newAgentKey } from "./handshake_fields.ts";
export { keptInstance, newInstance } from "./instance.ts";
export { openJsonTunnel } from "./json_dial.ts";
export {
  EdgeApi,
  type KeeperEvents,
  ManagedAgent,
  type ManagedAgentEvents,
  MAX_TUNNELS,
  StateFile,
  type TunnelConfig,
  TunnelConfigError,
  tunnelFields,
  TunnelKeeper,
  TunnelSession,
  upstreamOf,
  type UpstreamsOptions,
} from "./managed/mod.ts";
export { type OpenTunnel, type OpenTunnelOnce } from "./open_tunnel.ts";
export { proxyFor } from "./proxy.ts";
export { dialThrough } from "./proxy_dial.ts";
export { parseTarget, type UpstreamTarget } from "./target.ts";
export { openV2Tunnel, tryEdge, type V2DialOptions } from "./v2_dial.ts";
