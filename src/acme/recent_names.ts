/** Names of which was told lately, so that it is not told again with each handshake. */
import type { Clock } from "../base/mod.ts";

const TOLD_MS = 600_000;
/** For more, the oldest is forgotten. */
export const MAX_NAMES = 1_000;

export class RecentNames {
  readonly #clock: Clock;
  /** By name, when it was added; the oldest first. */
  readonly #addedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False where `name` was added within the last 10 minutes. */
  add(name: string): boolean {
    const now = this.#clock.now();
    const addedAt = this.#addedAt.get(name);
    if (addedAt !== undefined && now - addedAt < TOLD_MS) return false;
    this.#addedAt.delete(name);
    this.#addedAt.set(name, now);
    if (this.#addedAt.size > MAX_NAMES) this.#addedAt.delete(this.#addedAt.keys().next().value!);
    return true;
  }
}
