/** A clock that stands still until the test moves it. */
import type { Clock, Timer } from "../../src/base/clock.ts";

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #now = 0;
  /** In the order in which they were set: of those due at the same time, the first one set rings first. */
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const alarm: Alarm = { at: this.#now + Math.max(0, delayMs), callback };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  /** Timers that are set and have neither rung nor been canceled. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Milliseconds until the next timer rings; `Infinity` without one. */
  get untilNext(): number {
    let at = Infinity;
    for (const alarm of this.#alarms) at = Math.min(at, alarm.at);
    return at - this.#now;
  }

  /** Moves on by `ms`; timers ring in the order of their times, those set meanwhile among them. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let alarm = this.#next(end); alarm !== null; alarm = this.#next(end)) {
      this.#alarms.delete(alarm);
      this.#now = alarm.at;
      alarm.callback();
    }
    this.#now = end;
  }

  #next(end: number): Alarm | null {
    let next: Alarm | null = null;
    for (const alarm of this.#alarms) {
      if (alarm.at <= end && (next === null || alarm.at < next.at)) next = alarm;
    }
    return next;
  }
}
