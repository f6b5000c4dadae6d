/**
 * The registry: which tunnels there are, and which session serves each. A tunnel stays for a while after its session has
 * ended. Its visitors are then told that it is offline, and no other owner can claim its name. Where the owner's token has
 * ended, too, the name is free at once.
 */
import { type Clock, nameErrorClass, RunnelError, systemClock } from "../base/mod.ts";
import { defaultReservedNames, tunnelNameFault } from "../config/mod.ts";
import type { ExchangeTimeouts, Traffic } from "../http/mod.ts";
import type { EdgeSession, SessionEnd } from "../session/mod.ts";
import { SessionTunnels } from "./session_tunnels.ts";
import { TrafficTable } from "./traffic_table.ts";

export interface Tunnel {
  readonly name: string;
  /** The owner of the token with which the name was claimed. */
  readonly owner: string;
  /** Null while offline. */
  readonly session: EdgeSession | null;
  /** Undefined where they are the edge's defaults. */
  readonly timeouts: ExchangeTimeouts | undefined;
  /** Tells the session which tunnel a request is for; undefined where it has opened this one alone. */
  readonly wireName: string | undefined;
  /** What its exchanges are counted for. */
  traffic: Traffic;
}

export type ClaimErrorCode =
  | "bad_name"
  | "name_taken"
  | "too_many_tunnels"
  | "too_many_sessions"
  | "name_not_allowed"
  | "feature_missing";

/** True where a limit is reached, of which `onFull` and `onQuotaReached` are told. */
export function isQuota(code: ClaimErrorCode): boolean {
  return code === "too_many_tunnels" || code === "too_many_sessions";
}

/** A tunnel could not be opened. */
export class ClaimError extends RunnelError {
  static {
    nameErrorClass(this, "ClaimError");
  }

  declare readonly code: ClaimErrorCode;
  constructor(code: ClaimErrorCode, reason: string) {
    super({ code, reason, initiator: "remote", retryable: code !== "bad_name" });
  }
}

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
  /** A name was refused because there are as many already; for the log. */
  onFull?(reason: string): void;
  /** A session was replaced; for the log. */
  onReplaced?(name: string, why: string): void;
}

export interface ClaimOptions {
  /** Replaces a live session without a ping. Default false. */
  readonly force?: boolean;
  /** Of the tunnel's exchanges. Default: the edge's. */
  readonly timeouts?: ExchangeTimeouts;
  /** The same for all sessions of one agent: an earlier one hands the name over. Default: none is known. */
  readonly agentKey?: string | null;
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

interface Holding {
  readonly ended: Promise<SessionEnd>;
  end(why: SessionEnd): void;
}

const always = () => true;

const DEFAULT_RESERVE_MS = 600_000;
const DEFAULT_CHALLENGE_MS = 3_000;
const DEFAULT_MAX_TUNNELS = 10_000;
export const DEFAULT_MAX_NAMES_PER_OWNER = 100;

interface Entry {
  readonly name: string;
  readonly owner: string;
  session: EdgeSession | null;
  /** That of the session's agent. */
  agentKey: string | null;
  timeouts: ExchangeTimeouts | undefined;
  wireName: string | undefined;
  /** Of the session; null while offline. */
  holding: Holding | null;
  traffic: Traffic;
  freedAt: number;
  isKept: () => boolean;
  /** True while another session waits whether this one answers a ping. */
  isChallenged: boolean;
}

export class Tunnels {
  readonly #entries = new Map<string, Entry>();
  readonly #entriesByOwner = new Map<string, Set<Entry>>();
  readonly #bySession = new Map<EdgeSession, SessionTunnels<Entry>>();
  readonly #clock: Clock;
  readonly #reserveMs: number;
  readonly #challengeMs: number;
  readonly #maxTunnels: number;
  readonly #maxNamesPerOwner: number;
  readonly #reservedNames: ReadonlySet<string>;
  readonly #traffic: TrafficTable;
  readonly #onFull: (reason: string) => void;
  readonly #onReplaced: (name: string, why: string) => void;

  constructor(options: TunnelsOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#reserveMs = options.reserveMs ?? DEFAULT_RESERVE_MS;
    this.#challengeMs = options.challengeMs ?? DEFAULT_CHALLENGE_MS;
    this.#maxTunnels = options.maxTunnels ?? DEFAULT_MAX_TUNNELS;
    this.#maxNamesPerOwner = options.maxNamesPerOwner ?? DEFAULT_MAX_NAMES_PER_OWNER;
    this.#reservedNames = options.reservedNames ?? defaultReservedNames;
    this.#traffic = options.traffic ?? new TrafficTable();
    this.#onFull = options.onFull ?? (() => {});
    this.#onReplaced = options.onReplaced ?? (() => {});
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

  /** Online tunnels: those whose session takes requests. */
  get online(): number {
    let count = 0;
    for (const { session } of this.#entries.values()) if (session !== null && !session.isLeaving) count++;
    return count;
  }

  /**
   * Gives `name` to `session` until it closes. A session that has the name already is pinged: one that stays silent is
   * replaced, and one that answers keeps the name. With `force` it is replaced without a ping. One that is leaving gives
   * the name up, and finishes what runs on it; so does one of the same agent. Both sessions must be of one owner.
   *
   * @throws {ClaimError}
   */
  async claim(name: string, owner: string, session: EdgeSession, options: ClaimOptions = {}): Promise<Claim> {
    const { force = false, timeouts, agentKey = null, refusalOf, isKept = always } = options;
    const fault = tunnelNameFault(name, this.#reservedNames);
    if (fault !== null) throw new ClaimError("bad_name", fault);
    const entry = this.#entry(name, owner);
    if (entry.owner !== owner) throw new ClaimError("name_taken", `The name ${name} belongs to another owner`);
    const holder = entry.session;
    const isSuccessor = agentKey !== null && agentKey === entry.agentKey;
    if (holder !== null && holder !== session && !holder.isLeaving && !isSuccessor) {
      await this.#challenge(entry, holder, force);
      const refusal = refusalOf?.(name) ?? null;
      if (refusal !== null) {
        this.release(name);
        throw new ClaimError("name_not_allowed", refusal);
      }
    }
    entry.agentKey = agentKey;
    entry.timeouts = timeouts;
    entry.isKept = isKept;
    if (entry.session === session && entry.holding !== null) return { isNew: false, ended: entry.holding.ended };
    return { isNew: true, ended: this.#give(entry, session) };
  }

  /** The session gives a tunnel back, and goes on. Its owner keeps the name for a while. False where it has none so named. */
  giveBack(name: string, session: EdgeSession): boolean {
    const entry = this.#entries.get(name);
    if (entry?.session !== session) return false;
    this.#take(entry, { code: "closed", reason: "The agent gave the tunnel back" });
    return true;
  }

  /**
   * Takes the tunnel `name` from the session that has it, which goes on with others that it has. One that is left with
   * none ends, unless its agent can be told of the loss.
   *
   * @param code `replaced`: another session gets it, and the agent must not come back by itself where its session ends
   */
  withdraw(name: string, code: "replaced" | "name_not_allowed", reason: string): void {
    const entry = this.#entries.get(name);
    const session = entry?.session ?? null;
    if (entry === undefined || session === null) return;
    const isTold = session.withdraw?.(name, code, reason) ?? false;
    const isOnly = this.#bySession.get(session)?.size === 1;
    if (isTold || !isOnly) return this.#take(entry, { code, reason });
    if (code === "replaced") session.replace(reason);
    else session.close(reason);
  }

  /** Gives up the name of a tunnel that is offline, which its owner would keep for a while. */
  release(name: string): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined && entry.session === null && !entry.isChallenged) this.#remove(entry);
  }

  async #challenge(entry: Entry, holder: EdgeSession, force: boolean): Promise<void> {
    if (entry.isChallenged) throw new ClaimError("name_taken", `The name ${entry.name} is being claimed`);
    if (!force) {
      entry.isChallenged = true;
      const isAlive = await holder.ping(this.#challengeMs);
      entry.isChallenged = false;
      if (entry.session === holder && holder.isLeaving) return;
      if (isAlive && entry.session === holder) {
        throw new ClaimError("name_taken", `The name ${entry.name} is taken: another agent serves it`);
      }
    }
    if (entry.session === null) return;
    if (entry.session !== holder) {
      throw new ClaimError("name_taken", `The name ${entry.name} is taken: another agent was faster`);
    }
    const why = force ? "another agent took over by force" : "it was silent, and another agent came";
    this.#onReplaced(entry.name, why);
    this.withdraw(entry.name, "replaced", `Replaced: ${why}`);
  }

  #give(entry: Entry, session: EdgeSession): Promise<SessionEnd> {
    this.#leaveSession(entry);
    const { promise: ended, resolve: end } = Promise.withResolvers<SessionEnd>();
    entry.session = session;
    entry.holding = { ended, end };
    let own = this.#bySession.get(session);
    if (own === undefined) {
      this.#bySession.set(session, own = new SessionTunnels());
      void session.closed.then(() => this.#bySession.delete(session));
    }
    own.add(entry);
    // It may be over already, and be served by another session of the same agent while this one drains.
    void session.closed.then((why) => {
      this.#free(entry, session);
      end(why);
    });
    return ended;
  }

  /** The session does not have the tunnel any more. What runs on it goes on. */
  #take(entry: Entry, why: SessionEnd): void {
    const { holding } = entry;
    this.#leaveSession(entry);
    entry.session = null;
    entry.freedAt = this.#clock.now();
    holding?.end(why);
  }

  #leaveSession(entry: Entry): void {
    if (entry.session !== null) this.#bySession.get(entry.session)?.delete(entry);
    entry.holding = null;
    entry.wireName = undefined;
  }

  #entry(name: string, owner: string): Entry {
    const known = this.#entries.get(name);
    const isKnown = known !== undefined && !this.#isExpired(known);
    // The session of a token that has ended is about to close.
    if (isKnown && (known.owner === owner || known.isKept())) return known;
    if (known !== undefined) this.#remove(known);
    const own = this.#entriesByOwner.get(owner);
    if (own !== undefined && own.size >= this.#maxNamesPerOwner) {
      this.#evictOffline(own, `The token has ${own.size} names, as many as --names-per-token of the edge lets it have`);
    } else if (this.#entries.size >= this.#maxTunnels) {
      this.#evictOffline(this.#entries.values(), `The edge has ${this.#maxTunnels} tunnels already`);
    }
    const freedAt = this.#clock.now();
    const entry: Entry = {
      name,
      owner,
      session: null,
      agentKey: null,
      timeouts: undefined,
      wireName: undefined,
      holding: null,
      traffic: this.#traffic.of(name),
      freedAt,
      isKept: always,
      isChallenged: false,
    };
    this.#add(entry);
    return entry;
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.name, entry);
    const own = this.#entriesByOwner.get(entry.owner);
    if (own === undefined) this.#entriesByOwner.set(entry.owner, new Set([entry]));
    else own.add(entry);
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.name);
    const own = this.#entriesByOwner.get(entry.owner);
    own?.delete(entry);
    if (own?.size === 0) this.#entriesByOwner.delete(entry.owner);
  }

  /**
   * Drops the tunnel of `entries` that is offline longest; never one that is online.
   *
   * @throws {ClaimError} with `reason` where none is offline
   */
  #evictOffline(entries: Iterable<Entry>, reason: string): void {
    let oldest: Entry | null = null;
    for (const entry of entries) {
      if (entry.session !== null || entry.isChallenged) continue;
      if (oldest === null || entry.freedAt < oldest.freedAt) oldest = entry;
    }
    if (oldest !== null) return this.#remove(oldest);
    this.#onFull(reason);
    throw new ClaimError("too_many_tunnels", reason);
  }

  #isExpired(entry: Entry): boolean {
    if (entry.session !== null || entry.isChallenged) return false;
    return !entry.isKept() || this.#clock.now() - entry.freedAt >= this.#reserveMs;
  }

  #free(entry: Entry, session: EdgeSession): void {
    if (entry.session !== session) return;
    this.#leaveSession(entry);
    entry.session = null;
    entry.freedAt = this.#clock.now();
  }
}
