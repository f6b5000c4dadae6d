/** Wildcards of one level, as in certificates (RFC 9525 §6.3) and among hostnames of tunnels. */

/** The wildcard that is for `host`: `*.example.com` for `a.example.com`. Null where it has one label. */
export function wildcardOf(host: string): string | null {
  const dot = host.indexOf(".");
  return dot < 1 ? null : `*${host.slice(dot)}`;
}
