/** Tunnels that were declared at the edge, as far as serving them and opening them needs it. */
import type { PublicOrigin, PublicUrls } from "./public_urls.ts";

/** What is declared of one. */
export interface DeclaredTunnel {
  /** Own hostnames besides NAME.DOMAIN: `shop.example.com`, `*.shop.example.com`. */
  readonly hostnames: readonly string[];
  /** What an agent that serves it must be able to do. */
  readonly requires: readonly string[];
}

export interface DeclaredTunnels {
  /** Asked, as `ofHost` is, for each request that no open tunnel takes by its name. */
  has(name: string): boolean;
  /** The name of the tunnel that has `host` as its own, exactly or by a wildcard; null where none has. */
  ofHost(host: string): string | null;
  /** What is declared of the tunnel `name`; null where there is none. Default: it has no hostnames, and requires nothing. */
  get?(name: string): DeclaredTunnel | null;
}

export const noneDeclared: DeclaredTunnels = { has: () => false, ofHost: () => null };

/** Why an agent with `features` may not serve the tunnel, as a sentence without full stop; null where it may. */
export function missingFeature(
  declared: DeclaredTunnels,
  name: string,
  features: ReadonlySet<string>,
): string | null {
  const missing = declared.get?.(name)?.requires.filter((feature) => !features.has(feature)) ?? [];
  if (missing.length === 0) return null;
  return `The tunnel ${name} requires ${missing.join(", ")}, which this agent does not have`;
}

/** All public URLs of a tunnel, that of NAME.DOMAIN first; undefined where it has that one alone. */
export function declaredUrls(
  declared: DeclaredTunnels,
  name: string,
  urls: PublicUrls,
  origin?: PublicOrigin | null,
): string[] | undefined {
  const hostnames = declared.get?.(name)?.hostnames ?? [];
  return hostnames.length === 0
    ? undefined
    : [urls.of(name, { origin }), ...hostnames.map((host) => urls.at(host, origin))];
}
