/**
 * The time of day, for dates that are stored. It is read from the system once, and goes on with the monotonic clock: a
 * step of the system's clock ends no token early while the program runs.
 */
import { type Clock, systemClock } from "../base/mod.ts";

export class WallClock {
  readonly #clock: Clock;
  readonly #offsetMs: number;

  /** @param startMs the time of day now, in milliseconds since 1970. Default: the system's. */
  constructor(clock: Clock = systemClock, startMs = Date.now()) {
    this.#clock = clock;
    this.#offsetMs = startMs - clock.now();
  }

  /** Milliseconds since 1970. */
  now(): number {
    return this.#offsetMs + this.#clock.now();
  }

  /** The time in `afterMs` milliseconds, in RFC 3339. */
  text(afterMs = 0): string {
    return new Date(this.now() + afterMs).toISOString();
  }
}
