/** The target that a URL names. */
import type { TcpTarget } from "../net/mod.ts";

/** The host and port of an `http:`, `https:`, `ws:` or `wss:` URL. */
export function tcpTargetOf(url: URL): TcpTarget {
  const defaultPort = isSecure(url) ? 443 : 80;
  return { kind: "tcp", host: withoutBrackets(url.hostname), port: Number(url.port || defaultPort) };
}

export function isSecure({ protocol }: URL): boolean {
  return protocol === "https:" || protocol === "wss:";
}

/** A host as sockets take it: an IPv6 address without its brackets. */
export function withoutBrackets(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
