/**
 * The registry: which tunnels there are, and which session serves each. A tunnel outlives its session for a while, so
 * that its visitors are told «offline» instead of «unknown», and so that its name is not free for somebody else.
 */
import { type Clock, RunnelError, systemClock } from "../base/mod.ts";
import { nameFault } from "../config/mod.ts";
import type { Session } from "../session/mod.ts";

export interface Tunnel {
  readonly name: string;
  /** Who holds the name: the identity behind the token, not the connection. */
  readonly owner: string;
  /** Null while offline. */
  readonly session: Session | null;
}

export type ClaimErrorCode = "bad_name" | "name_taken" | "too_many_tunnels";

/** A tunnel could not be opened. */
export class ClaimError extends RunnelError {
  declare readonly code: ClaimErrorCode;
  constructor(code: ClaimErrorCode, reason: string) {
    super({ code, reason, initiator: "remote", retryable: code !== "bad_name" });
  }
}

export interface TunnelsOptions {
  clock?: Clock;
  /** Milliseconds that a freed name stays with its owner. Default 10 minutes. */
  reserveMs?: number;
  /** Milliseconds that a live session has to answer before a newcomer replaces it. Default 3,000. */
  challengeMs?: number;
  /** Tunnels, offline ones included. Default 10,000. */
  maxTunnels?: number;
  /** Told when a session is replaced; for the log. */
  onReplaced?(name: string, why: string): void;
}

interface Entry {
  readonly name: string;
  owner: string;
  session: Session | null;
  freedAt: number;
  /** A newcomer is waiting to see whether the session still answers. */
  challenged: boolean;
}

export class Tunnels {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #reserveMs: number;
  readonly #challengeMs: number;
  readonly #maxTunnels: number;
  readonly #onReplaced: (name: string, why: string) => void;

  constructor(options: TunnelsOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#reserveMs = options.reserveMs ?? 600_000;
    this.#challengeMs = options.challengeMs ?? 3_000;
    this.#maxTunnels = options.maxTunnels ?? 10_000;
    this.#onReplaced = options.onReplaced ?? (() => {});
  }

  /** The tunnel of that name, online or freed less than `reserveMs` ago. */
  get(name: string): Tunnel | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined || !this.#isExpired(entry)) return entry;
    this.#entries.delete(name);
    return undefined;
  }

  /** Online tunnels. */
  get online(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.session !== null) count++;
    return count;
  }

  /**
   * Gives `name` to `session` until it closes. A session that holds the name already is pinged: one that stays silent
   * is replaced, one that answers keeps it (`name_taken`), unless the newcomer is its owner's and says `force`.
   */
  async claim(name: string, owner: string, session: Session, force = false): Promise<void> {
    const fault = nameFault(name);
    if (fault !== null) throw new ClaimError("bad_name", `The name ${JSON.stringify(name)} ${fault}`);
    const entry = this.#entry(name, owner);
    if (entry.owner !== owner) throw new ClaimError("name_taken", `The name ${name} belongs to another node`);
    if (entry.session !== null && entry.session !== session) await this.#challenge(entry, force);
    entry.session = session;
    void session.closed.then(() => this.#free(entry, session));
  }

  /** Takes `name` from `session`, as its closing would. */
  release(name: string, session: Session): void {
    const entry = this.#entries.get(name);
    if (entry !== undefined) this.#free(entry, session);
  }

  async #challenge(entry: Entry, force: boolean): Promise<void> {
    const holder = entry.session as Session;
    if (entry.challenged) throw new ClaimError("name_taken", `The name ${entry.name} is being claimed`);
    if (!force) {
      entry.challenged = true;
      const alive = await holder.ping(this.#challengeMs);
      entry.challenged = false;
      if (alive && entry.session === holder) {
        throw new ClaimError("name_taken", `The name ${entry.name} is taken: another agent serves it`);
      }
    }
    if (entry.session === null) return;
    if (entry.session !== holder) {
      throw new ClaimError("name_taken", `The name ${entry.name} is taken: another agent was faster`);
    }
    const why = force ? "another agent took over by force" : "it was silent, and another agent came";
    this.#onReplaced(entry.name, why);
    holder.close(`Replaced: ${why}`);
  }

  #entry(name: string, owner: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined && !this.#isExpired(known)) return known;
    if (known === undefined && this.#entries.size >= this.#maxTunnels) this.#makeRoom();
    const entry: Entry = { name, owner, session: null, freedAt: this.#clock.now(), challenged: false };
    this.#entries.set(name, entry);
    return entry;
  }

  /** Offline tunnels give way, the longest offline first; online ones never. */
  #makeRoom(): void {
    let oldest: Entry | null = null;
    for (const entry of this.#entries.values()) {
      if (entry.session !== null || entry.challenged) continue;
      if (oldest === null || entry.freedAt < oldest.freedAt) oldest = entry;
    }
    if (oldest === null) throw new ClaimError("too_many_tunnels", `The edge has ${this.#maxTunnels} tunnels already`);
    this.#entries.delete(oldest.name);
  }

  #isExpired(entry: Entry): boolean {
    if (entry.session !== null || entry.challenged) return false;
    return this.#clock.now() - entry.freedAt >= this.#reserveMs;
  }

  #free(entry: Entry, session: Session): void {
    if (entry.session !== session) return;
    entry.session = null;
    entry.freedAt = this.#clock.now();
  }
}
