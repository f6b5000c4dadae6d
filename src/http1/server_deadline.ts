/**
 * One deadline that is moved for every request. Moving it is a store: the timer behind it is only set where none would
 * ring in time, and one that rings too early is set again.
 */
import type { Clock, Timer } from "../clock.ts";
import { perTurn } from "./turn_clock.ts";

export class Deadline {
  readonly #clock: Clock;
  readonly #onPassed: () => void;
  #due = Infinity;
  #timer: Timer | null = null;
  #timerDue = Infinity;

  /** @param onPassed called once for each `set()` whose time passes before the next `set()` or `clear()`. */
  constructor(clock: Clock, onPassed: () => void) {
    this.#clock = perTurn(clock);
    this.#onPassed = onPassed;
  }

  set(delayMs: number): void {
    this.#due = this.#clock.now() + delayMs;
    if (this.#due < this.#timerDue) this.#arm(delayMs);
  }

  /** There is no deadline now. A timer under way rings for nothing; `stop()` ends that, too. */
  clear(): void {
    this.#due = Infinity;
  }

  stop(): void {
    this.#due = Infinity;
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerDue = Infinity;
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#timerDue = this.#clock.now() + delayMs;
    this.#timer = this.#clock.after(delayMs, () => this.#ring());
  }

  #ring(): void {
    this.#timer = null;
    this.#timerDue = Infinity;
    if (this.#due === Infinity) return;
    const left = this.#due - this.#clock.now();
    if (left > 0) return this.#arm(left);
    this.#due = Infinity;
    this.#onPassed();
  }
}
