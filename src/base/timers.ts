/**
 * Timeouts that hardly ever fire: of a request's head, an idle connection, a silent body. To start, move or end one is
 * to link or unlink a list node, so that it can be done for every chunk.
 *
 *     Timers (one a clock)
 *       ├─ 10,000 ms ─▶ timeout ─▶ timeout ─▶ …      one list a duration, in the order in which they come due
 *       └─ 75,000 ms ─▶ timeout ─▶ …                 and one real timer a list, set for its first timeout
 *
 * Node and undici (`lib/util/timers.js`) do the same. A timeout fires on time, by the cached clock of its tick. The
 * real timer behind it may be early, and is then set again.
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

  /** Drops the list of a duration, which is empty and has no real timer: lists must not pile up. */
  forget(durationMs: number): void {
    this.#lists.delete(durationMs);
  }

  /** Ends the real timers that no timeout needs. */
  endUnused(): void {
    for (const list of this.#lists.values()) list.endIfUnused();
  }
}

/** Timeouts of one duration. They come due in the order in which they were started. */
class TimeoutList extends LinkedList<Timeout> {
  readonly #timers: Timers;
  readonly #durationMs: number;
  #timer: Timer | null = null;
  #isFiring = false;

  constructor(timers: Timers, durationMs: number) {
    super();
    this.#timers = timers;
    this.#durationMs = durationMs;
  }

  start(timeout: Timeout): void {
    timeout.startedAt = this.#timers.clock.now();
    this.append(timeout);
    if (this.#timer === null && !this.#isFiring) this.#arm(this.#durationMs);
  }

  /** Ends the real timer where no timeout needs it. */
  endIfUnused(): void {
    if (this.size > 0 || this.#isFiring) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timers.forget(this.#durationMs);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#timers.clock.after(delayMs, () => this.#fireDue());
  }

  #fireDue(): void {
    this.#timer = null;
    this.#isFiring = true;
    const now = this.#timers.clock.now();
    try {
      for (let timeout = this.first; timeout !== null && this.#leftMs(timeout, now) <= 0; timeout = this.first) {
        this.remove(timeout);
        timeout.fire();
      }
    } finally {
      this.#isFiring = false;
      if (this.first === null) this.endIfUnused();
      else this.#arm(Math.max(0, this.#leftMs(this.first, now)));
    }
  }

  #leftMs(timeout: Timeout, now: number): number {
    return timeout.startedAt + this.#durationMs - now;
  }
}

/** One timeout, which can be started again and again, with other durations, too. */
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

  /** Fires `durationMs` from now, and not when it would have fired before. */
  start(durationMs: number): void {
    this.unlink();
    this.#current = this.#timers.list(durationMs);
    this.#current.start(this);
  }

  /** Starts it again with the same duration. Does nothing while it is stopped. */
  touch(): void {
    const { list } = this;
    if (list === null) return;
    this.unlink();
    this.#current!.start(this);
  }

  /** Stops it. The real timer behind it may stay, for the next `start()`. A second call does nothing. */
  stop(): void {
    this.unlink();
  }

  /** Stops it for good: a real timer that only this timeout needed ends, too. */
  close(): void {
    this.unlink();
    this.#timers.endUnused();
  }

  /** For its list alone. */
  fire(): void {
    if (typeof this.#listener === "function") this.#listener();
    else this.#listener.handleTimeout();
  }
}
