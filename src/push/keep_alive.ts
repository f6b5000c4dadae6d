/**
 * Says when each of many streams is to give a sign of life. They take turns within the interval, so that thousands of
 * them do not write at one moment.
 *
 *     interval  │ 0 │ 1 │ 2 │ … │ 29 │      each slot has its streams, and comes once in an interval
 *                     ▲ now: what joins here is due when the slot comes again
 */
import type { Clock, Timer } from "../base/mod.ts";

const SLOTS = 30;

export interface KeepAliveMember {
  /** Its slot: written by `KeepAlive` alone. */
  slot: number;
}

export class KeepAlive<T extends KeepAliveMember> {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onDue: (member: T) => void;
  readonly #slots: readonly Set<T>[] = Array.from({ length: SLOTS }, () => new Set<T>());
  #now = 0;
  #size = 0;
  #timer: Timer | null = null;

  /** @param intervalMs between two calls of `onDue` for a member; the first one may come a slot earlier */
  constructor(clock: Clock, intervalMs: number, onDue: (member: T) => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onDue = onDue;
  }

  add(member: T): void {
    member.slot = this.#now;
    this.#slots[this.#now]!.add(member);
    this.#size++;
    if (this.#timer === null) this.#schedule();
  }

  /** Does nothing for one that is not in it. */
  remove(member: T): void {
    if (!this.#slots[member.slot]!.delete(member)) return;
    this.#size--;
    if (this.#size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #schedule(): void {
    this.#timer = this.#clock.after(this.#intervalMs / SLOTS, () => this.#next());
  }

  #next(): void {
    this.#now = (this.#now + 1) % SLOTS;
    this.#schedule();
    for (const member of this.#slots[this.#now]!) this.#onDue(member);
  }
}
