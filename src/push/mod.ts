/** What an edge tells its agents: streams of Server-Sent Events, one for each of them. */
export { agentActions, type ConfigReason, type PushMessage, type PushType, pushTypes } from "./messages.ts";
export { PushRegistry, type PushRegistryOptions, type RegisterOptions } from "./registry.ts";
export { type PushSink, PushStream, PushStreamError } from "./sink.ts";
