/**
 * Full jitter (each delay is drawn between nothing and a bound that doubles), so that a thousand agents that lost
 * their edge together do not come back together.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #limitMs: number;
  readonly #random: () => number;
  #boundMs: number;

  /** @param random a number from 0 up to 1 */
  constructor(firstMs = 1_000, limitMs = 30_000, random: () => number = Math.random) {
    this.#firstMs = this.#boundMs = firstMs;
    this.#limitMs = limitMs;
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const delayMs = Math.round(this.#random() * this.#boundMs);
    this.#boundMs = Math.min(this.#boundMs * 2, this.#limitMs);
    return delayMs;
  }

  /** After a success that lasted. */
  reset(): void {
    this.#boundMs = this.#firstMs;
  }
}
