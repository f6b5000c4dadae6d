/**
 * The counted frames that the peer has not acknowledged. They get their numbers here, in the order in which they
 * leave, and each costs its payload and 128 bytes until its ACK: what a sender would keep in order to send it again.
 * Only sizes and times are kept; `sent()` is the place that would keep the frames, `acknowledged()` drops them.
 *
 * Acknowledgement is on receipt, credit on consumption: so these limits can never be held by a slow reader.
 */
import { RateEstimator } from "./rate_estimator.ts";

export const FrameKind = { DATA: 0, HEADERS: 1, CONTROL: 2 } as const;
export type FrameKind = typeof FrameKind[keyof typeof FrameKind];

/** What a frame costs beside its payload while it is under way. */
export const FRAME_COST = 128;
/** Room for HEADERS under way; past it they wait. */
export const HEADERS_ROOM = 1_048_576;

const FIRST_CAPACITY = 64;
const BUSY = 1;
const PROBE = 2;

export class Inflight {
  readonly estimator = new RateEstimator();
  /** A ring of frames: the one with number `n` (from 0) is at `n & mask` of each column. */
  #mask = FIRST_CAPACITY - 1;
  #kinds = new Uint8Array(FIRST_CAPACITY);
  #flags = new Uint8Array(FIRST_CAPACITY);
  #costs = new Float64Array(FIRST_CAPACITY);
  #sentAt = new Float64Array(FIRST_CAPACITY);
  #ackedAtSend = new Float64Array(FIRST_CAPACITY);
  readonly #underWay = [0, 0, 0];
  #sent = 0;
  #acked = 0;
  #ackedBytes = 0;
  #rttMs = 0;

  /** Counted frames that left. */
  get sentCount(): number {
    return this.#sent;
  }

  /** Counted frames that the peer acknowledged. */
  get ackedCount(): number {
    return this.#acked;
  }

  /** The round trip of the newest acknowledged frame in milliseconds; 0 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** What frames of a kind cost that are under way. */
  bytes(kind: FrameKind): number {
    return this.#underWay[kind];
  }

  /** Payload bytes that one more DATA frame may have; zero or less: DATA waits. */
  get dataRoom(): number {
    return this.estimator.limit - this.#underWay[FrameKind.DATA] - FRAME_COST;
  }

  /** The same for what need not wait for a probe of the path to end. */
  get ordinaryDataRoom(): number {
    return this.estimator.ordinaryLimit - this.#underWay[FrameKind.DATA] - FRAME_COST;
  }

  /** Whether a HEADERS frame with such a block may leave. One always may, so that none is too large to ever leave. */
  headersFit(blockBytes: number): boolean {
    const underWay = this.#underWay[FrameKind.HEADERS];
    return underWay === 0 || underWay + blockBytes + FRAME_COST <= HEADERS_ROOM;
  }

  /**
   * A counted frame left.
   *
   * @param busy whether more was held back, by the limit or the link, when the sending of frames last stopped.
   */
  sent(kind: FrameKind, payloadBytes: number, now: number, busy: boolean): void {
    if (this.#sent - this.#acked > this.#mask) this.#grow();
    const cost = payloadBytes + FRAME_COST;
    this.#underWay[kind] += cost;
    const slot = this.#sent & this.#mask;
    this.#kinds[slot] = kind;
    const { probing, limit } = this.estimator;
    this.#flags[slot] = (busy ? BUSY : 0) | (probing && this.#underWay[FrameKind.DATA] <= limit ? PROBE : 0);
    this.#costs[slot] = cost;
    this.#sentAt[slot] = now;
    this.#ackedAtSend[slot] = this.#ackedBytes;
    this.#sent++;
  }

  /** The peer took `count` frames. False where it cannot have: more than were sent, or fewer than it said before. */
  acknowledge(count: number, now: number): boolean {
    if (count > this.#sent || count < this.#acked) return false;
    if (count === this.#acked) return true;
    const before = this.#ackedBytes;
    for (; this.#acked < count; this.#acked++) {
      const slot = this.#acked & this.#mask;
      this.#underWay[this.#kinds[slot]] -= this.#costs[slot];
      this.#ackedBytes += this.#costs[slot];
    }
    this.#takeSample((count - 1) & this.#mask, now, this.#ackedBytes - before);
    return true;
  }

  #takeSample(slot: number, now: number, newBytes: number): void {
    const rttMs = now - this.#sentAt[slot];
    this.#rttMs = rttMs;
    this.estimator.sample({
      now,
      rttMs,
      bytes: this.#ackedBytes - this.#ackedAtSend[slot],
      newBytes,
      busy: (this.#flags[slot] & BUSY) !== 0,
      probe: (this.#flags[slot] & PROBE) !== 0,
    });
  }

  #grow(): void {
    const mask = this.#mask * 2 + 1;
    const moved = <T extends Uint8Array | Float64Array>(from: T, to: T): T => {
      for (let number = this.#acked; number < this.#sent; number++) to[number & mask] = from[number & this.#mask];
      return to;
    };
    this.#kinds = moved(this.#kinds, new Uint8Array(mask + 1));
    this.#flags = moved(this.#flags, new Uint8Array(mask + 1));
    this.#costs = moved(this.#costs, new Float64Array(mask + 1));
    this.#sentAt = moved(this.#sentAt, new Float64Array(mask + 1));
    this.#ackedAtSend = moved(this.#ackedAtSend, new Float64Array(mask + 1));
    this.#mask = mask;
  }
}
