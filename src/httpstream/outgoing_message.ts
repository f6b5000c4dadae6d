/** The message that is being filled. Each counted frame that goes into it is in flight from then on. */
import { FrameKind, type Inflight } from "./flow/mod.ts";
import { FRAME_HEADER_BYTES, MAX_DATA_BYTES, MAX_MESSAGE_BYTES, MessageBuilder } from "./wire/mod.ts";

/** Kept free in each message for one ACK and the control frames of one stream. */
const RESERVED_BYTES = 128;
/** What one stream may send before the next one is served, and the least that limits other than the window allow. */
export const QUANTUM_BYTES = 16 * 1_024;
/**
 * The largest DATA on a fast path, though 64 KiB were allowed. Its message fits the 64 KiB that a kernel hands to a
 * network card in one piece (GSO), and so do its bytes at the next hop. A larger one costs each send a second piece, and
 * bulk a seventh of all its processor time. Nine of this size are a read of 512 KiB.
 */
const BULK_DATA_BYTES = 57 * 1_024;
/**
 * A message with so much of DATA takes no more: one frame of the largest, and what was written before it. The end of a
 * socket's read cuts one message in two, which must then be copied together. With messages of 64 KiB that is a small
 * part of the read, with 256 KiB most of it.
 */
const BULK_MESSAGE_BYTES = BULK_DATA_BYTES + QUANTUM_BYTES;

export class OutgoingMessage {
  readonly inflight: Inflight;
  /** Payload bytes of DATA, of this message and of all before it. */
  sentDataBytes = 0;
  readonly #builder = new MessageBuilder();
  #now = 0;
  #hasBacklog = false;

  constructor(inflight: Inflight) {
    this.inflight = inflight;
  }

  /** Begins a message at `now`; `hasBacklog` as in `Inflight.sent`. */
  begin(now: number, hasBacklog: boolean): void {
    this.#now = now;
    this.#hasBacklog = hasBacklog;
  }

  get isEmpty(): boolean {
    return this.#builder.byteLength === 0;
  }

  /** Bytes of the message. */
  get byteLength(): number {
    return this.#builder.byteLength;
  }

  /** The parts of the message, which is empty afterwards. */
  take(): Uint8Array[] {
    return this.#builder.take();
  }

  /** Whether a frame fits, beside what is kept free. */
  fits(payloadBytes: number): boolean {
    return this.#builder.byteLength + FRAME_HEADER_BYTES + payloadBytes <= MAX_MESSAGE_BYTES - RESERVED_BYTES;
  }

  /**
   * The largest payload of one DATA frame. On a slow path it is small: then a small request waits less for the frame
   * before it, and acknowledgement begins before everything that may be in flight has arrived.
   */
  get maxDataBytes(): number {
    const limit = this.#dataLimitBytes;
    return limit > MAX_DATA_BYTES ? BULK_DATA_BYTES : limit;
  }

  /** Payload bytes of DATA that the message still takes. On a slow path messages are small, too. */
  get freeDataBytes(): number {
    const limit = Math.min(BULK_MESSAGE_BYTES, this.#dataLimitBytes + RESERVED_BYTES);
    return limit - this.#builder.byteLength - FRAME_HEADER_BYTES;
  }

  /** Whether a head and the whole body behind it fit. Up to `QUANTUM_BYTES` of both fit into an empty message. */
  fitsWithBody(blockBytes: number, bodyBytes: number): boolean {
    return FRAME_HEADER_BYTES + blockBytes + bodyBytes <= this.freeDataBytes;
  }

  /** Returns false where the payload was copied; true where it is a part of the message. */
  data(streamId: number, payload: Uint8Array, endStream: boolean): boolean {
    this.sentDataBytes += payload.length;
    const isPart = this.#builder.data(streamId, payload, endStream);
    this.inflight.sent(FrameKind.DATA, payload.length, this.#now, this.#hasBacklog);
    return isPart;
  }

  headers(streamId: number, block: Uint8Array, flags: number): void {
    this.#builder.headerBlock(streamId, block, flags);
    this.inflight.sent(FrameKind.HEADERS, block.length, this.#now, this.#hasBacklog);
  }

  rstStream(streamId: number, errorCode: number, half: boolean): void {
    this.#builder.rstStream(streamId, errorCode, half);
    this.#countControl(4);
  }

  stopSending(streamId: number, errorCode: number): void {
    this.#builder.stopSending(streamId, errorCode);
    this.#countControl(4);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#builder.windowUpdate(streamId, increment);
    this.#countControl(4);
  }

  settings(pairs: readonly number[]): void {
    this.#builder.settings(pairs);
    this.#countControl(pairs.length * 3);
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#builder.goAway(lastStreamId, errorCode, reason);
    this.#countControl(8 + reason.length);
  }

  /** Not counted: it would not be sent again. */
  ping(payload: Uint8Array, ack: boolean): void {
    this.#builder.ping(payload, ack);
  }

  /** Not counted: a newer one replaces it. */
  ack(count: number): void {
    this.#builder.ack(count);
  }

  /** A quarter of what may be in flight, so that several messages are. */
  get #dataLimitBytes(): number {
    return Math.max(QUANTUM_BYTES, Math.floor(this.inflight.estimator.limitBytes / 4));
  }

  #countControl(payloadBytes: number): void {
    this.inflight.sent(FrameKind.CONTROL, payloadBytes, this.#now, this.#hasBacklog);
  }
}
