/** One session's hold on a tunnel: as long as it has that, requests for the tunnel may go to its agent. */
import type { ExchangeServer, ExchangeTimeouts } from "../http/mod.ts";
import type { EdgeSession, SessionEnd } from "../session/mod.ts";
import type { AgentPeer } from "./agent_identity.ts";
import type { SessionTunnel } from "./session_tunnels.ts";

/** What a claim goes by of the agents that want the same tunnel. What is not known is null. */
export type Claimant = Pick<AgentPeer, "address" | "version" | "key" | "instance">;

export const unknownClaimant: Claimant = { address: "", version: null, key: null, instance: null };

/** Milliseconds until an agent whose upstream refused is tried again, where another one serves the tunnel. */
const RETRY_UPSTREAM_MS = 5_000;
/** The same with a request that could not move to another agent: only where there have been no others. */
const RETRY_UNMOVABLE_MS = 30_000;

export interface TunnelHolderInit {
  readonly name: string;
  readonly session: EdgeSession;
  readonly claimant: Claimant;
  readonly isShared: boolean;
  readonly timeouts: ExchangeTimeouts | undefined;
  readonly isKept: () => boolean;
}

export class TunnelHolder implements SessionTunnel, ExchangeServer {
  /** The tunnel's. */
  readonly name: string;
  readonly session: EdgeSession;
  readonly claimant: Claimant;
  /** True where its agent asked to share the tunnel. */
  isShared: boolean;
  /** Undefined where they are the edge's defaults. */
  timeouts: ExchangeTimeouts | undefined;
  /** See `ClaimOptions`. */
  isKept: () => boolean;
  wireName: string | undefined = undefined;
  /** Exchanges of this tunnel alone that go through the session. */
  outstanding = 0;
  /** When it was chosen among several, as a number that rises. */
  turn = 0;
  /** Resolves when the session does not have the tunnel any more. */
  readonly ended: Promise<SessionEnd>;
  readonly end: (why: SessionEnd) => void;
  /** When its upstream refused, on the clock of the edge; null while it does not. */
  #refusedAt: number | null = null;

  constructor({ name, session, claimant, isShared, timeouts, isKept }: TunnelHolderInit) {
    this.name = name;
    this.session = session;
    this.claimant = claimant;
    this.isShared = isShared;
    this.timeouts = timeouts;
    this.isKept = isKept;
    const { promise, resolve } = Promise.withResolvers<SessionEnd>();
    this.ended = promise;
    this.end = resolve;
  }

  get isSuspended(): boolean {
    return this.session.isSuspended;
  }

  get suspendedMs(): number {
    return this.session.suspendedMs;
  }

  /** True where a new request can be served now. */
  get takesRequests(): boolean {
    return !this.session.isLeaving && !this.session.isSuspended;
  }

  /** True while its upstream is taken to refuse, so that others are asked in its place. */
  get isDown(): boolean {
    return this.#refusedAt !== null;
  }

  /** The upstream refused a connection. */
  upstreamRefused(now: number): void {
    this.#refusedAt = now;
  }

  /** The upstream answered something. */
  upstreamAnswered(): void {
    this.#refusedAt = null;
  }

  /**
   * True for the one request with which it is tried whether the upstream is there again: the next one follows after the
   * same time.
   *
   * @param isMovable the request goes to another agent where the upstream still refuses
   */
  takeTrial(now: number, isMovable: boolean): boolean {
    if (this.#refusedAt === null) return false;
    if (now - this.#refusedAt < (isMovable ? RETRY_UPSTREAM_MS : RETRY_UNMOVABLE_MS)) return false;
    this.#refusedAt = now;
    return true;
  }
}

/** An agent as a sentence names it: `s3 (10.0.0.7, version 1.0.0, instance 3f9a0c)`. */
export function describeHolder(session: Pick<EdgeSession, "id">, { address, version, instance }: Claimant): string {
  const known = [
    address === "" ? null : address,
    version === null ? null : `version ${version}`,
    instance === null ? null : `instance ${instance}`,
  ].filter((fact) => fact !== null);
  return known.length === 0 ? session.id : `${session.id} (${known.join(", ")})`;
}
