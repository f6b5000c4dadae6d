/**
 * The time of day, for dates that are stored. A step of the system's clock ends no token early: what is to end has ended
 * once it is over by the system's clock and by the monotonic one, which goes on evenly from the time at the start.
 */
import { type Clock, systemClock } from "../base/mod.ts";

export class WallClock {
  readonly #clock: Clock;
  readonly #offsetMs: number;
  readonly #system: () => number;

  /** @param system the system's time of day in milliseconds since 1970; a number: that is now, and is never set */
  constructor(clock: Clock = systemClock, system: (() => number) | number = () => Date.now()) {
    this.#clock = clock;
    this.#offsetMs = (typeof system === "number" ? system : system()) - clock.now();
    this.#system = typeof system === "number" ? () => this.steady() : system;
  }

  /** Milliseconds since 1970 as they were at the start, and as many as have passed since then. */
  steady(): number {
    return this.#offsetMs + this.#clock.now();
  }

  /** Milliseconds since 1970: the earlier one of both clocks. */
  now(): number {
    return Math.min(this.steady(), this.#system());
  }

  /** The time in `afterMs` milliseconds, in RFC 3339: by the later one of both clocks. */
  text(afterMs = 0): string {
    return new Date(Math.max(this.steady(), this.#system()) + afterMs).toISOString();
  }
}
