/**
 * Which paths are the edge's own. Paths are compared as they came: nothing is decoded or normalized, so that
 * `/%61gent` and `/x/../agent` are a tunnel's.
 *
 *     path                        on the domain, on addresses   on hosts outside the domain
 *     /agent                      yes                           yes
 *     /api/agent/…                yes                           yes
 *     /healthz, /readyz           yes                           yes
 *     /.well-known/runnel/…       yes                           no
 *
 * A challenge under /.well-known/acme-challenge/ belongs to whoever ordered the certificate: src/edge/challenges.ts
 * answers those of the edge's own orders, on any host, and all others are tunnels'.
 */
import { pathOf } from "../http/mod.ts";

/** True for the paths of the agents' API (src/edge/agent_api.ts). */
export function isAgentApi(target: string): boolean {
  return target.startsWith("/api/agent/");
}

/** True for the paths that only agents ask for. */
export function isAgentPath(target: string): boolean {
  return pathOf(target) === "/agent" || isAgentApi(target);
}

/** True for the paths that say how the edge is. */
export function isProbePath(target: string): boolean {
  const path = pathOf(target);
  return path === "/healthz" || path === "/readyz";
}

/** True for the paths of agents and of probes, who may know the edge by any name. */
export function isServicePath(target: string): boolean {
  return isProbePath(target) || isAgentPath(target);
}

/** True for the paths that are the edge's own on its domain. */
export function isOwnPath(target: string): boolean {
  return isServicePath(target) || target.startsWith("/.well-known/runnel/");
}
