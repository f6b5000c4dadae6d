/**
 * Many timeouts of one length. Most exchanges end long before theirs, so they share one timer and stand in one lane
 * (equally long timeouts come due in the order in which they were added), and only an exchange that outlives its first
 * deadline, because it was touched meanwhile, gets a timer of its own.
 */
import type { Clock, Timer } from "../clock.ts";
import { perTurn } from "../http1/turn_clock.ts";
import { Lane, Linked } from "../lane.ts";

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
  readonly #young = new Lane<Entry>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number) {
    this.clock = perTurn(clock);
    this.timeoutMs = timeoutMs;
  }

  /** Tells `listener` once, when the length has passed since this call and the last `touch()`. */
  add(listener: TimeoutListener): Timeout {
    const entry = new Entry(this, listener);
    this.#young.add(entry);
    this.#timer ??= this.clock.after(this.timeoutMs, () => this.#sweep());
    return entry;
  }

  #sweep(): void {
    this.#timer = null;
    const now = this.clock.now();
    for (let entry = this.#young.first; entry !== null; entry = this.#young.first) {
      const left = entry.addedAt + this.timeoutMs - now;
      if (left > 0) {
        this.#timer = this.clock.after(left, () => this.#sweep());
        return;
      }
      entry.leave();
      entry.check();
    }
  }
}

/** In the queue's lane until its first deadline; after that it has a timer. */
class Entry extends Linked<Entry> implements Timeout {
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
    this.leave();
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
