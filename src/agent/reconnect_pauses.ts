/** When an agent connects again whose session is over: soon at first, since an edge that starts anew is back by then. */
import { Backoff, type Clock } from "../base/mod.ts";

/** For so long attempts stay close together, and so far apart at most. */
const SOON_MS = 30_000;
const SOON_PAUSE_MS = 3_000;

export class ReconnectPauses {
  readonly #clock: Clock;
  readonly #soon: Backoff;
  readonly #later: Backoff;
  /** When the first of these attempts was; null before that. */
  #since: number | null = null;

  /**
   * @param backoff all pauses. Default: up to 1 s, which doubles up to 3 s for the first 30 s, and then up to 30 s.
   * @param random returns a number from 0 up to 1
   */
  constructor(clock: Clock, backoff?: Backoff, random?: () => number) {
    this.#clock = clock;
    this.#soon = backoff ?? new Backoff(undefined, SOON_PAUSE_MS, random);
    this.#later = backoff ?? new Backoff(undefined, undefined, random);
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const now = this.#clock.now();
    this.#since ??= now;
    return (now - this.#since < SOON_MS ? this.#soon : this.#later).next();
  }

  /** Starts anew, after a session that lasted. */
  reset(): void {
    this.#since = null;
    this.#soon.reset();
    this.#later.reset();
  }
}
