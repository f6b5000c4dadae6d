/** Which tunnel a public request goes to, or whether it may be for the edge itself: what its host says. */
import { isIP } from "node:net";
import { Memo } from "../base/mod.ts";
import { type DeclaredTunnels, noneDeclared } from "./declared.ts";
import type { Tunnel, Tunnels } from "./tunnels.ts";

export type Route =
  | { readonly kind: "tunnel"; readonly tunnel: Tunnel }
  /** The domain itself, `localhost`, and addresses: the edge's own paths, and the default tunnel. */
  | { readonly kind: "own" }
  /** A host outside the domain. Agents and probes may know the edge by any such name. */
  | { readonly kind: "foreign"; readonly host: string }
  /** A name under the domain, which has no tunnel now. */
  | { readonly kind: "unknown"; readonly host: string }
  /** A declared tunnel that no agent has opened. */
  | { readonly kind: "offline"; readonly name: string };

/** What is known from an authority alone, whatever tunnels there are. */
interface ParsedHost {
  readonly host: string;
  /** The tunnel's name; null for a host that is not under the domain. */
  readonly name: string | null;
  readonly isOwn: boolean;
}

const own: Route = { kind: "own" };

export class Router {
  readonly #tunnels: Tunnels;
  readonly #domain: string;
  readonly #suffix: string;
  readonly #hosts = new Memo((authority) => this.#parse(authority));
  readonly #declared: DeclaredTunnels;

  /** @param domain tunnels are served at NAME.domain */
  constructor(tunnels: Tunnels, domain: string, declared: DeclaredTunnels = noneDeclared) {
    this.#tunnels = tunnels;
    this.#declared = declared;
    this.#domain = domain.toLowerCase();
    this.#suffix = `.${this.#domain}`;
  }

  /** @param authority the Host field's value; the port and the case of letters do not matter */
  route(authority: string): Route {
    const { host, name, isOwn } = this.#hosts.get(authority);
    const tunnel = name === null ? undefined : this.#tunnels.get(name);
    if (tunnel !== undefined) return { kind: "tunnel", tunnel };
    if (isOwn) return own;
    return this.#declaredRoute(name, host) ?? { kind: name === null ? "foreign" : "unknown", host };
  }

  /** True for a tunnel that was declared, whether an agent has opened it or not. */
  isDeclared(name: string): boolean {
    return this.#declared.has(name);
  }

  /** Null where `host` is that of no declared tunnel. */
  #declaredRoute(name: string | null, host: string): Route | null {
    if (name !== null && this.#declared.has(name)) return { kind: "offline", name };
    // Names of the domain are those of tunnels alone, whatever hostnames were declared for another domain.
    if (name !== null && !name.includes(".")) return null;
    const declared = this.#declared.ofHost(host);
    if (declared === null) return null;
    const tunnel = this.#tunnels.get(declared);
    return tunnel === undefined ? { kind: "offline", name: declared } : { kind: "tunnel", tunnel };
  }

  #parse(authority: string): ParsedHost {
    const host = hostOf(authority);
    if (host.endsWith(this.#suffix)) return { host, name: host.slice(0, -this.#suffix.length), isOwn: false };
    const isOwn = host === this.#domain || host === "" || host === "localhost" || host.startsWith("[") ||
      isIP(host) !== 0;
    return { host, name: null, isOwn };
  }
}

/** The host of an authority: without port and trailing dot, in lower case; an IPv6 address keeps its brackets. */
export function hostOf(authority: string): string {
  const portAt = authority.indexOf(":", authority.startsWith("[") ? authority.indexOf("]") : 0);
  const host = (portAt < 0 ? authority : authority.slice(0, portAt)).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
