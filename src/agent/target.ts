/** What `agent http TARGET` may name: a port, a host and port, a URL, or a unix socket. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import { type DialTarget, formatAddress, isLoopback, type TlsOptions } from "../net/mod.ts";
import { checkAuthorities } from "./authorities.ts";
import { isThisMachine, readDialAddress } from "./url_target.ts";

export interface UpstreamTarget {
  readonly dial: DialTarget;
  /** The target for people and logs: `http://localhost:3000`, `https://app:443`, `unix:/run/app.sock`. */
  readonly label: string;
}

/** A text is no target. Code `bad_target`. */
export class TargetError extends RunnelError {
  static {
    nameErrorClass(this, "TargetError");
  }

  constructor(reason: string) {
    super({ code: "bad_target", reason, initiator: "user" });
  }
}

/**
 * A port alone (`3000`, `:3000`) and addresses on which one can only listen (`0.0.0.0:3000`) are of `localhost`, on
 * whichever of its addresses the service is.
 *
 * @param tls how an `https://` target is trusted. Default: by the runtime's list of authorities.
 * @throws {TargetError} which names the value, without user and password, and the forms that are allowed, or what to write instead
 */
export function parseTarget(text: string, tls: TlsOptions = {}): UpstreamTarget {
  if (text.startsWith("unix:")) return unix(text);
  const isPath = /^[.~]{0,2}\//.test(text);
  const shownText = JSON.stringify(isPath ? text : withoutUser(text));
  const fail = (fault: string) => new TargetError(`The target ${shownText} cannot be read: ${fault}`);
  if (isPath) throw fail(`folders are not served; for a unix socket, write unix:${text}`);
  const [, scheme, rest] = /^(https?:\/\/)?(.*?)\/?$/is.exec(text) as unknown as [string, string?, string?];
  const address = readDialAddress(rest ?? "", fail);
  if (address === null) {
    throw new TargetError(
      `The target ${shownText} is none of PORT, HOST:PORT, http://HOST[:PORT] without a path, ` +
        "https://HOST[:PORT], unix:PATH",
    );
  }
  const host = isThisMachine(address.host) ? "localhost" : address.host;
  const isSecure = scheme?.toLowerCase() === "https://";
  if (scheme === undefined && address.port === null && !isLoopback(host)) {
    // It may be a tunnel's name or its public host.
    const shown = host.includes(":") ? `[${host}]` : host;
    throw fail(`write ${shown}:PORT, or http://${shown} for port 80`);
  }
  return tcp(host, address.port ?? (isSecure ? 443 : 80), isSecure ? checked(tls) : undefined);
}

/** A password may stand before the host, which no message shows. */
function withoutUser(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1…@");
}

function tcp(host: string, port: number, tls: TlsOptions | undefined): UpstreamTarget {
  const target = { kind: "tcp", host, port } as const;
  const authority = formatAddress(target);
  if (tls === undefined) return { dial: target, label: `http://${authority}` };
  return { dial: { ...target, tls }, label: `https://${authority}` };
}

function checked(tls: TlsOptions): TlsOptions {
  if (tls.ca !== undefined) {
    checkAuthorities(tls.ca, (reason) => new TargetError(`The upstream's CA cannot be used: ${reason}`));
  }
  return tls;
}

function unix(text: string): UpstreamTarget {
  const path = text.slice("unix:".length);
  if (path === "") throw new TargetError(`The target ${text} names no path`);
  return { dial: { kind: "unix", path }, label: text };
}
