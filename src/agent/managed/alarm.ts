import { type Clock, systemClock } from "../../base/mod.ts";

/** Wakes the one that waits for it. Where nobody waits, the next wait is over at once: nothing that came is missed. */
export class Alarm {
  readonly #clock: Clock;
  #hasRung = false;
  #end: (() => void) | null = null;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  ring(): void {
    if (this.#end === null) this.#hasRung = true;
    else this.#end();
  }

  /** Forgets that it has rung. */
  clear(): void {
    this.#hasRung = false;
  }

  /** Resolves when it rings, and after `ms` where that is finite. */
  wait(ms = Infinity): Promise<void> {
    if (this.#hasRung) {
      this.#hasRung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = () => {
        timer?.cancel();
        this.#end = null;
        resolve();
      };
      this.#end = end;
      const timer = ms === Infinity ? null : this.#clock.after(ms, end);
    });
  }
}
