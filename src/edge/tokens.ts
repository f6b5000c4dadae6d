/** Who an agent is: the check of its token, in constant time, and a limit on guessing one. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Clock, systemClock } from "../base/mod.ts";

/** Returns the owner of a token; null where it has none. */
export type TokenCheck = (token: string) => string | null;

/** A check for the edge's one `--token`. It compares digests, so that its time tells neither content nor length. */
export function sharedToken(token: string, owner = "token"): TokenCheck {
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected) ? owner : null;
}

function digest(token: string): Uint8Array {
  return createHash("sha256").update(token, "utf8").digest();
}

export interface GuessLimits {
  /** Refused tokens of one address within the window. Every further attempt of it is refused. Default 20. */
  attempts: number;
  /** Milliseconds from an address's first refused token. Default 60,000. */
  windowMs: number;
  /** Addresses that are counted; the oldest is forgotten first. Default 10,000. */
  maxAddresses: number;
}

const defaultLimits: GuessLimits = { attempts: 20, windowMs: 60_000, maxAddresses: 10_000 };

/** Counts refused tokens by address. */
export class GuessLimiter {
  readonly #limits: GuessLimits;
  readonly #clock: Clock;
  readonly #refused = new Map<string, { count: number; since: number }>();

  constructor(clock: Clock = systemClock, limits: GuessLimits = defaultLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** True where too many tokens of `address` were refused: no further one is looked at. */
  isBlocked(address: string): boolean {
    const entry = this.#refused.get(address);
    if (entry === undefined) return false;
    if (this.#clock.now() - entry.since < this.#limits.windowMs) return entry.count >= this.#limits.attempts;
    this.#refused.delete(address);
    return false;
  }

  /** Counts a refused token of `address`. */
  refused(address: string): void {
    if (this.isBlocked(address)) return;
    const entry = this.#refused.get(address);
    if (entry !== undefined) {
      entry.count++;
      return;
    }
    if (this.#refused.size >= this.#limits.maxAddresses) {
      this.#refused.delete(this.#refused.keys().next().value as string);
    }
    this.#refused.set(address, { count: 1, since: this.#clock.now() });
  }
}
