/**
 * What visitors may ask of tunnels. Each request counts for its visitor and for its tunnel:
 *
 *     request ──▶ places of both ──▶ a token of each ──▶ admission ──▶ its bodies, at the rates of both ──▶ released
 *                    └──────────────────┴─▶ 429 of the visitor's share, 503 of the tunnel's
 *
 * The visitor's share comes first, so that what a greedy visitor is refused takes nothing of the tunnel's.
 */
import { type CancelSignal, type Clock, type Lease, systemClock, type TokenBucket } from "../base/mod.ts";
import {
  type Answer,
  type Body,
  type ExchangeTimeouts,
  type Handler,
  type RequestHead,
  type Suspendable,
  type TimeoutGuard,
} from "../http/mod.ts";
import type { MemoryAccount } from "../memory/mod.ts";
import { checkAnnouncedLength, limitBody } from "./body_limit.ts";
import { ByteFlow } from "./byte_flow.ts";
import { KeyTable } from "./key_table.ts";
import { LimitError, type Party } from "./limit_error.ts";
import { isUnlimited, keepMsOf, Share, type ShareLimits, unlimited } from "./share.ts";
import { visitorKey } from "./visitor_key.ts";

export interface VisitorLimitsInit {
  /** Of each visitor: an IPv4 address, or an IPv6 network of 64 bits. Default: none. */
  readonly visitor?: Partial<ShareLimits>;
  /** Of each tunnel, for all its visitors. Default: none. */
  readonly tunnel?: Partial<ShareLimits>;
  /** The most bytes of a request's body. Default `Infinity`. */
  readonly bodyBytes?: number;
  /** Visitors, and tunnels, that are remembered without a request under way. Default 65,536 of each. */
  readonly maxKeys?: number;
}

export interface VisitorLimitsParts {
  readonly clock?: Clock;
  /** Told of bytes that wait. Default: none. */
  readonly memory?: MemoryAccount;
  /**
   * Told of each refusal.
   *
   * @param client the visitor's address; null where the limit is the tunnel's
   */
  onRefused?(client: string | null, reason: string): void;
}

const DEFAULT_MAX_KEYS = 65_536;

export class VisitorLimits {
  readonly #clock: Clock;
  readonly #memory: MemoryAccount | null;
  readonly #visitor: ShareLimits;
  readonly #tunnel: ShareLimits;
  readonly #bodyBytes: number;
  /** Null where they have no limits. */
  readonly #visitors: KeyTable<Share> | null;
  readonly #tunnels: KeyTable<Share> | null;
  readonly #onRefused: (client: string | null, reason: string) => void;

  private constructor(init: VisitorLimitsInit, parts: VisitorLimitsParts) {
    const { bodyBytes = Infinity, maxKeys = DEFAULT_MAX_KEYS } = init;
    this.#clock = parts.clock ?? systemClock;
    this.#memory = parts.memory ?? null;
    this.#visitor = { ...unlimited, ...init.visitor };
    this.#tunnel = { ...unlimited, ...init.tunnel };
    this.#bodyBytes = bodyBytes;
    this.#visitors = tableOf("visitor", this.#visitor, maxKeys);
    this.#tunnels = tableOf("tunnel", this.#tunnel, maxKeys);
    this.#onRefused = (client, reason) => parts.onRefused?.(client, reason);
  }

  /** Null where `init` limits nothing. */
  static of(init: VisitorLimitsInit = {}, parts: VisitorLimitsParts = {}): VisitorLimits | null {
    const limits = new VisitorLimits(init, parts);
    const isNone = limits.#visitors === null && limits.#tunnels === null && limits.#bodyBytes === Infinity;
    return isNone ? null : limits;
  }

  /** Visitors and tunnels that are remembered. */
  get size(): number {
    return (this.#visitors?.size ?? 0) + (this.#tunnels?.size ?? 0);
  }

  /**
   * Lets a request pass to the tunnel of that name. What it takes is given back at the end of its exchange, where its head
   * has a meter that tells of that.
   *
   * @throws {ExchangeError} `too_many_requests`, `tunnel_busy`, `body_too_large`
   */
  admit(head: RequestHead, tunnelName: string): Admission {
    checkAnnouncedLength(head, this.#bodyBytes);
    const now = this.#clock.now();
    const visitor = this.#visitorOf(head, now);
    const tunnel = this.#tunnels?.get(tunnelName, now) ?? null;
    const isUpgraded = head.upgrade !== undefined;
    // No token is taken where there is no place.
    const fault = visitor?.placeFault(isUpgraded) ?? tunnel?.placeFault(isUpgraded) ??
      visitor?.rateFault(now) ?? tunnel?.rateFault(now) ?? null;
    if (fault !== null) throw this.#told(fault, head, tunnelName);
    const up = this.#flow(visitor?.bytesUp ?? null, tunnel?.bytesUp ?? null);
    const down = this.#flow(visitor?.bytesDown ?? null, tunnel?.bytesDown ?? null);
    const admission = new Admission({ visitor, tunnel, isUpgraded, up, down, bodyBytes: this.#bodyBytes });
    if (head.meter === undefined) admission.release();
    else head.meter.releaseAtEnd(admission);
    return admission;
  }

  /**
   * Counts a request that goes to no tunnel, for its visitor alone.
   *
   * @throws {ExchangeError} `too_many_requests`
   */
  admitAstray(head: RequestHead): void {
    const now = this.#clock.now();
    const fault = this.#visitorOf(head, now)?.rateFault(now) ?? null;
    if (fault !== null) throw this.#told(fault, head, "");
  }

  /** Null where the address is unknown: those visitors cannot be told apart. */
  #visitorOf({ client }: RequestHead, now: number): Share | null {
    return this.#visitors === null || client === "" ? null : this.#visitors.get(visitorKey(client), now);
  }

  #told(error: LimitError, { client }: RequestHead, tunnelName: string): LimitError {
    const { party, limit } = error;
    if (party === "visitor") this.#onRefused(client, `more than --${limit} lets a visitor have`);
    else this.#onRefused(null, `more than --${limit} lets the tunnel ${tunnelName} have`);
    return error;
  }

  #flow(ofVisitor: TokenBucket | null, ofTunnel: TokenBucket | null): ByteFlow | null {
    const buckets = [ofVisitor, ofTunnel].filter((bucket) => bucket !== null);
    if (buckets.length === 0) return null;
    const least = Math.min(this.#visitor.bytesPerSecond, this.#tunnel.bytesPerSecond);
    return new ByteFlow(buckets, least, this.#clock, this.#memory);
  }
}

function tableOf(party: Party, limits: ShareLimits, maxKeys: number): KeyTable<Share> | null {
  if (isUnlimited(limits)) return null;
  return new KeyTable((now) => new Share(party, limits, now), keepMsOf(limits), maxKeys);
}

interface Taken {
  readonly visitor: Share | null;
  readonly tunnel: Share | null;
  readonly isUpgraded: boolean;
  readonly up: ByteFlow | null;
  readonly down: ByteFlow | null;
  readonly bodyBytes: number;
}

/** What one request has taken. */
export class Admission implements Lease {
  readonly #taken: Taken;
  #isReleased = false;

  constructor(taken: Taken) {
    this.#taken = taken;
    taken.visitor?.takePlace(taken.isUpgraded);
    taken.tunnel?.takePlace(taken.isUpgraded);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { visitor, tunnel, isUpgraded } = this.#taken;
    visitor?.freePlace(isUpgraded);
    tunnel?.freePlace(isUpgraded);
  }

  /**
   * Asks `handler` under `guard`, with bodies within the limits. A rate is no silence of either end: the guard sees a
   * request's body behind its rate, and the pieces of an answer's.
   */
  call(
    guard: TimeoutGuard,
    handler: Handler,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
    timeouts: ExchangeTimeouts | undefined,
    server: Suspendable,
  ): Promise<Answer> {
    const { up, down, bodyBytes } = this.#taken;
    const limited = limitBody(head, body, signal, bodyBytes);
    const shaped = up === null ? limited.body : up.shape(limited.body);
    return guard.call(down === null ? handler : shaping(handler, down), head, shaped, limited.signal, timeouts, server);
  }
}

function shaping(handler: Handler, down: ByteFlow): Handler {
  return async (head, body, signal) => {
    const answer = await handler(head, body, signal);
    if (answer.body === null || head.method === "HEAD") return answer;
    return { ...answer, body: down.shape(answer.body) };
  };
}
