/**
 * Timeouts that hardly ever fire: of a request's head, an idle connection, a silent body. Starting, moving and ending
 * one links or unlinks a list node and nothing more, so that it can be done for every chunk.
 *
 *     Timers (one a clock)
 *       ├─ 10,000 ms ─▶ timeout ─▶ timeout ─▶ …      one list a duration, in the order in which they come due
 *       └─ 75,000 ms ─▶ timeout ─▶ …                 and one real timer a list, set for its first timeout
 *
 * This is how Node and undici (`lib/util/timers.js`) keep theirs. A timeout fires on time, by the cached clock of its
 * tick; only the real timer behind it may ring early, and is then set again.
 */
import { cachedClock } from "./cached_clock.ts";
import type { Clock, Timer } from "./clock.ts";
import { LinkedList, ListNode } from "./linked_list.ts";

/** Called when the time has passed. */
export type TimeoutListener = (() => void) | { handleTimeout(): void };

const timersOfClocks = new WeakMap<Clock, Timers>();

/** All timeouts on one clock. */
class Timers {
  readonly clock: Clock;
  readonly #lists = new Map<number, TimeoutList>();

  constructor(clock: Clock) {
    this.clock = cachedClock(clock);
  }

  static of(clock: Clock): Timers {
    let timers = timersOfClocks.get(clock);
    if (timers === undefined) timersOfClocks.set(clock, timers = new Timers(clock));
    return timers;
  }

  list(durationMs: number): TimeoutList {
    let list = this.#lists.get(durationMs);
    if (list === undefined) this.#lists.set(durationMs, list = new TimeoutList(this, durationMs));
    return list;
  }

  /** The list is empty and has no real timer. Durations that are used once must not pile up. */
  forget(durationMs: number): void {
    this.#lists.delete(durationMs);
  }

  /** Ends the real timers that no timeout needs. */
  settle(): void {
    for (const list of this.#lists.values()) list.settle();
  }
}

/** Timeouts of one duration. They come due in the order in which they were started. */
class TimeoutList extends LinkedList<Timeout> {
  readonly #timers: Timers;
  readonly #durationMs: number;
  #timer: Timer | null = null;
  #isRinging = false;

  constructor(timers: Timers, durationMs: number) {
    super();
    this.#timers = timers;
    this.#durationMs = durationMs;
  }

  start(timeout: Timeout): void {
    timeout.startedAt = this.#timers.clock.now();
    this.append(timeout);
    if (this.#timer === null && !this.#isRinging) this.#arm(this.#durationMs);
  }

  /** Ends the real timer where no timeout needs it. */
  settle(): void {
    if (this.size > 0 || this.#isRinging) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timers.forget(this.#durationMs);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#timers.clock.after(delayMs, () => this.#ring());
  }

  #ring(): void {
    this.#timer = null;
    this.#isRinging = true;
    const now = this.#timers.clock.now();
    try {
      for (let timeout = this.first; timeout !== null && this.#leftMs(timeout, now) <= 0; timeout = this.first) {
        this.remove(timeout);
        timeout.fire();
      }
    } finally {
      this.#isRinging = false;
      if (this.first === null) this.settle();
      else this.#arm(Math.max(0, this.#leftMs(this.first, now)));
    }
  }

  #leftMs(timeout: Timeout, now: number): number {
    return timeout.startedAt + this.#durationMs - now;
  }
}

/** One timeout, which can be started again and again, each time with another duration. */
export class Timeout extends ListNode<Timeout> {
  /** On the cached clock. Only its list writes it. */
  startedAt = 0;
  readonly #timers: Timers;
  readonly #listener: TimeoutListener;
  #current: TimeoutList | null = null;

  /** @param listener called once for each `start()` whose time passes before the next `start()` or `stop()` */
  constructor(clock: Clock, listener: TimeoutListener) {
    super();
    this.#timers = Timers.of(clock);
    this.#listener = listener;
  }

  /** Begins anew, `durationMs` from now. */
  start(durationMs: number): void {
    this.unlink();
    this.#current = this.#timers.list(durationMs);
    this.#current.start(this);
  }

  /** Activity: begins anew with the same duration. Does nothing while the timeout is stopped. */
  touch(): void {
    const { list } = this;
    if (list === null) return;
    this.unlink();
    this.#current!.start(this);
  }

  /** Ends it. The real timer behind it may stay, for the next `start()`. A second call does nothing. */
  stop(): void {
    this.unlink();
  }

  /** Ends it for good: no timer stays that only this timeout needed. */
  close(): void {
    this.unlink();
    this.#timers.settle();
  }

  /** For its list alone. */
  fire(): void {
    if (typeof this.#listener === "function") this.#listener();
    else this.#listener.handleTimeout();
  }
}
