/**
 * Many timeouts of one length. Most exchanges end long before theirs, so they share one timer and stand in one chain
 * (equally long timeouts come due in the order in which they were added), and only an exchange that outlives its first
 * deadline, because it was touched meanwhile, gets a timer of its own.
 */
import type { Clock, Timer } from "../clock.ts";
import { perTurn } from "../http1/turn_clock.ts";

/** One running timeout; made by `TimeoutQueue.add`. */
export interface Timeout {
  /** Pushes the deadline to a full length from now. Costs a store: call it for every chunk. */
  touch(): void;
  /** Ends it; a second call does nothing. */
  cancel(): void;
}

/** Called once, when the time has passed. */
export type TimeoutListener = (() => void) | { handleTimeout(): void };

export class TimeoutQueue {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Stands before the oldest and behind the newest: so each entry of the ring has two neighbours, always. */
  readonly #ends: Link = new Link();
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number) {
    this.clock = perTurn(clock);
    this.timeoutMs = timeoutMs;
  }

  /** Tells `listener` once, when the length has passed since this call and the last `touch()`. */
  add(listener: TimeoutListener): Timeout {
    const entry = new Entry(this, listener);
    entry.putBefore(this.#ends);
    this.#timer ??= this.clock.after(this.timeoutMs, () => this.#sweep());
    return entry;
  }

  #sweep(): void {
    this.#timer = null;
    const now = this.clock.now();
    for (let link = this.#ends.next; link instanceof Entry; link = this.#ends.next) {
      const left = link.addedAt + this.timeoutMs - now;
      if (left > 0) {
        this.#timer = this.clock.after(left, () => this.#sweep());
        return;
      }
      link.remove();
      link.check();
    }
  }
}

/** A link of a ring that knows its neighbours: so one that is anywhere in it leaves in one step. */
class Link {
  next: Link = this;
  #previous: Link = this;

  putBefore(other: Link): void {
    this.next = other;
    this.#previous = other.#previous;
    other.#previous.next = this;
    other.#previous = this;
  }

  /** A second call does nothing. */
  remove(): void {
    this.next.#previous = this.#previous;
    this.#previous.next = this.next;
    this.next = this.#previous = this;
  }
}

/** In the queue's ring until its first deadline; after that it has a timer. */
class Entry extends Link implements Timeout {
  readonly addedAt: number;
  readonly #queue: TimeoutQueue;
  readonly #listener: TimeoutListener;
  #touchedAt: number;
  #timer: Timer | null = null;

  constructor(queue: TimeoutQueue, listener: TimeoutListener) {
    super();
    this.#queue = queue;
    this.#listener = listener;
    this.addedAt = this.#touchedAt = queue.clock.now();
  }

  touch(): void {
    this.#touchedAt = this.#queue.clock.now();
  }

  cancel(): void {
    this.remove();
    this.#timer?.cancel();
  }

  check(): void {
    const { clock, timeoutMs } = this.#queue;
    const left = this.#touchedAt + timeoutMs - clock.now();
    if (left > 0) this.#timer = clock.after(left, () => this.check());
    else if (typeof this.#listener === "function") this.#listener();
    else this.#listener.handleTimeout();
  }
}
