/** The message that is being filled: frames go into the builder, and the counted ones get their number. */
import { FRAME_HEADER_LENGTH, MAX_DATA, MAX_MESSAGE, MessageBuilder } from "./wire/mod.ts";
import { FrameKind, type Inflight } from "./flow/mod.ts";

/** Kept free in each message for one ACK and the control frames of one stream. */
const RESERVED = 128;
/** The share of one stream's visit, and the least that limits other than the window cut DATA to. */
export const QUANTUM = 16 * 1_024;
/**
 * DATA on a fast path, though 64 KiB were allowed: its message fits the 64 KiB that a kernel hands to a network card in
 * one piece (GSO), and so do its bytes at the next hop. A few more cost each send a second piece, and a seventh of all
 * processor time of bulk. Nine like these are a read of 512 KiB.
 */
const BULK_DATA = 57 * 1_024;
/**
 * A message with so much of DATA takes no more: one frame of the largest, and what stood before it. A socket's read cuts
 * through one message at its end, which must then be copied together: of 64 KiB that is little, of 256 most of the read.
 */
const BULK_MESSAGE = BULK_DATA + QUANTUM;

export class Outbox {
  readonly inflight: Inflight;
  readonly #message = new MessageBuilder();
  #now = 0;
  #busy = false;

  constructor(inflight: Inflight) {
    this.inflight = inflight;
  }

  /** Begins a message at `now`; `busy` is what `Inflight.sent` wants to know. */
  begin(now: number, busy: boolean): void {
    this.#now = now;
    this.#busy = busy;
  }

  get empty(): boolean {
    return this.#message.byteLength === 0;
  }

  /** The message's parts; the outbox is empty afterwards. */
  take(): Uint8Array[] {
    return this.#message.take();
  }

  /** Whether a frame fits, beside what is reserved. */
  fits(payloadBytes: number): boolean {
    return this.#message.byteLength + FRAME_HEADER_LENGTH + payloadBytes <= MAX_MESSAGE - RESERVED;
  }

  /**
   * The most bytes of one DATA frame: on a slow path small ones, so that what comes in between need not wait for a
   * large one, and so that acknowledgement begins before all that may be under way has arrived.
   */
  get largestData(): number {
    const share = this.#share;
    return share > MAX_DATA ? BULK_DATA : share;
  }

  /** Payload bytes of DATA that the message still takes; on a slow path messages are small, too. */
  get dataLeft(): number {
    return Math.min(BULK_MESSAGE, this.#share + RESERVED) - this.#message.byteLength - FRAME_HEADER_LENGTH;
  }

  /** Whether a head and the whole body behind it fit, as DATA would have to; of up to QUANTUM bytes they always do. */
  fitsWhole(blockBytes: number, bodyBytes: number): boolean {
    return FRAME_HEADER_LENGTH + blockBytes + bodyBytes <= this.dataLeft;
  }

  /** Returns false where the payload was copied. */
  data(streamId: number, payload: Uint8Array, endStream: boolean): boolean {
    const referenced = this.#message.data(streamId, payload, endStream);
    this.inflight.sent(FrameKind.DATA, payload.length, this.#now, this.#busy);
    return referenced;
  }

  headers(streamId: number, block: Uint8Array, flags: number): void {
    this.#message.headerBlock(streamId, block, flags);
    this.inflight.sent(FrameKind.HEADERS, block.length, this.#now, this.#busy);
  }

  rstStream(streamId: number, errorCode: number, half: boolean): void {
    this.#message.rstStream(streamId, errorCode, half);
    this.#control(4);
  }

  stopSending(streamId: number, errorCode: number): void {
    this.#message.stopSending(streamId, errorCode);
    this.#control(4);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#message.windowUpdate(streamId, increment);
    this.#control(4);
  }

  settings(pairs: readonly number[]): void {
    this.#message.settings(pairs);
    this.#control(pairs.length * 3);
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#message.goAway(lastStreamId, errorCode, reason);
    this.#control(8 + reason.length);
  }

  /** Not counted: it is never sent again. */
  ping(payload: Uint8Array, ack: boolean): void {
    this.#message.ping(payload, ack);
  }

  /** Not counted: a newer one takes its place. */
  ack(count: number): void {
    this.#message.ack(count);
  }

  /** What one message takes of all that may be in flight. */
  get #share(): number {
    return Math.max(QUANTUM, Math.floor(this.inflight.estimator.limit / 4));
  }

  #control(payloadBytes: number): void {
    this.inflight.sent(FrameKind.CONTROL, payloadBytes, this.#now, this.#busy);
  }
}
