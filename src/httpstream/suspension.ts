/** The times in which a connection has no link, and the end of its patience. */
import type { Clock, Timer } from "../base/mod.ts";

/**
 * For so long a connection that has drained waits for a link: a stream of the peer's may have been on the way. Behind an
 * edge that was killed, an agent that was told to end would stay for its whole drain timeout.
 */
const DRAINED_MS = 3_000;

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

  /** @param hasDrained this side drains, and has neither streams nor anything of them that the peer lacks */
  begin(hasDrained: boolean): void {
    this.#since = this.#clock.now();
    this.#timer = this.#clock.after(
      hasDrained ? Math.min(this.timeoutMs, DRAINED_MS) : this.timeoutMs,
      this.#onExpired,
    );
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
