/** What `agent http TARGET` may name: a port, a host and port, a URL, or a unix socket. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import type { DialTarget, TlsOptions } from "../net/mod.ts";
import { checkAuthorities } from "./authorities.ts";
import { withoutBrackets } from "./url_target.ts";

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
 * A port alone is one of `localhost`, on whichever of its addresses the service listens.
 *
 * @param tls how an `https://` target is trusted. Default: by the runtime's list of authorities.
 * @throws {TargetError} which names the value and the forms that are allowed
 */
export function parseTarget(text: string, tls: TlsOptions = {}): UpstreamTarget {
  if (/^\d+$/.test(text)) return tcp("localhost", text, text);
  if (text.startsWith("unix:")) return unix(text);
  const match = /^(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[^/:@?#\s[\]]+)(?::(\d+))?\/?$/.exec(text);
  const [, scheme, host, port] = match ?? [];
  if (scheme === "https://") return tcp(host, port ?? "443", text, checked(tls));
  if (scheme === "http://") return tcp(host, port ?? "80", text);
  if (port !== undefined) return tcp(host, port, text);
  throw new TargetError(
    `The target ${JSON.stringify(text)} is none of PORT, HOST:PORT, http://HOST[:PORT] without a path, ` +
      "https://HOST[:PORT], unix:PATH",
  );
}

function tcp(host: string, port: string, text: string, tls?: TlsOptions): UpstreamTarget {
  const number = Number(port);
  if (number < 1 || number > 65_535) throw new TargetError(`The target ${text} has no port from 1 to 65535`);
  const target = { kind: "tcp", host: withoutBrackets(host), port: number } as const;
  if (tls === undefined) return { dial: target, label: `http://${host}:${number}` };
  return { dial: { ...target, tls }, label: `https://${host}:${number}` };
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
