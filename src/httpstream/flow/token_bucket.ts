/** A token bucket: something may happen `burst` times at once, and so many times a second afterwards. */
export class TokenBucket {
  readonly #burst: number;
  readonly #tokensPerMs: number;
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
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#tokensPerMs);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
