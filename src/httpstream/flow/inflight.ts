/**
 * The counted frames in flight: sent, and not acknowledged by the peer. They are numbered in the order in which they
 * leave, and each costs its payload and 128 bytes until its ACK: what a sender keeps in order to send it again. Only
 * sizes and times are kept here; the frames themselves are kept in sent_messages.ts.
 *
 * Frames are acknowledged when they are received, while credit is given when bytes are consumed. So a slow reader
 * never holds these limits.
 */
import { keptBytes } from "./kept_bytes.ts";
import { RateEstimator } from "./rate_estimator.ts";

export const FrameKind = { DATA: 0, HEADERS: 1, CONTROL: 2 } as const;
export type FrameKind = typeof FrameKind[keyof typeof FrameKind];

/** What a frame in flight costs beside its payload. */
const FRAME_COST_BYTES = 128;
/** HEADERS wait while so many bytes of them are in flight. */
const MAX_HEADERS_BYTES = 1_048_576;

const FIRST_CAPACITY = 64;
/** Flags of a frame: sent with a backlog; sent as part of a probe (see `RateSample`); sent on an earlier link. */
const HAS_BACKLOG = 1;
const IS_PROBE = 2;
const IS_REPLAYED = 4;

export class Inflight {
  #estimator = new RateEstimator();
  /** A ring of frames: the one with number `n` (from 0) is at `n & mask` of each column. */
  #mask = FIRST_CAPACITY - 1;
  #kinds = new Uint8Array(FIRST_CAPACITY);
  #flags = new Uint8Array(FIRST_CAPACITY);
  #costs = new Float64Array(FIRST_CAPACITY);
  #sentAt = new Float64Array(FIRST_CAPACITY);
  /** The bytes that were acknowledged when the frame was sent. */
  #ackedAtSend = new Float64Array(FIRST_CAPACITY);
  readonly #bytesByKind = [0, 0, 0];
  #sentCount = 0;
  #ackedCount = 0;
  #ackedBytes = 0;
  #rttMs = 0;

  /** What is known of the path. Of another one, after `restart()`, it is another object. */
  get estimator(): RateEstimator {
    return this.#estimator;
  }

  /** Counted frames that left. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Counted frames that the peer acknowledged. */
  get ackedCount(): number {
    return this.#ackedCount;
  }

  /** The round trip of the newest acknowledged frame in milliseconds; 0 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** What the frames of a kind cost that are in flight. */
  bytes(kind: FrameKind): number {
    return this.#bytesByKind[kind];
  }

  /** The same of heads and bodies. */
  get streamBytes(): number {
    return this.bytes(FrameKind.HEADERS) + this.bytes(FrameKind.DATA);
  }

  /** Payload bytes that one more DATA frame may have; zero or less: DATA waits. */
  get availableDataBytes(): number {
    return keptBytes.limit(this.estimator.limitBytes) - this.#bytesByKind[FrameKind.DATA] - FRAME_COST_BYTES;
  }

  /** The same for DATA that need not wait for the end of a probe. */
  get availableDataBytesWithoutProbe(): number {
    const limitBytes = keptBytes.limit(this.estimator.limitWithoutProbeBytes);
    return limitBytes - this.#bytesByKind[FrameKind.DATA] - FRAME_COST_BYTES;
  }

  /** Whether HEADERS with such a block may leave. One frame always may: else a large one would never leave. */
  canSendHeaders(blockBytes: number): boolean {
    const bytes = this.#bytesByKind[FrameKind.HEADERS];
    return bytes === 0 || bytes + blockBytes + FRAME_COST_BYTES <= MAX_HEADERS_BYTES;
  }

  /**
   * A counted frame left.
   *
   * @param hasBacklog whether more waited, for the limit or the link, when the sending of frames last stopped.
   */
  sent(kind: FrameKind, payloadBytes: number, now: number, hasBacklog: boolean): void {
    if (this.#sentCount - this.#ackedCount > this.#mask) this.#grow();
    const cost = payloadBytes + FRAME_COST_BYTES;
    this.#bytesByKind[kind] += cost;
    const slot = this.#sentCount & this.#mask;
    this.#kinds[slot] = kind;
    const { isProbing, limitBytes } = this.estimator;
    const isProbe = isProbing && this.#bytesByKind[FrameKind.DATA] <= limitBytes;
    this.#flags[slot] = (hasBacklog ? HAS_BACKLOG : 0) | (isProbe ? IS_PROBE : 0);
    this.#costs[slot] = cost;
    this.#sentAt[slot] = now;
    this.#ackedAtSend[slot] = this.#ackedBytes;
    this.#sentCount++;
  }

  /** False where the peer cannot have received `count` frames: more than were sent, or fewer than it said before. */
  canAcknowledge(count: number): boolean {
    return count <= this.#sentCount && count >= this.#ackedCount;
  }

  /** The peer received `count` frames. False where it cannot have. */
  acknowledge(count: number, now: number): boolean {
    if (!this.canAcknowledge(count)) return false;
    if (count === this.#ackedCount) return true;
    const before = this.#ackedBytes;
    for (; this.#ackedCount < count; this.#ackedCount++) {
      const slot = this.#ackedCount & this.#mask;
      this.#bytesByKind[this.#kinds[slot]] -= this.#costs[slot];
      this.#ackedBytes += this.#costs[slot];
    }
    this.#takeSample((count - 1) & this.#mask, now, this.#ackedBytes - before);
    return true;
  }

  /**
   * What is in flight is sent again on another link: its acknowledgement says nothing about that path, and what was
   * known of the path before does not hold.
   */
  restart(): void {
    this.#estimator = new RateEstimator();
    for (let number = this.#ackedCount; number < this.#sentCount; number++) {
      this.#flags[number & this.#mask] |= IS_REPLAYED;
    }
  }

  #takeSample(slot: number, now: number, newBytes: number): void {
    if ((this.#flags[slot] & IS_REPLAYED) !== 0) return;
    const rttMs = now - this.#sentAt[slot];
    this.#rttMs = rttMs;
    this.estimator.sample({
      now,
      rttMs,
      bytes: this.#ackedBytes - this.#ackedAtSend[slot],
      newBytes,
      hasBacklog: (this.#flags[slot] & HAS_BACKLOG) !== 0,
      isProbe: (this.#flags[slot] & IS_PROBE) !== 0,
    });
  }

  #grow(): void {
    const mask = this.#mask * 2 + 1;
    const moved = <T extends Uint8Array | Float64Array>(from: T, to: T): T => {
      for (let number = this.#ackedCount; number < this.#sentCount; number++) {
        to[number & mask] = from[number & this.#mask];
      }
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
