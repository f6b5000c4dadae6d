/**
 * Runnel as a library: the multiplexer, and `expose`.
 *
 * - `Connection` carries many streams, each with headers and flow control of its own, on one `Link`;
 *   `ResponseUpgrader` and `UpgradeRoundTripper` make links of HTTP connections.
 * - `expose` serves a function of the shape of `fetch` to the public through an edge.
 *
 * @module
 */
export { expose, type Exposed, type ExposeOptions } from "./src/agent/expose.ts";
export { AgentError, type AgentErrorCode } from "./src/agent/errors.ts";
export { EdgeUrlError } from "./src/agent/edge_url.ts";
export { type Clock, systemClock, type Timer } from "./src/base/clock.ts";
export { type Initiator, RunnelError } from "./src/base/errors.ts";
export * from "./src/httpstream/mod.ts";
