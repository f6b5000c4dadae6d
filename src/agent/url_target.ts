/** What a dialed address and a URL name. */
import { formatAddress, type HostPort, readHostPort, type TcpTarget } from "../net/mod.ts";

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

/**
 * Reads what `readHostPort` does, for dialing.
 *
 * @param fail makes the error for a text that has a fault
 * @returns null for a text of another form, such as one with a path
 */
export function readDialAddress(text: string, fail: (fault: string) => Error): HostPort | null {
  const read = readHostPort(text, 1);
  if ("host" in read) return read;
  if (read.fault !== null) throw fail(read.fault);
  return null;
}

/** True where one can only listen on `host`, or where there is none: who dials it means this machine. */
export function isThisMachine(host: string): boolean {
  return host === "" || host === "*" || host === "0.0.0.0" || host === "::";
}

/**
 * The authority of a URL to dial: `8080`, `:8080` and `0.0.0.0:8080` are `127.0.0.1:8080`, `::1` is `[::1]`. A text of
 * another form stays as it is, for the parser of URLs.
 *
 * @param fail makes the error for a text that has a fault
 */
export function dialAuthority(text: string, fail: (fault: string) => Error): string {
  const address = readDialAddress(text, fail);
  if (address === null) return text;
  const { port } = address;
  const host = address.host === "::" ? "::1" : isThisMachine(address.host) ? "127.0.0.1" : address.host;
  if (port !== null) return formatAddress({ kind: "tcp", host, port });
  return host.includes(":") ? `[${host}]` : host;
}
