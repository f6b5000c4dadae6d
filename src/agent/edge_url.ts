/** The edge's address as an agent is given it. */
import { RunnelError } from "../base/mod.ts";
import { CertificateError, checkCertificates, isLoopback, type TlsOptions, type TlsTarget } from "../net/mod.ts";

export interface EdgeUrl {
  /** With `tls` where the edge is `https://` or `wss://`. */
  readonly target: TlsTarget;
  /** For the Host field: without the scheme's default port. */
  readonly authority: string;
  /** `http://` or `https://` and the authority, for people and logs. */
  readonly label: string;
}

/** Code `bad_edge_url`. */
export class EdgeUrlError extends RunnelError {
  constructor(reason: string) {
    super({ code: "bad_edge_url", reason, initiator: "user" });
  }
}

/**
 * Reads `http://`, `https://`, `ws://` or `wss://` with a host and maybe a port. The token goes there and nowhere
 * else: a redirect is an answer like any other that is not the one hoped for.
 * @param insecure allows plain `http://` to a host that is not this machine, and any certificate of an `https://` one:
 *   the token could be read on the way
 * @param ca certificates in PEM that are trusted for this edge instead of the runtime's list
 * @throws {EdgeUrlError}
 */
export function parseEdgeUrl(text: string, insecure = false, ca?: string): EdgeUrl {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^(?:http|ws)s?:$/.test(url.protocol)) {
    throw new EdgeUrlError(`The edge ${JSON.stringify(text)} is no URL that begins with https:// or http://`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "" || url.pathname !== "/") {
    throw new EdgeUrlError(`The edge ${text} has more than a scheme, a host and a port`);
  }
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  const authority = url.host;
  if (url.protocol === "https:" || url.protocol === "wss:") {
    const target: TlsTarget = { kind: "tcp", host, port: Number(url.port || 443), tls: trust(insecure, ca) };
    return { target, authority, label: `https://${authority}` };
  }
  if (!insecure && !isLoopback(host)) {
    throw new EdgeUrlError(
      `The edge ${text} is not encrypted and not on this machine: say --edge-insecure to send it the token`,
    );
  }
  return { target: { kind: "tcp", host, port: Number(url.port || 80) }, authority, label: `http://${authority}` };
}

function trust(insecure: boolean, ca: string | undefined): TlsOptions {
  if (insecure) return { insecure };
  if (ca === undefined) return {};
  try {
    checkCertificates(ca);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw new EdgeUrlError(`The edge's CA cannot be used: ${error.reason}`);
  }
  return { ca };
}
