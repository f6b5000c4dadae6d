/**
 * How many agents may connect at once. Thousands that lost their edge together come one after the other then, and visitors
 * are served in between. One token leaves half of it to the others, whatever its agents do.
 */
import { TokenBucket } from "../base/mod.ts";

/** At once, and a second afterwards. */
const BURST = 500;
const PER_SECOND = 400;
const BURST_PER_OWNER = 250;
const PER_SECOND_PER_OWNER = 200;
/** Owners that are remembered. One that is forgotten begins anew. */
const MAX_OWNERS = 1_000;

export class AcceptRate {
  readonly #all: TokenBucket;
  readonly #byOwner = new Map<string, TokenBucket>();

  constructor(now: number) {
    this.#all = new TokenBucket(BURST, PER_SECOND, now);
  }

  /** False where an agent of `owner` must come again later. */
  take(owner: string, now: number): boolean {
    return this.#ofOwner(owner, now).take(now) && this.#all.take(now);
  }

  #ofOwner(owner: string, now: number): TokenBucket {
    const known = this.#byOwner.get(owner);
    if (known !== undefined) return known;
    if (this.#byOwner.size >= MAX_OWNERS) this.#byOwner.delete(this.#byOwner.keys().next().value!);
    const bucket = new TokenBucket(BURST_PER_OWNER, PER_SECOND_PER_OWNER, now);
    this.#byOwner.set(owner, bucket);
    return bucket;
  }
}
