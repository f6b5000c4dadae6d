/** Says when tokens end: because they were removed or replaced, or because their time is over. */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import type { TokenRecord } from "../store/mod.ts";
import type { Directory } from "./directory.ts";
import type { WallClock } from "./wall_clock.ts";

/** @param reason a sentence without full stop */
export type OnTokenEnd = (tokenId: string, reason: string) => void;

export class TokenEnds {
  readonly #directory: Directory;
  readonly #wallClock: WallClock;
  readonly #clock: Clock;
  readonly #onEnd: OnTokenEnd;
  readonly #timers = new Map<string, Timer>();
  readonly #unsubscribe: () => void;

  /** @param onEnd is called once for each token that ends from now on */
  constructor(directory: Directory, wallClock: WallClock, onEnd: OnTokenEnd, clock: Clock = systemClock) {
    this.#directory = directory;
    this.#wallClock = wallClock;
    this.#clock = clock;
    this.#onEnd = onEnd;
    for (const { value } of directory.tokens.values()) this.#schedule(value);
    this.#unsubscribe = directory.onChange((kind, before, after) => {
      if (kind !== "token") return;
      if (after !== null) return this.#schedule(after as TokenRecord);
      const { id } = before as TokenRecord;
      this.#forget(id);
      this.#onEnd(id, "The token was removed or replaced");
    });
  }

  close(): void {
    this.#unsubscribe();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #schedule(record: TokenRecord): void {
    this.#forget(record.id);
    if (record.expiresAt === null || this.#directory.isExpired(record)) return;
    const delayMs = Date.parse(record.expiresAt) - this.#wallClock.now();
    this.#timers.set(record.id, this.#clock.after(delayMs, () => this.#expire(record)));
  }

  #expire(record: TokenRecord): void {
    // A timer may fire a little early.
    if (!this.#directory.isExpired(record)) return this.#schedule(record);
    this.#timers.delete(record.id);
    this.#onEnd(record.id, "The token has expired");
  }

  #forget(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }
}
