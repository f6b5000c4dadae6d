/** Orders one after the other, a few at a time: renewals first. */

/** At one time. */
const MAX_RUNNING = 4;
/** That wait. */
export const MAX_WAITING = 1_000;

export class OrderQueue {
  readonly #renewals: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #running = 0;
  #isClosed = false;

  get isFull(): boolean {
    return this.#renewals.length + this.#others.length >= MAX_WAITING;
  }

  /** Runs `order` once there is room. Null where the queue is closed before. */
  async run<T>(order: () => Promise<T>, isRenewal: boolean): Promise<T | null> {
    if (this.#running >= MAX_RUNNING) {
      await new Promise<void>((resolve) => (isRenewal ? this.#renewals : this.#others).push(resolve));
    } else this.#running++;
    try {
      return this.#isClosed ? null : await order();
    } finally {
      // Whoever waited gets this one's place.
      const next = this.#renewals.shift() ?? this.#others.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Those that wait end with null; those that run go on. */
  close(): void {
    this.#isClosed = true;
    for (const wake of [...this.#renewals.splice(0), ...this.#others.splice(0)]) {
      this.#running++;
      wake();
    }
  }
}
