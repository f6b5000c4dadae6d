/**
 * How many bytes of DATA may be under way: enough to keep the path busy, not enough to build a queue in front of a
 * small request. After BBR (delivery rate and minimal round trip), with a limit of twice their product.
 *
 *     rate     the largest (bytes acknowledged between a frame's sending and its ACK, divided by that time) of the last
 *              10 round trips, at least 1 s; samples with nothing waiting can only raise it
 *     minRTT   the shortest time between a frame's sending and its ACK
 *     limit    2 x rate x (minRTT + 10 ms), 64 KiB to 4 MiB; 256 KiB until there is a rate
 *
 * A queue that never empties hides the true minimum. So after 10 s without an equal or shorter round trip the limit
 * falls to half of rate x minRTT, until a frame sent under it is acknowledged: its round trip is the new minimum. What
 * a small request needs meanwhile may pass: see the scheduler. Then the limit comes back from rate x minRTT on, by what
 * is acknowledged: all at once, the difference would be one burst in front of everything else.
 */

const KIB = 1_024;
export const LEAST_LIMIT = 64 * KIB;
export const MOST_LIMIT = 4_096 * KIB;
export const FIRST_LIMIT = 256 * KIB;
export const LEAST_PROBE_LIMIT = 32 * KIB;
export const MIN_RTT_LIFETIME_MS = 10_000;
const RATE_ROUND_TRIPS = 10;
const LEAST_RATE_LIFETIME_MS = 1_000;
/** Time that both ends need to act on a frame, on top of the path's own. */
const TURNAROUND_MS = 10;
/** An acknowledgement within the clock's grain says nothing about the rate. */
const LEAST_SAMPLE_MS = 0.05;

export interface RateSample {
  /** When the acknowledgement came. */
  now: number;
  /** From the sending of the newest acknowledged frame to its acknowledgement. */
  rttMs: number;
  /** Bytes acknowledged in that time. */
  bytes: number;
  /** Bytes acknowledged since the sample before. */
  newBytes: number;
  /** Whether more waited when the frame was sent, held back by the limit or the link. */
  busy: boolean;
  /** Whether the frame was sent while probing, with no more under way than the lowered limit. */
  probe: boolean;
}

export class RateEstimator {
  /** Falling rates with the times of their samples; the first is the largest that still counts. */
  #rates: { at: number; bytesPerMs: number }[] = [];
  /** Whether a sample showed what the path takes, and not only what was asked of it. */
  #measured = false;
  #minRttMs = Infinity;
  #minRttAt = 0;
  #probing = false;
  #probes = 0;
  #limit = FIRST_LIMIT;
  /** What the limit may be at most, while it comes back after a probe. */
  #ceiling = Infinity;

  /** Bytes of DATA that may be under way. */
  get limit(): number {
    if (this.#probing) return Math.max(LEAST_PROBE_LIMIT, (this.rate * this.#minRttMs) / 2);
    return Math.min(this.#limit, this.#ceiling);
  }

  /** The limit as it is without a probe. */
  get ordinaryLimit(): number {
    return this.#limit;
  }

  /** Bytes per millisecond; 0 before the first sample. */
  get rate(): number {
    return this.#rates[0]?.bytesPerMs ?? 0;
  }

  /** Milliseconds; Infinity before the first sample. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** Whether the limit is lowered in order to see the round trip of an empty path. */
  get probing(): boolean {
    return this.#probing;
  }

  /** How often it was: the number of the present probe, or of the last one. */
  get probes(): number {
    return this.#probes;
  }

  sample(sample: RateSample): void {
    this.#ceiling += sample.newBytes;
    this.#takeRtt(sample);
    this.#takeRate(sample);
    this.#limit = this.#computeLimit();
  }

  #takeRtt({ now, rttMs, probe }: RateSample): void {
    if (rttMs <= this.#minRttMs || (this.#probing && probe)) {
      this.#minRttMs = rttMs;
      this.#minRttAt = now;
      if (this.#probing) this.#ceiling = Math.max(LEAST_LIMIT, this.rate * rttMs);
      this.#probing = false;
    } else if (now - this.#minRttAt > MIN_RTT_LIFETIME_MS) {
      if (!this.#probing) this.#probes++;
      this.#probing = true;
    }
  }

  #takeRate({ now, rttMs, bytes, busy }: RateSample): void {
    if (rttMs < LEAST_SAMPLE_MS) return;
    const bytesPerMs = bytes / rttMs;
    if (!busy && bytesPerMs <= this.rate) return;
    if (busy) this.#measured = true;
    const lifetime = Math.max(LEAST_RATE_LIFETIME_MS, RATE_ROUND_TRIPS * this.#minRttMs);
    const rates = this.#rates;
    while (rates.length > 0 && rates[rates.length - 1].bytesPerMs <= bytesPerMs) rates.pop();
    // Samples that are close in time and smaller tell nothing new: so the list stays short.
    const last = rates[rates.length - 1];
    if (last === undefined || now - last.at >= lifetime / 32) rates.push({ at: now, bytesPerMs });
    while (rates.length > 1 && now - rates[0].at > lifetime) rates.shift();
  }

  #computeLimit(): number {
    if (!this.#measured) return FIRST_LIMIT;
    return Math.min(MOST_LIMIT, Math.max(LEAST_LIMIT, 2 * this.rate * (this.#minRttMs + TURNAROUND_MS)));
  }
}
