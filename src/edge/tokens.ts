/** Who an agent is: the check of its token, in constant time, and the brake on guessing. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Clock, systemClock } from "../base/mod.ts";

/** Finds out whose token it is; null where it is nobody's. */
export type TokenCheck = (token: string) => string | null;

/** The edge's one `--token`. Digests are compared, so that neither content nor length shows in the time it takes. */
export function sharedToken(token: string, owner = "token"): TokenCheck {
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected) ? owner : null;
}

function digest(token: string): Uint8Array {
  return createHash("sha256").update(token, "utf8").digest();
}

export interface GuessLimits {
  /** Refused tokens of one address within the window, after which every attempt of it is refused. Default 20. */
  attempts: number;
  /** Milliseconds. Default 60,000. */
  windowMs: number;
  /** Addresses that are remembered; the oldest is forgotten first. Default 10,000. */
  maxAddresses: number;
}

const defaultLimits: GuessLimits = { attempts: 20, windowMs: 60_000, maxAddresses: 10_000 };

export class GuessLimiter {
  readonly #limits: GuessLimits;
  readonly #clock: Clock;
  readonly #refused = new Map<string, { count: number; since: number }>();

  constructor(clock: Clock = systemClock, limits: GuessLimits = defaultLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** True where `address` had too many tokens refused: it is not even asked for another. */
  isBlocked(address: string): boolean {
    const entry = this.#refused.get(address);
    if (entry === undefined) return false;
    if (this.#clock.now() - entry.since < this.#limits.windowMs) return entry.count >= this.#limits.attempts;
    this.#refused.delete(address);
    return false;
  }

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
