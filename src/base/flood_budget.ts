/**
 * Measures what a peer sends without use, such as pings and empty frames, against what it sends or gets with use. Each
 * useful frame allows one without use, and time allows some. So a peer may ping as it likes while it works, and a long
 * life makes no difference; a flood ends. nghttp2 has the same burst and rate (`glitch`), Envoy the same proportion.
 */

/** So many frames without use may come at once, and so many a second afterwards. */
export const FLOOD_BURST = 1_000;
export const FLOOD_PER_SECOND = 33;
/** Useful frames allow as many frames later. A window of frames may be under way. */
const MAX_EARNED = 65_536;

export class FloodBudget {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #filledAt: number;
  #earned = 0;
  #usefulFrames = 0;

  /** @param now milliseconds, on the clock that `take` is told the time by */
  constructor(now: number, burst: number = FLOOD_BURST, perSecond: number = FLOOD_PER_SECOND) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#left = burst;
    this.#filledAt = now;
  }

  /**
   * A frame without use came in. False where it is one too many: the peer must go.
   *
   * @param usefulFrames how many useful frames there were so far, at all
   * @param cost default 1; less for a frame that may be late, and was useful when it was sent; more for several
   */
  take(now: number, usefulFrames: number, cost = 1): boolean {
    this.#earned = Math.min(MAX_EARNED, this.#earned + usefulFrames - this.#usefulFrames);
    this.#usefulFrames = usefulFrames;
    const paid = Math.min(this.#earned, cost);
    this.#earned -= paid;
    if (paid === cost) return true;
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
    this.#left -= cost - paid;
    return this.#left >= 0;
  }
}
