/**
 * A token bucket: something may happen `burst` times at once, and so many times a second afterwards.
 *
 *     burst 10, 5 a second:   10 at 0 s, the next ones at 0.2 s, 0.4 s, …; after a rest of 2 s, 10 at once again
 */
export class TokenBucket {
  readonly #burst: number;
  readonly #tokensPerMs: number;
  /** Less than 0: a debt. */
  #tokens: number;
  /** When tokens were last added. */
  #filledAt: number;

  constructor(burst: number, perSecond: number, now: number) {
    this.#burst = burst;
    this.#tokensPerMs = perSecond / 1_000;
    this.#tokens = burst;
    this.#filledAt = now;
  }

  /** Takes a token at `now` (milliseconds). False where there is none: it may not happen. */
  take(now: number): boolean {
    this.#fill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /**
   * Takes `count` tokens at `now`, whether there are as many or not. Returns the milliseconds until they have come: it may
   * happen then. Calls queue behind each other in this way.
   */
  spend(now: number, count: number): number {
    this.#fill(now);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / this.#tokensPerMs);
  }

  /** Milliseconds from `now` until there is a token. */
  waitMs(now: number): number {
    this.#fill(now);
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#tokensPerMs);
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#tokensPerMs);
    this.#filledAt = now;
  }
}
