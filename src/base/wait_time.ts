/**
 * For how long several have waited, together. Those that still wait are counted, and nobody has to look at each: the sum
 * of their starts is enough. Whoever waits keeps its own start.
 */
export class WaitTime {
  #waiting = 0;
  #startsMs = 0;
  #endedMs = 0;
  #toldMs = 0;

  /** How many wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** One begins to wait. @param now in milliseconds, by the clock of all calls */
  begin(now: number): void {
    this.#waiting++;
    this.#startsMs += now;
  }

  /** One that has waited since `startedAt` does not any more. */
  end(startedAt: number, now: number): void {
    this.#waiting--;
    // Fractions that were rounded must not gather.
    this.#startsMs = this.#waiting === 0 ? 0 : this.#startsMs - startedAt;
    this.#endedMs += now - startedAt;
  }

  /** Milliseconds until `now`. Never less than it was told before. */
  totalMs(now: number): number {
    const totalMs = this.#endedMs + this.#waiting * now - this.#startsMs;
    this.#toldMs = Math.max(this.#toldMs, totalMs);
    return this.#toldMs;
  }
}
