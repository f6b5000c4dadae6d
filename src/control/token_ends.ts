/** Says when tokens end: because they were removed or replaced, or because their time is over. */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import type { TokenRecord } from "../store/mod.ts";
import type { Directory } from "./directory.ts";
import type { WallClock } from "./wall_clock.ts";

/** @param reason a sentence without full stop */
export type OnTokenEnd = (tokenId: string, reason: string) => void;

/** Milliseconds between two looks at a token that has not ended only because the system's clock was set back. */
const STEP_LOOK_MS = 1_000;

const expired = "The token has expired";

export class TokenEnds {
  readonly #directory: Directory;
  readonly #wallClock: WallClock;
  readonly #clock: Clock;
  readonly #onEnd: OnTokenEnd;
  readonly #timers = new Map<string, Timer>();
  readonly #unsubscribe: () => void;

  /** @param onEnd is called for each token that ends from now on, and again where it is removed later */
  constructor(directory: Directory, wallClock: WallClock, onEnd: OnTokenEnd, clock: Clock = systemClock) {
    this.#directory = directory;
    this.#wallClock = wallClock;
    this.#clock = clock;
    this.#onEnd = onEnd;
    for (const { value } of directory.tokens.values()) this.#schedule(value);
    this.#unsubscribe = directory.onChange((kind, before, after) => {
      if (kind !== "token") return;
      if (after === null) this.#end((before as TokenRecord).id, "The token was removed or replaced");
      // Its grace may have been over before it was stored.
      else if (directory.isExpired(after as TokenRecord)) this.#end((after as TokenRecord).id, expired);
      else this.#schedule(after as TokenRecord);
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
    const leftMs = Date.parse(record.expiresAt) - this.#wallClock.steady();
    const delayMs = leftMs > 0 ? leftMs : STEP_LOOK_MS;
    this.#timers.set(record.id, this.#clock.after(delayMs, () => this.#expire(record)));
  }

  #expire(record: TokenRecord): void {
    // A timer may fire a little early, and the system's clock may have been set back.
    if (this.#directory.isExpired(record)) this.#end(record.id, expired);
    else this.#schedule(record);
  }

  #end(tokenId: string, reason: string): void {
    this.#forget(tokenId);
    this.#onEnd(tokenId, reason);
  }

  #forget(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }
}
