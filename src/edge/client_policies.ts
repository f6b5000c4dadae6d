/**
 * Who must show a certificate is decided by the name of the TLS handshake. A request on that connection may be for another
 * host (RFC 9110 §7.4), whose rule may be another one.
 */
import { isIP } from "node:net";
import { ExchangeError, type Handler } from "../http/mod.ts";
import type { ClientPolicy } from "../net/mod.ts";
import { type DeclaredTunnels, noneDeclared } from "./declared.ts";
import { hostOf } from "./router.ts";

/** See `TlsAcceptorOptions.clientPolicyOf`. */
export type ClientPolicyOf = (serverName: string | null) => ClientPolicy | null;

export interface ClientPolicies {
  /** For visitors of tunnels without one of their own; null: those need not show a certificate. */
  readonly general: ClientPolicy | null;
  /** By the names of tunnels, in place of the general one. */
  readonly ofTunnel: ReadonlyMap<string, ClientPolicy>;
}

/**
 * The policy for a host, by the tunnel that the router finds for it at the moment. The domain itself, `localhost` and a
 * client that asks for no name have none: agents, which have no certificate, connect there.
 *
 * @param declared whose hostnames count as their tunnels. Default: there are none.
 */
export function clientPolicyOf(
  { general, ofTunnel }: ClientPolicies,
  domain: string,
  declared: Pick<DeclaredTunnels, "ofHost"> = noneDeclared,
): ClientPolicyOf {
  const own = domain.toLowerCase();
  const suffix = `.${own}`;
  return (host) => {
    if (host === null || host === own || host === "localhost") return null;
    const label = host.endsWith(suffix) ? host.slice(0, -suffix.length) : "";
    const tunnel = label !== "" && !label.includes(".") ? label : declared.ofHost(host);
    return (tunnel === null ? null : ofTunnel.get(tunnel)) ?? general;
  };
}

/**
 * Refuses requests for hosts that have another policy than the connection's, with 421 `misdirected_request` (RFC 9110
 * §15.5.20).
 *
 * @param policyId of the connections that the handler serves; null: their clients were not asked for a certificate
 */
export function underPolicy(handler: Handler, policyId: string | null, policyOf: ClientPolicyOf): Handler {
  return (head, body, signal) => {
    const policy = policyOf(serverNameOf(head.authority));
    if ((policy?.id ?? null) === policyId) return handler(head, body, signal);
    const reason = "This host wants to know its clients in another way than the name of the TLS connection does";
    return Promise.reject(new ExchangeError("misdirected_request", reason));
  };
}

/** The name that a client asks for in its handshake; null for an address, which it cannot name (RFC 6066 §3). */
function serverNameOf(authority: string): string | null {
  const host = hostOf(authority);
  return host === "" || host.startsWith("[") || isIP(host) !== 0 ? null : host;
}
