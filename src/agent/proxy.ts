/** Which HTTP proxy an agent dials its edge through, if any: that of the flag, else that of the environment. */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { AddressBlock, isLoopback, type TlsOptions, type TlsTarget } from "../net/mod.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { dialAuthority, isSecure, tcpTargetOf } from "./url_target.ts";

export interface ProxyTarget {
  /** With `tls` where the proxy itself is `https://`. */
  readonly target: TlsTarget;
  /** The value of Proxy-Authorization; null where the URL has no credentials. */
  readonly authorization: string | null;
  /** The URL without credentials, for people and logs. */
  readonly label: string;
}

/** A text is no URL of a proxy. Code `bad_proxy_url`. The reason names where it was found, and shows no password. */
export class ProxyUrlError extends RunnelError {
  static {
    nameErrorClass(this, "ProxyUrlError");
  }

  constructor(reason: string) {
    super({ code: "bad_proxy_url", reason, initiator: "user" });
  }
}

export interface ProxySources {
  /** The value of `--proxy`. It is used whatever NO_PROXY says, and for a loopback edge, too. */
  flag?: string;
  /** A variable's value, as `environmentVariable` of `src/net/` gives it. */
  environment(name: string): string | undefined;
  /** How the certificate of an `https://` proxy is trusted. Default: by the runtime's list of authorities. */
  tls?: TlsOptions;
}

/**
 * The proxy for `edge`; null where it is dialed directly, as is every edge on this machine without a flag. Variables in
 * order: that of the edge's scheme before that for all schemes, and lower case before upper case. An empty one counts as
 * not set.
 *
 * @throws {ProxyUrlError}
 */
export function proxyFor(edge: EdgeUrl, sources: ProxySources): ProxyTarget | null {
  const { flag, environment, tls = {} } = sources;
  if (flag !== undefined) return parseProxy(flag, "--proxy", tls);
  if (isLoopback(edge.target.host)) return null;
  const scheme = edge.target.tls === undefined ? "http_proxy" : "https_proxy";
  for (const name of [scheme, scheme.toUpperCase(), "all_proxy", "ALL_PROXY"]) {
    const text = environment(name);
    if (!text) continue;
    const exempt = environment("no_proxy") || environment("NO_PROXY") || "";
    return isExempt(edge.target.host, edge.target.port, exempt) ? null : parseProxy(text, name, tls);
  }
  return null;
}

function parseProxy(text: string, source: string, tls: TlsOptions): ProxyTarget {
  const [, scheme = "http://", credentials = "", address = ""] =
    /^([a-zA-Z][a-zA-Z0-9+.-]*:\/\/)?([^/?#]*@)?(.*?)\/?$/s.exec(text) ?? [];
  const authority = dialAuthority(
    address,
    (fault) => new ProxyUrlError(`The proxy ${address} of ${source} cannot be read: ${fault}`),
  );
  const full = `${scheme}${credentials}${authority}`;
  const url = URL.canParse(full) ? new URL(full) : null;
  if (url === null) throw new ProxyUrlError(`The proxy of ${source} is no URL: ${withoutCredentials(text)}`);
  const label = `${url.protocol}//${url.host}`;
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ProxyUrlError(`The proxy ${label} of ${source} is neither http:// nor https://`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new ProxyUrlError(`The proxy ${label} of ${source} has more than a scheme, a host and a port`);
  }
  const target = tcpTargetOf(url);
  return {
    target: isSecure(url) ? { ...target, tls } : target,
    authorization: authorizationOf(url, label, source),
    label,
  };
}

/** RFC 7617: the bytes of `user:password` are UTF-8. */
function authorizationOf(url: URL, label: string, source: string): string | null {
  if (url.username === "" && url.password === "") return null;
  try {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return `Basic ${Buffer.from(credentials, "utf8").toString("base64")}`;
  } catch {
    // The runtime's own error is not passed on: it shows the password.
    throw new ProxyUrlError(`The credentials of the proxy ${label} of ${source} are not percent-encoded UTF-8`);
  }
}

function withoutCredentials(text: string): string {
  return text.replace(/^(.*\/\/)?.*@/s, "$1");
}

/**
 * Whether NO_PROXY names the host, read as curl and others do: a list with commas or spaces. `*` exempts everything,
 * `example.com` and `.example.com` that name and all names under it, an address or a CIDR block the addresses in it.
 * `:PORT` behind an entry limits it to that port. Any other entry exempts nothing.
 */
function isExempt(host: string, port: number, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== "" && exempts(entry.toLowerCase(), host, port));
}

function exempts(entry: string, host: string, port: number): boolean {
  if (entry === "*") return true;
  if (isIP(entry) !== 0) return isInBlock(entry, host);
  const [, bracketed, plain, wantedPort] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+))?$/.exec(entry) ?? [];
  if (wantedPort !== undefined && Number(wantedPort) !== port) return false;
  const pattern = bracketed ?? plain ?? entry;
  if (isIP(pattern) !== 0 || pattern.includes("/")) return isInBlock(pattern, host);
  const suffix = pattern.replace(/^\*?\./, "");
  return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
}

/** @param block an address, or a CIDR block of either family */
function isInBlock(block: string, host: string): boolean {
  return AddressBlock.parse(block)?.contains(host) ?? false;
}
