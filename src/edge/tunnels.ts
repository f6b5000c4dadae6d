/**
 * The registry: which tunnels there are, and which sessions serve each. A tunnel stays for a while after its last session
 * has ended. Its visitors are then told that it is offline, and no other owner can claim its name. Where the owner's token
 * has ended, too, the name is free at once.
 */
import { type Clock, systemClock } from "../base/mod.ts";
import { defaultReservedNames, tunnelNameFault } from "../config/mod.ts";
import type { ExchangeTimeouts } from "../http/mod.ts";
import type { EdgeSession, SessionEnd } from "../session/mod.ts";
import { ClaimError } from "./claim_error.ts";
import { type Loser, type Newcomer, Rivals, sharesWith } from "./rivals.ts";
import { SessionTunnels } from "./session_tunnels.ts";
import { TrafficTable } from "./traffic_table.ts";
import { type ExpectedTunnel, type Tunnel, TunnelEntry } from "./tunnel_entry.ts";
import {
  type Claimant,
  describeHolder,
  TunnelHolder,
  type TunnelHolderInit,
  unknownClaimant,
} from "./tunnel_holder.ts";

export { ClaimError, type ClaimErrorCode, isQuota } from "./claim_error.ts";
export type { ExpectedTunnel, Tunnel } from "./tunnel_entry.ts";

export interface TunnelsOptions {
  clock?: Clock;
  /** Milliseconds for which a name stays its owner's after its session has ended. Default 600,000. */
  reserveMs?: number;
  /** Milliseconds in which a session must answer a ping, or another that claims its name replaces it. Default 3,000. */
  challengeMs?: number;
  /** Tunnels, offline ones included. Default 10,000. */
  maxTunnels?: number;
  /** Of one owner, offline ones included: the one that is offline longest gives way to a new one. Default 100. */
  maxNamesPerOwner?: number;
  /** Names that no tunnel may have. Default: those of src/config/names.ts. */
  reservedNames?: ReadonlySet<string>;
  /** Where the exchanges of tunnels are counted. Default: nobody looks at them. */
  traffic?: TrafficTable;
  /**
   * Tunnels that an edge before this one had open. Their owners keep the names as if the tunnels had just been freed, and
   * their agents are waited for. Those that could not be opened are passed over. Default none.
   */
  expected?: readonly ExpectedTunnel[];
  /** Milliseconds for which the agents of `expected` are waited for. Default 60,000: the longest pauses between dials. */
  expectMs?: number;
  /** A name was refused because there are as many already; for the log. */
  onFull?(reason: string): void;
  /** A session was replaced. `why` is the end of a sentence, and names both sides; for the log. */
  onReplaced?(name: string, why: string): void;
  /** A tunnel that could not be served for a while can be served again. */
  onServed?(name: string): void;
}

export interface ClaimOptions {
  /** Replaces live sessions without a ping. Default false. */
  readonly force?: boolean;
  /** Serves the tunnel together with others that ask for this, too. Default false: alone. */
  readonly share?: boolean;
  /** Of the exchanges that the session serves. Default: the edge's. */
  readonly timeouts?: ExchangeTimeouts;
  /** The session's agent. One of the same key hands the name over. Default: nothing is known. */
  readonly claimant?: Claimant;
  /** Asked behind each wait: why the owner may not have the name any more, or null. Default: it may. */
  readonly refusalOf?: (name: string) => string | null;
  /** False once nobody can come back for the name: it is free then, for other owners, too. Default: it never is. */
  readonly isKept?: () => boolean;
}

/** What came of a claim. */
export interface Claim {
  /** False where the session had the tunnel already: only its timeouts may be others now. */
  readonly isNew: boolean;
  /** Resolves when the session does not have the tunnel any more. */
  readonly ended: Promise<SessionEnd>;
}

const always = () => true;

const DEFAULT_RESERVE_MS = 600_000;
const DEFAULT_CHALLENGE_MS = 3_000;
const DEFAULT_EXPECT_MS = 60_000;
const DEFAULT_MAX_TUNNELS = 10_000;
export const DEFAULT_MAX_NAMES_PER_OWNER = 100;

export class Tunnels {
  readonly #entries = new Map<string, TunnelEntry>();
  readonly #entriesByOwner = new Map<string, Set<TunnelEntry>>();
  readonly #bySession = new Map<EdgeSession, SessionTunnels<TunnelHolder>>();
  readonly #clock: Clock;
  readonly #reserveMs: number;
  readonly #rivals: Rivals;
  readonly #maxTunnels: number;
  readonly #maxNamesPerOwner: number;
  readonly #reservedNames: ReadonlySet<string>;
  readonly #traffic: TrafficTable;
  readonly #onFull: (reason: string) => void;
  readonly #onReplaced: (name: string, why: string) => void;
  readonly #onServed: (name: string) => void;

  constructor(options: TunnelsOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#reserveMs = options.reserveMs ?? DEFAULT_RESERVE_MS;
    this.#rivals = new Rivals(options.challengeMs ?? DEFAULT_CHALLENGE_MS);
    this.#maxTunnels = options.maxTunnels ?? DEFAULT_MAX_TUNNELS;
    this.#maxNamesPerOwner = options.maxNamesPerOwner ?? DEFAULT_MAX_NAMES_PER_OWNER;
    this.#reservedNames = options.reservedNames ?? defaultReservedNames;
    this.#traffic = options.traffic ?? new TrafficTable();
    this.#onFull = options.onFull ?? (() => {});
    this.#onReplaced = options.onReplaced ?? (() => {});
    this.#onServed = options.onServed ?? (() => {});
    const expectedUntil = this.#clock.now() + (options.expectMs ?? DEFAULT_EXPECT_MS);
    for (const tunnel of options.expected ?? []) this.#expect(tunnel, expectedUntil);
  }

  /** The tunnel of that name, online or freed less than `reserveMs` ago. */
  get(name: string): Tunnel | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined || !this.#isExpired(entry)) return entry;
    this.#remove(entry);
    return undefined;
  }

  /** Every tunnel, those that were freed less than `reserveMs` ago among them. Made at the call. */
  list(): Tunnel[] {
    return [...this.#entries.values()].filter((entry) => !this.#isExpired(entry));
  }

  /** True while the tunnel's first agent here is waited for, since an edge before this one had it open. */
  isExpected({ name, holders }: Tunnel): boolean {
    const entry = this.#entries.get(name);
    return holders.length === 0 && entry !== undefined && this.#clock.now() < entry.expectedUntil;
  }

  /** Online tunnels: those of which a session takes requests. */
  get online(): number {
    let count = 0;
    for (const { holders } of this.#entries.values()) if (holders.some((holder) => holder.takesRequests)) count++;
    return count;
  }

  /**
   * Gives `name` to `session` until it closes. Sessions that have the name already give way, or keep it, by the rules of
   * `Rivals`; with `force` they are replaced without a ping. All must be of one owner.
   *
   * @throws {ClaimError}
   */
  async claim(name: string, owner: string, session: EdgeSession, options: ClaimOptions = {}): Promise<Claim> {
    const { force = false, share = false, timeouts, claimant = unknownClaimant, refusalOf, isKept = always } = options;
    const fault = tunnelNameFault(name, this.#reservedNames);
    if (fault !== null) throw new ClaimError("bad_name", fault);
    const entry = this.#entry(name, owner);
    if (entry.owner !== owner) throw new ClaimError("name_taken", `The name ${name} belongs to another owner`);
    const newcomer = { session, claimant, isShared: share };
    if (this.#rivals.of(entry, newcomer).length > 0) {
      await this.#challenge(entry, newcomer, force);
      const refusal = refusalOf?.(name) ?? null;
      if (refusal !== null) {
        this.release(name);
        throw new ClaimError("name_not_allowed", refusal);
      }
    }
    entry.isLastKept = isKept;
    const own = entry.holderOf(session);
    if (own === null) return { isNew: true, ended: this.#give(entry, { name, ...newcomer, timeouts, isKept }) };
    own.timeouts = timeouts;
    own.isShared = share;
    own.isKept = isKept;
    return { isNew: false, ended: own.ended };
  }

  /** The session gives a tunnel back, and goes on. Its owner keeps the name for a while. False where it has none so named. */
  giveBack(name: string, session: EdgeSession): boolean {
    const entry = this.#entries.get(name);
    const holder = entry?.holderOf(session) ?? null;
    if (entry === undefined || holder === null) return false;
    this.#take(entry, holder, { code: "closed", reason: "The agent gave the tunnel back" });
    return true;
  }

  /**
   * Takes the tunnel `name` from a session that has it, which goes on with others that it has. One that is left with
   * none ends, unless its agent can be told of the loss.
   *
   * @param code `replaced`: another session gets it, and the agent must not come back by itself where its session ends
   * @param session default: every one that has it
   */
  withdraw(name: string, code: "replaced" | "name_not_allowed", reason: string, session?: EdgeSession): void {
    const entry = this.#entries.get(name);
    for (const holder of [...entry?.holders ?? []]) {
      if (session === undefined || holder.session === session) this.#withdraw(entry!, holder, code, reason);
    }
  }

  /** Gives up the name of a tunnel that is offline, which its owner would keep for a while. */
  release(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined && entry.holders.length === 0 && !entry.isChallenged) this.#remove(entry);
  }

  #expect({ name, owner }: ExpectedTunnel, until: number): void {
    const isFull = this.#entries.size >= this.#maxTunnels ||
      (this.#entriesByOwner.get(owner)?.size ?? 0) >= this.#maxNamesPerOwner;
    if (isFull || this.#entries.has(name) || tunnelNameFault(name, this.#reservedNames) !== null) return;
    this.#entry(name, owner).expectedUntil = until;
  }

  async #challenge(entry: TunnelEntry, newcomer: Newcomer, force: boolean): Promise<void> {
    let isOver = false;
    void newcomer.session.closed.then(() => isOver = true);
    const losers = force ? this.#rivals.forced(entry, newcomer) : await this.#silentRivals(entry, newcomer);
    const hasLeft = isOver || newcomer.session.isLeaving;
    const by = describeHolder(newcomer.session, newcomer.claimant);
    for (const { holder, why } of losers) {
      // A suspended one may still come back, and nobody would have the tunnel meanwhile.
      if (hasLeft && holder.session.isSuspended) continue;
      this.#onReplaced(entry.name, `${describeHolder(holder.session, holder.claimant)} by ${by}: ${why}`);
      this.#withdraw(entry, holder, "replaced", `Replaced: ${why}`);
    }
    if (hasLeft) throw new ClaimError("name_taken", `The agent that claimed the name ${entry.name} has left`);
  }

  /** @throws {ClaimError} where one keeps the tunnel */
  async #silentRivals(entry: TunnelEntry, newcomer: Newcomer): Promise<readonly Loser[]> {
    // Where nobody has to be asked, it does not matter who else asks just now.
    if (!this.#rivals.haveToBeAsked(entry, newcomer)) return await this.#rivals.silent(entry, newcomer);
    if (entry.isChallenged) throw new ClaimError("name_taken", `The name ${entry.name} is being claimed`);
    entry.isChallenged = true;
    try {
      return await this.#rivals.silent(entry, newcomer);
    } finally {
      entry.isChallenged = false;
    }
  }

  #withdraw(entry: TunnelEntry, holder: TunnelHolder, code: "replaced" | "name_not_allowed", reason: string): void {
    const { session } = holder;
    const isTold = session.withdraw?.(entry.name, code, reason) ?? false;
    const isOnly = this.#bySession.get(session)?.size === 1;
    if (isTold || !isOnly) return this.#take(entry, holder, { code, reason });
    if (code === "replaced") session.replace(reason);
    else session.close(reason);
    // Its end is told later, and another session may have the tunnel by then.
    this.#free(entry, holder);
  }

  #give(entry: TunnelEntry, init: TunnelHolderInit): Promise<SessionEnd> {
    const { session } = init;
    const holder = new TunnelHolder(init);
    // Whoever is left here gives way, and finishes what runs.
    for (const other of entry.holders) if (!sharesWith(other, init)) this.#bySession.get(other.session)?.delete(other);
    entry.holders = [...entry.holders.filter((other) => sharesWith(other, init)), holder];
    entry.expectedUntil = -Infinity;
    this.#tunnelsOf(session).add(holder);
    // It may be over already, and be served by another session of the same agent while this one drains.
    void session.closed.then((why) => {
      this.#free(entry, holder);
      holder.end(why);
    });
    // One that has lost its link meanwhile serves when its agent is back, which is told by itself.
    if (!session.isSuspended) this.#onServed(entry.name);
    return holder.ended;
  }

  #tunnelsOf(session: EdgeSession): SessionTunnels<TunnelHolder> {
    const known = this.#bySession.get(session);
    if (known !== undefined) return known;
    const own = new SessionTunnels<TunnelHolder>();
    this.#bySession.set(session, own);
    session.watchSuspension((isSuspended) => {
      if (!isSuspended) { for (const { name } of own) this.#onServed(name); }
    });
    void session.closed.then(() => this.#bySession.delete(session));
    return own;
  }

  /** The session does not have the tunnel any more. What runs on it goes on, unless nobody comes back for it. */
  #take(entry: TunnelEntry, holder: TunnelHolder, why: SessionEnd): void {
    const { session } = holder;
    this.#free(entry, holder);
    holder.end(why);
    if (session.isSuspended && this.#bySession.get(session)?.size === 0) session.endWithLink();
  }

  #entry(name: string, owner: string): TunnelEntry {
    const known = this.#entries.get(name);
    const isKnown = known !== undefined && !this.#isExpired(known);
    // The session of a token that has ended is about to close.
    if (isKnown && (known.owner === owner || known.isKept)) return known;
    if (known !== undefined) this.#remove(known);
    const own = this.#entriesByOwner.get(owner);
    if (own !== undefined && own.size >= this.#maxNamesPerOwner) {
      this.#evictOffline(
        own,
        owner,
        `The token has ${own.size} names, as many as --names-per-token of the edge lets it have`,
      );
    } else if (this.#entries.size >= this.#maxTunnels) {
      this.#evictOffline(this.#entries.values(), owner, `The edge has ${this.#maxTunnels} tunnels already`);
    }
    const entry = new TunnelEntry(name, owner, this.#traffic.of(name), this.#clock.now());
    this.#add(entry);
    return entry;
  }

  #add(entry: TunnelEntry): void {
    this.#entries.set(entry.name, entry);
    const own = this.#entriesByOwner.get(entry.owner);
    if (own === undefined) this.#entriesByOwner.set(entry.owner, new Set([entry]));
    else own.add(entry);
  }

  #remove(entry: TunnelEntry): void {
    this.#entries.delete(entry.name);
    const own = this.#entriesByOwner.get(entry.owner);
    own?.delete(entry);
    if (own?.size === 0) this.#entriesByOwner.delete(entry.owner);
  }

  /**
   * Drops the tunnel of `entries` that is offline longest, else one of `owner` whose link is lost; never one that is online.
   *
   * @throws {ClaimError} with `reason` where there is none
   */
  #evictOffline(entries: Iterable<TunnelEntry>, owner: string, reason: string): void {
    let oldest: TunnelEntry | null = null;
    for (const entry of entries) {
      if (entry.holders.length > 0 || entry.isChallenged) continue;
      if (oldest === null || entry.freedAt < oldest.freedAt) oldest = entry;
    }
    if (oldest !== null) return this.#remove(oldest);
    if (this.#evictSuspended(owner)) return;
    this.#onFull(reason);
    throw new ClaimError("too_many_tunnels", reason);
  }

  /** Drops a tunnel of the owner's whose agents have all lost their links: these never block their owner. */
  #evictSuspended(owner: string): boolean {
    for (const entry of this.#entriesByOwner.get(owner) ?? []) {
      if (entry.isChallenged || !entry.holders.every(({ session }) => session.isSuspended)) continue;
      for (const holder of entry.holders) {
        this.#withdraw(entry, holder, "name_not_allowed", "Its link was lost, and the token has no more names");
      }
      this.#remove(entry);
      return true;
    }
    return false;
  }

  #isExpired(entry: TunnelEntry): boolean {
    if (entry.holders.length > 0 || entry.isChallenged) return false;
    return !entry.isKept || this.#clock.now() - entry.freedAt >= this.#reserveMs;
  }

  #free(entry: TunnelEntry, holder: TunnelHolder): void {
    this.#bySession.get(holder.session)?.delete(holder);
    if (!entry.holders.includes(holder)) return;
    entry.holders = entry.holders.filter((other) => other !== holder);
    if (entry.holders.length === 0) entry.freedAt = this.#clock.now();
  }
}
