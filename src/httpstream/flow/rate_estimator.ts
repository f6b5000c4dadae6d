/**
 * How many bytes of DATA may be in flight: enough to keep the path busy, not enough to build a queue in front of a
 * small request. After BBR (delivery rate and minimal round trip), with a limit of twice their product.
 *
 *     rate     the largest (bytes acknowledged between a frame's sending and its ACK, divided by that time) of the last
 *              10 round trips, at least 1 s; samples without a backlog can only raise it
 *     minRTT   the shortest time between a frame's sending and its ACK
 *     limit    2 x rate x (minRTT + 10 ms), 64 KiB to 4 MiB; 256 KiB until there is a rate
 *
 * A queue that never empties hides the true minimum. So after 10 s without an equal or shorter round trip the limit
 * falls to half of rate x minRTT, until a frame sent under it is acknowledged: its round trip is the new minimum. This
 * is a probe (BBR's PROBE_RTT); the scheduler lets small requests pass meanwhile. Then the limit starts again at rate x
 * minRTT, and grows by what is acknowledged. If it came back all at once, the difference would leave as one burst in
 * front of everything else.
 */

const KIB = 1_024;
const LEAST_LIMIT_BYTES = 64 * KIB;
const MOST_LIMIT_BYTES = 4_096 * KIB;
const FIRST_LIMIT_BYTES = 256 * KIB;
const LEAST_PROBE_LIMIT_BYTES = 32 * KIB;
const MIN_RTT_LIFETIME_MS = 10_000;
const RATE_ROUND_TRIPS = 10;
const LEAST_RATE_LIFETIME_MS = 1_000;
/** Samples of the rate that are closer in time than this part of its lifetime are not kept beside a larger one. */
const SAMPLES_PER_LIFETIME = 32;
/** An acknowledgement within the clock's resolution says nothing about the rate. */
const LEAST_SAMPLE_MS = 0.05;
/** Added to a round trip: the time that both ends need to act on a frame. */
export const TURNAROUND_MS = 10;

export interface RateSample {
  /** When the acknowledgement came. */
  now: number;
  /** From the sending of the newest acknowledged frame to its acknowledgement. */
  rttMs: number;
  /** Bytes acknowledged in that time. */
  bytes: number;
  /** Bytes acknowledged since the sample before. */
  newBytes: number;
  /** Whether the frame was sent with a backlog: more waited, for the limit or the link (BBR: not app-limited). */
  hasBacklog: boolean;
  /** Whether the frame was sent during a probe, with no more in flight than its limit. */
  isProbe: boolean;
}

export class RateEstimator {
  /** Falling rates with the times of their samples; the first is the largest that still counts. */
  #rates: { at: number; bytesPerMs: number }[] = [];
  /** Whether a sample had a backlog: only that shows what the path takes, and not only what was asked of it. */
  #isMeasured = false;
  #minRttMs = Infinity;
  #minRttAt = 0;
  #isProbing = false;
  #probeCount = 0;
  #limitBytes = FIRST_LIMIT_BYTES;
  /** What the limit may be at most, while it comes back after a probe. */
  #ceilingBytes = Infinity;

  /** Bytes of DATA that may be in flight. */
  get limitBytes(): number {
    if (this.#isProbing) return Math.max(LEAST_PROBE_LIMIT_BYTES, (this.bytesPerMs * this.#minRttMs) / 2);
    return Math.min(this.#limitBytes, this.#ceilingBytes);
  }

  /** The limit as it is without a probe. */
  get limitWithoutProbeBytes(): number {
    return this.#limitBytes;
  }

  /** The rate; 0 before the first sample. */
  get bytesPerMs(): number {
    return this.#rates[0]?.bytesPerMs ?? 0;
  }

  /** Infinity before the first sample. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** Whether the limit is lowered in order to see the round trip of an empty path. */
  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** How often it was: the number of the present probe, or of the last one. */
  get probeCount(): number {
    return this.#probeCount;
  }

  sample(sample: RateSample): void {
    this.#ceilingBytes += sample.newBytes;
    this.#takeRtt(sample);
    this.#takeRate(sample);
    this.#limitBytes = this.#computeLimit();
  }

  #takeRtt({ now, rttMs, isProbe }: RateSample): void {
    if (rttMs <= this.#minRttMs || (this.#isProbing && isProbe)) {
      this.#minRttMs = rttMs;
      this.#minRttAt = now;
      if (this.#isProbing) this.#ceilingBytes = Math.max(LEAST_LIMIT_BYTES, this.bytesPerMs * rttMs);
      this.#isProbing = false;
    } else if (now - this.#minRttAt > MIN_RTT_LIFETIME_MS) {
      if (!this.#isProbing) this.#probeCount++;
      this.#isProbing = true;
    }
  }

  #takeRate({ now, rttMs, bytes, hasBacklog }: RateSample): void {
    if (rttMs < LEAST_SAMPLE_MS) return;
    const bytesPerMs = bytes / rttMs;
    if (!hasBacklog && bytesPerMs <= this.bytesPerMs) return;
    if (hasBacklog) this.#isMeasured = true;
    const lifetimeMs = Math.max(LEAST_RATE_LIFETIME_MS, RATE_ROUND_TRIPS * this.#minRttMs);
    const rates = this.#rates;
    while (rates.length > 0 && rates[rates.length - 1].bytesPerMs <= bytesPerMs) rates.pop();
    const last = rates[rates.length - 1];
    if (last === undefined || now - last.at >= lifetimeMs / SAMPLES_PER_LIFETIME) rates.push({ at: now, bytesPerMs });
    while (rates.length > 1 && now - rates[0].at > lifetimeMs) rates.shift();
  }

  #computeLimit(): number {
    if (!this.#isMeasured) return FIRST_LIMIT_BYTES;
    const limitBytes = 2 * this.bytesPerMs * (this.#minRttMs + TURNAROUND_MS);
    return Math.min(MOST_LIMIT_BYTES, Math.max(LEAST_LIMIT_BYTES, limitBytes));
  }
}
