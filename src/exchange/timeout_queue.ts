/**
 * Many timeouts of one length. Most exchanges end long before theirs, so they share one timer and one ordered set
 * (equally long timeouts come due in the order in which they were added), and only an exchange that outlives its first
 * deadline, because it was touched meanwhile, gets a timer of its own.
 */
import type { Clock, Timer } from "../clock.ts";

/** One running timeout; made by `TimeoutQueue.add`. */
export interface Timeout {
  /** Pushes the deadline to a full length from now. Costs a store: call it for every chunk. */
  touch(): void;
  /** Ends it; a second call does nothing. */
  cancel(): void;
}

export class TimeoutQueue {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #young = new Set<Entry>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Calls `onTimeout` once, when the length has passed since this call and the last `touch()`. */
  add(onTimeout: () => void): Timeout {
    const entry = new Entry(this.#clock, this.#timeoutMs, this.#young, onTimeout);
    this.#young.add(entry);
    this.#timer ??= this.#clock.after(this.#timeoutMs, () => this.#sweep());
    return entry;
  }

  #sweep(): void {
    this.#timer = null;
    const now = this.#clock.now();
    for (const entry of this.#young) {
      const left = entry.addedAt + this.#timeoutMs - now;
      if (left > 0) {
        this.#timer = this.#clock.after(left, () => this.#sweep());
        return;
      }
      this.#young.delete(entry);
      entry.check();
    }
  }
}

class Entry implements Timeout {
  readonly addedAt: number;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #young: Set<Entry>;
  readonly #onTimeout: () => void;
  #touchedAt: number;
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number, young: Set<Entry>, onTimeout: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#young = young;
    this.#onTimeout = onTimeout;
    this.addedAt = this.#touchedAt = clock.now();
  }

  touch(): void {
    this.#touchedAt = this.#clock.now();
  }

  cancel(): void {
    this.#young.delete(this);
    this.#timer?.cancel();
  }

  check(): void {
    const left = this.#touchedAt + this.#timeoutMs - this.#clock.now();
    if (left > 0) this.#timer = this.#clock.after(left, () => this.check());
    else this.#onTimeout();
  }
}
