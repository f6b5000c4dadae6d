/** The edge's address, as the flag `--edge` and the library are given it. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { isLoopback, pinPattern, type TlsOptions, type TlsTarget } from "../net/mod.ts";
import { checkAuthorities } from "./authorities.ts";
import { dialAuthority, isSecure, tcpTargetOf, withoutBrackets } from "./url_target.ts";

export interface EdgeUrl {
  /** With `tls` where the edge is `https://` or `wss://`. */
  readonly target: TlsTarget;
  /** For the Host field: without the scheme's default port. */
  readonly authority: string;
  /** The URL for people and logs: `http://` or `https://` and the authority. */
  readonly label: string;
}

/** A text is no URL of an edge. Code `bad_edge_url`. */
export class EdgeUrlError extends RunnelError {
  static {
    nameErrorClass(this, "EdgeUrlError");
  }

  constructor(reason: string) {
    super({ code: "bad_edge_url", reason, initiator: "user" });
  }
}

/**
 * Reads a URL of `http://`, `https://`, `ws://` or `wss://` with a host, and a port where it is not the default. Without a
 * scheme it is `http://` for this machine (`127.0.0.1:8080`), and `https://` for any other one. A port alone (`8080`,
 * `:8080`) and 0.0.0.0 are this machine. The token is sent there and nowhere else: redirects are not followed.
 *
 * @param insecure allows plain `http://` to a host that is not this machine, and any certificate of an `https://` one.
 *   The token could then be read on the way. Default false.
 * @param ca certificates in PEM that are trusted for this edge instead of the runtime's list. Default: that list.
 * @param pins the keys that an `https://` edge may have, as `sha256/BASE64`. They count whatever `insecure` and `ca` say,
 *   and an edge without TLS is refused. Default none.
 * @throws {EdgeUrlError}
 */
export function parseEdgeUrl(text: string, insecure = false, ca?: string, pins: readonly string[] = []): EdgeUrl {
  const url = urlOf(text);
  if (url === null || !/^(?:http|ws)s?:$/.test(url.protocol)) {
    const shown = JSON.stringify(text.replace(/^[^/]*@/, ""));
    throw new EdgeUrlError(`The edge ${shown} is none of https://HOST[:PORT], http://HOST[:PORT], HOST[:PORT], PORT`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "" || url.pathname !== "/") {
    throw new EdgeUrlError(`The edge ${text} has more than a scheme, a host and a port`);
  }
  const target = tcpTargetOf(url);
  const authority = url.host;
  if (isSecure(url)) {
    return { target: { ...target, tls: trust(insecure, ca, pins) }, authority, label: `https://${authority}` };
  }
  if (pins.length > 0) {
    throw new EdgeUrlError(`The edge ${text} is not encrypted, and so has no key to pin: write https://${authority}`);
  }
  if (!insecure && !isLoopback(target.host)) {
    throw new EdgeUrlError(
      `The edge ${text} is not encrypted and not on this machine: use --edge-insecure to send it the token (with expose: ` +
        "edgeInsecure)",
    );
  }
  return { target, authority, label: `http://${authority}` };
}

/** Null where `text` is no URL. Without a scheme, it is http on this machine, and https to every other one. */
function urlOf(text: string): URL | null {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*?)\/?$/is.exec(text) as unknown as [string, string?, string?];
  const address = rest ?? "";
  const authority = dialAuthority(
    address,
    (fault) => new EdgeUrlError(`The edge ${JSON.stringify(text)} cannot be read: ${fault}`),
  );
  // Of another form, such as with a path.
  if (scheme !== undefined) return parsed(authority === address ? text : `${scheme}${authority}`);
  if (address === "" || address.includes("@")) return null;
  const url = parsed(`https://${authority}`);
  return url !== null && isLoopback(withoutBrackets(url.hostname)) ? parsed(`http://${authority}`) : url;
}

function parsed(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

function trust(insecure: boolean, ca: string | undefined, pins: readonly string[]): TlsOptions {
  if (pins.length > 0) return { pins: pins.map(checkedPin) };
  if (insecure) return { insecure };
  if (ca === undefined) return {};
  checkAuthorities(ca, (reason) => new EdgeUrlError(`The edge's CA cannot be used: ${reason}`));
  return { ca };
}

function checkedPin(pin: string): string {
  if (!pinPattern.test(pin)) throw new EdgeUrlError(`The pin ${JSON.stringify(pin)} is not of the form sha256/BASE64`);
  return pin;
}
