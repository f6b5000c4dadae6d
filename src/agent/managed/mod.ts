/** The agent of `agent run`: several tunnels on one session, as its edge's config or a file says. */
export { EdgeApi } from "./edge_api.ts";
export { ManagedAgent, type ManagedAgentEvents } from "./managed_agent.ts";
export { StateFile } from "./state_file.ts";
export { MAX_TUNNELS, type TunnelConfig, TunnelConfigError, tunnelFields } from "./tunnel_config.ts";
export { type KeeperEvents, TunnelKeeper } from "./tunnel_keeper.ts";
export { TunnelSession } from "./tunnel_session.ts";
export { upstreamOf, type UpstreamsOptions } from "./upstreams.ts";
