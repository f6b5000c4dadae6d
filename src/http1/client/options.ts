/** The options of the client, with their defaults and checks. */
import { checkRange, type Clock, OptionError, systemClock } from "../../base/mod.ts";
import { hostSettingFault } from "../../http/mod.ts";
import { dial, type DialOptions, type DialTarget, type Socket } from "../../net/mod.ts";
import { type HttpLimits, verifyLimits } from "../codec/mod.ts";

/** Makes one connection to a target, with TLS where the target says so. Its times are those of `clock`. */
export type Dial = (target: DialTarget, options: DialOptions, clock?: Clock) => Promise<Socket>;

export interface ClientOptions {
  /** The one upstream that this client asks; with `tls` by `https`. TLS asks for the target, whatever Host says. */
  target: DialTarget;
  /** How to connect. Default: `dial` (src/net). */
  dial?: Dial;
  /** Milliseconds for a dial; then it fails with `upstream_timeout`. Default 5,000. */
  connectTimeoutMs?: number;
  /**
   * Connections at a time, with those that are being dialed or closing. Default 16,384, as many as an agent has
   * streams: answers that never end, such as events, must not block others.
   */
  maxSockets?: number;
  /** Idle connections; the oldest is closed for a newer one. Default 256, or `maxSockets` where that is less. */
  maxIdle?: number;
  /** Requests that may wait for one of `maxSockets`; more fail with `overloaded`. Default 1,024. */
  maxWaiting?: number;
  /**
   * Milliseconds until an idle connection is closed. Default 4,000: a Node server closes it after 5 s. One whose upstream
   * says `Keep-Alive: timeout=N` is closed a second before that time, or after half of it, where that is sooner.
   */
  idleMs?: number;
  /**
   * What becomes of a connection that was authenticated as a whole, by NTLM or Negotiate. False, the default: it is
   * closed after its exchange. True: it stays with the `visitorConnection` of the request, where that has one, and
   * serves no other.
   */
  connectionAuth?: boolean;
  /**
   * Milliseconds until such a connection is closed, if the visitor's sends nothing. Default 75,000: an edge closes that
   * one at this time, too.
   */
  boundIdleMs?: number;
  /** Idle connections of this kind; the one that is idle longest is closed for another one. Default 256. */
  maxBound?: number;
  /**
   * A connection that was idle for as many milliseconds is not used for a request that must not be sent twice: one with
   * a body, or of another method than GET, HEAD and OPTIONS. The upstream may close an idle connection just when it is
   * used, and such a request is then lost. Default 1,000; 0: they always get a new connection.
   */
  freshMs?: number;
  /** Milliseconds from the end of the request to the head of the final answer; `null`, the default: no limit. */
  firstByteMs?: number | null;
  /** Limits of the answers' heads and framing. */
  limits?: Partial<HttpLimits>;
  /**
   * The Host field: that of the public client (`preserve`, the default), the target's (`rewrite`), or this value. Where
   * it is not preserved, URLs of the public origin follow it (`withUpstreamOrigin`).
   */
  hostHeader?: string;
  clock?: Clock;
}

/** The options completed with their defaults. */
export interface ClientSettings {
  readonly target: DialTarget;
  readonly dial: Dial;
  readonly connectTimeoutMs: number;
  readonly maxSockets: number;
  readonly maxIdle: number;
  readonly maxWaiting: number;
  readonly idleMs: number;
  readonly connectionAuth: boolean;
  readonly boundIdleMs: number;
  readonly maxBound: number;
  readonly freshMs: number;
  readonly firstByteMs: number | null;
  readonly limits: HttpLimits;
  /** Of the target's URLs. */
  readonly scheme: "http" | "https";
  /** The Host of every request; `null` where each has its own. */
  readonly host: string | null;
  /** The Host of a request without one. */
  readonly targetHost: string;
  readonly clock: Clock;
}

/** Completes `options` with the defaults. @throws {OptionError} */
export function verifyClientOptions(options: ClientOptions): ClientSettings {
  const { target, maxSockets = 16_384, hostHeader = "preserve", firstByteMs = null } = options;
  const targetHost = hostOf(target);
  const fault = hostSettingFault(hostHeader);
  if (fault !== null) throw new OptionError(`The option hostHeader ${JSON.stringify(hostHeader)} ${fault}`);
  const rewritten = hostHeader === "rewrite" ? targetHost : hostHeader;
  return {
    target,
    dial: options.dial ?? dial,
    connectTimeoutMs: checkRange("connectTimeoutMs", options.connectTimeoutMs ?? 5_000, 1),
    maxSockets: checkRange("maxSockets", maxSockets, 1),
    maxIdle: checkRange("maxIdle", options.maxIdle ?? Math.min(256, maxSockets), 0),
    maxWaiting: checkRange("maxWaiting", options.maxWaiting ?? 1_024, 0),
    idleMs: checkRange("idleMs", options.idleMs ?? 4_000, 1),
    connectionAuth: options.connectionAuth ?? false,
    boundIdleMs: checkRange("boundIdleMs", options.boundIdleMs ?? 75_000, 1),
    maxBound: checkRange("maxBound", options.maxBound ?? 256, 0),
    freshMs: checkRange("freshMs", options.freshMs ?? 1_000, 0),
    firstByteMs: firstByteMs === null ? null : checkRange("firstByteMs", firstByteMs, 1),
    limits: verifyLimits(options.limits),
    scheme: schemeOf(target),
    host: hostHeader === "preserve" ? null : rewritten,
    targetHost,
    clock: options.clock ?? systemClock,
  };
}

function schemeOf(target: DialTarget): "http" | "https" {
  return target.kind === "tcp" && target.tls !== undefined ? "https" : "http";
}

/** The Host field for a target (RFC 9110 §7.2): without the scheme's default port, IPv6 in brackets. */
function hostOf(target: DialTarget): string {
  if (target.kind === "unix") return "localhost";
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  const defaultPort = schemeOf(target) === "http" ? 80 : 443;
  return target.port === defaultPort ? host : `${host}:${target.port}`;
}
