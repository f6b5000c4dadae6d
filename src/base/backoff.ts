/**
 * Exponential backoff with full jitter: each delay is drawn between 0 and a bound that doubles. Agents that lost their edge
 * at the same time then do not all come back at the same time.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #limitMs: number;
  readonly #random: () => number;
  #boundMs: number;

  /** @param random returns a number from 0 up to 1 */
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

  /** Starts anew, after a connection that lasted. */
  reset(): void {
    this.#boundMs = this.#firstMs;
  }
}
