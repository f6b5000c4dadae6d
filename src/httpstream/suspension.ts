/** The times in which a connection has no link, and the end of its patience. */
import type { Clock, Timer } from "../base/mod.ts";

export class Suspension {
  /** Milliseconds for which a link is waited for; 0: the connection ends with its link. */
  timeoutMs: number;
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  /** When the link was lost; null while there is one. */
  #since: number | null = null;
  #earlierMs = 0;
  #timer: Timer | null = null;

  /** @param onExpired called where no link came within `timeoutMs` */
  constructor(clock: Clock, timeoutMs: number, onExpired: () => void) {
    this.#clock = clock;
    this.timeoutMs = timeoutMs;
    this.#onExpired = onExpired;
  }

  get isOn(): boolean {
    return this.#since !== null;
  }

  /** Milliseconds without a link, all times together. It grows meanwhile. */
  get totalMs(): number {
    return this.#earlierMs + (this.#since === null ? 0 : this.#clock.now() - this.#since);
  }

  /** @param mostMs the most for which a link is waited for this time */
  begin(mostMs: number): void {
    this.#since = this.#clock.now();
    this.#timer = this.#clock.after(Math.min(this.timeoutMs, mostMs), this.#onExpired);
  }

  /** There is a link, or none is waited for any more. Returns the milliseconds of this time; 0 where there was none. */
  end(): number {
    const lastMs = this.totalMs - this.#earlierMs;
    this.#earlierMs += lastMs;
    this.#since = null;
    this.#timer?.cancel();
    this.#timer = null;
    return lastMs;
  }
}
