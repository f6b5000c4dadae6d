/**
 * One stream's own direction: what waits to leave, in the only order in which it can leave: heads, bytes, the end
 * (with trailers or without). The scheduler asks for one frame at a time.
 */
import { compactPieces, emptyBytes, MAX_LOOSE_PIECES, PIECE_OVERHEAD_BYTES, release, slice } from "../memory/mod.ts";
import { StreamError } from "./errors.ts";
import { SendWindow } from "./flow/mod.ts";
import type { OutgoingMessage } from "./outgoing_message.ts";
import { NextFrame } from "./scheduler.ts";
import { Half, HalfEvent, step } from "./state.ts";
import { Flag } from "./wire/mod.ts";

/** Beyond this, or beyond the window, the sender is asked to wait. */
const UNSENT_HIGH_WATER_BYTES = 64 * 1_024;
/** Chunks that have left are removed from the front of the list when there are so many. */
const TRIM_CHUNKS = 64;

/** Before the first bytes. Nothing is ever put into it. */
const noChunks: Uint8Array[] = [];

interface PendingHead {
  readonly block: Uint8Array;
  flags: number;
}

export class SendHalf {
  readonly window: SendWindow;
  #state: Half = Half.HEAD;
  /** The head that leaves next, and those behind it. Hardly any stream has more than one, so that has no object. */
  #head: Uint8Array | null = null;
  #headFlags = 0;
  #laterHeads: PendingHead[] | null = null;
  #chunks = noChunks;
  #firstChunk = 0;
  #unsentBytes = 0;
  /** How many chunks may wait before small ones are copied together. */
  #compactAt = MAX_LOOSE_PIECES;
  #headerBytes = 0;
  /** The end follows the last chunk, as a flag. */
  #isEndWaiting = false;
  /** The end follows the last chunk, with trailers. */
  #trailers: Uint8Array | null = null;
  #hasEndLeft = false;
  #isSenderWaiting = false;

  constructor(windowBytes: number) {
    this.window = new SendWindow(windowBytes);
  }

  /** The direction's state as its owner made it. Frames may still wait. */
  get state(): Half {
    return this.#state;
  }

  /** Whether nothing will leave any more: the end has left, or the direction broke. */
  get isDone(): boolean {
    return this.#hasEndLeft || this.#state === Half.BROKEN;
  }

  /** Bytes of chunks that wait. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Whether bytes wait for nothing but credit. */
  get waitsForCredit(): boolean {
    return this.#unsentBytes > 0 && this.window.available <= 0;
  }

  /** What the chunks that wait cost: their bytes, and of small ones what they take beside those. */
  get heldBytes(): number {
    const pieces = this.#chunks.length - this.#firstChunk;
    // One chunk is what most streams have, and large ones are few.
    return pieces < 2 ? this.#unsentBytes : this.#unsentBytes + pieces * PIECE_OVERHEAD_BYTES;
  }

  /** Bytes of header blocks that wait. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** Whether the sender was asked to wait, and everything has left since. True once. */
  takeWritable(): boolean {
    if (!this.#isSenderWaiting || this.#unsentBytes > 0) return false;
    this.#isSenderWaiting = false;
    return true;
  }

  /**
   * Queues a head, the opening one or the answer's, then the bytes that are known already, and the end where `isEnd`
   * says so.
   *
   * @throws {StreamError} `invalid_state` for a second head.
   */
  head(block: Uint8Array, body: Uint8Array | undefined, isEnd: boolean): void {
    const isBare = body === undefined || body.length === 0;
    const endsWithHead = isEnd && isBare;
    this.#step(endsWithHead ? HalfEvent.HEAD_END : HalfEvent.HEAD, "a second head");
    this.#queueHead(block, endsWithHead ? Flag.END_STREAM : 0);
    if (!isBare) this.send(body, isEnd);
  }

  /** Queues an interim head. @throws {StreamError} `invalid_state` behind the head. */
  inform(block: Uint8Array): void {
    this.#step(HalfEvent.INFORM, "an informational head");
    this.#queueHead(block, Flag.INFORMATIONAL);
  }

  /**
   * Queues bytes, and the end. Returns false where the sender should wait until everything has left.
   *
   * @param isCrowded the connection holds so much that a sender waits as long as anything waits. Default false.
   * @throws {StreamError} `invalid_state` before the head and after the end.
   */
  send(bytes: Uint8Array, isEnd: boolean, isCrowded = false): boolean {
    if (this.#state === Half.BROKEN) return true;
    this.#step(isEnd ? HalfEvent.DATA_END : HalfEvent.DATA, isEnd ? "the end" : "bytes");
    if (bytes.length > 0) {
      if (this.#chunks === noChunks) this.#chunks = [];
      this.#chunks.push(bytes);
      this.#unsentBytes += bytes.length;
      if (this.#chunks.length - this.#firstChunk >= this.#compactAt) this.#compact();
    }
    if (isEnd) this.#queueEnd();
    const highWaterBytes = isCrowded ? 0 : Math.min(UNSENT_HIGH_WATER_BYTES, Math.max(0, this.window.available));
    this.#isSenderWaiting = this.#unsentBytes > highWaterBytes;
    return !this.#isSenderWaiting;
  }

  /** Queues the end with trailers. @throws {StreamError} `invalid_state` before the head and after the end. */
  trailers(block: Uint8Array): void {
    this.#step(HalfEvent.TRAILERS, "trailers");
    this.#trailers = block;
    this.#headerBytes += block.length;
  }

  /** Breaks the direction and drops what waits. Does nothing once the end has left. */
  break(): void {
    if (this.#hasEndLeft) return;
    this.#state = Half.BROKEN;
    this.#head = this.#laterHeads = null;
    for (let index = this.#firstChunk; index < this.#chunks.length; index++) release(this.#chunks[index]);
    this.#chunks = noChunks;
    this.#firstChunk = 0;
    this.#unsentBytes = this.#headerBytes = 0;
    this.#trailers = null;
    this.#isEndWaiting = false;
    this.#isSenderWaiting = false;
  }

  get nextFrame(): NextFrame {
    if (this.#head !== null) return NextFrame.HEAD;
    if (this.#unsentBytes > 0) return this.window.available > 0 ? NextFrame.DATA : NextFrame.NONE;
    if (this.#trailers !== null) return NextFrame.HEAD;
    return this.#isEndWaiting ? NextFrame.DATA : NextFrame.NONE;
  }

  get headBytes(): number {
    return (this.#head ?? this.#trailers ?? emptyBytes).length;
  }

  get dataBytes(): number {
    return Math.min(this.#unsentBytes > 0 ? this.#chunks[this.#firstChunk].length : 0, this.window.available);
  }

  get wholeBodyBytes(): number {
    const isBeforeBody = this.#head !== null && this.#laterHeads === null;
    return this.#isEndWaiting && isBeforeBody && this.#unsentBytes <= this.window.available ? this.#unsentBytes : 0;
  }

  /** Writes the next head or the trailers. Returns whether it was a head, and no interim one. */
  writeHead(message: OutgoingMessage, streamId: number): boolean {
    const head = this.#head;
    if (head !== null) {
      const flags = this.#headFlags;
      this.#dequeueHead();
      message.headers(streamId, head, flags);
      this.#headerBytes -= head.length;
      if ((flags & Flag.END_STREAM) !== 0) this.#hasEndLeft = true;
      return (flags & Flag.INFORMATIONAL) === 0;
    }
    const trailers = this.#trailers!;
    message.headers(streamId, trailers, Flag.TRAILERS | Flag.END_STREAM);
    this.#headerBytes -= trailers.length;
    this.#trailers = null;
    this.#hasEndLeft = true;
    return false;
  }

  /** Writes one DATA frame of at most `maxBytes` bytes, which the window allows. Returns how many it has. */
  writeData(message: OutgoingMessage, streamId: number, maxBytes: number): number {
    if (this.#unsentBytes === 0) {
      this.#writeEnd(message, streamId, emptyBytes);
      return 0;
    }
    const chunk = this.#chunks[this.#firstChunk];
    const payload = this.#takeFirst(chunk, maxBytes);
    // Read before the payload is released: its buffer may be detached then.
    const { length } = payload;
    this.#unsentBytes -= length;
    this.window.take(length);
    if (this.#unsentBytes === 0 && this.#isEndWaiting) this.#writeEnd(message, streamId, payload);
    else if (!message.data(streamId, payload, false)) release(payload);
    return length;
  }

  #writeEnd(message: OutgoingMessage, streamId: number, payload: Uint8Array): void {
    if (!message.data(streamId, payload, true)) release(payload);
    this.#isEndWaiting = false;
    this.#hasEndLeft = true;
  }

  /** Takes the first chunk, or its first `maxBytes` bytes. */
  #takeFirst(chunk: Uint8Array, maxBytes: number): Uint8Array {
    if (chunk.length <= maxBytes) {
      this.#dropChunk();
      return chunk;
    }
    const payload = slice(chunk, 0, maxBytes);
    this.#chunks[this.#firstChunk] = slice(chunk, maxBytes, chunk.length);
    release(chunk);
    return payload;
  }

  #compact(): void {
    this.#chunks = compactPieces(this.#chunks, this.#firstChunk);
    this.#firstChunk = 0;
    this.#compactAt = Math.max(MAX_LOOSE_PIECES, 2 * this.#chunks.length);
  }

  #dropChunk(): void {
    this.#firstChunk++;
    if (this.#firstChunk === this.#chunks.length) {
      this.#chunks.length = this.#firstChunk = 0;
    } else if (this.#firstChunk >= TRIM_CHUNKS) {
      this.#chunks.splice(0, this.#firstChunk);
      this.#firstChunk = 0;
    }
  }

  #queueHead(block: Uint8Array, flags: number): void {
    this.#headerBytes += block.length;
    if (this.#head !== null) return void (this.#laterHeads ??= []).push({ block, flags });
    this.#head = block;
    this.#headFlags = flags;
  }

  #dequeueHead(): void {
    const next = this.#laterHeads?.shift();
    if (this.#laterHeads?.length === 0) this.#laterHeads = null;
    this.#head = next?.block ?? null;
    this.#headFlags = next?.flags ?? 0;
  }

  /** The end is a flag of the last head where no bytes stand between; else of the last DATA. */
  #queueEnd(): void {
    if (this.#head === null || this.#unsentBytes > 0) this.#isEndWaiting = true;
    else if (this.#laterHeads === null) this.#headFlags |= Flag.END_STREAM;
    else this.#laterHeads[this.#laterHeads.length - 1].flags |= Flag.END_STREAM;
  }

  #step(event: HalfEvent, what: string): void {
    const next = step(this.#state, event);
    if (next !== null) {
      this.#state = next;
      return;
    }
    throw StreamError.invalidState(
      this.#state === Half.HEAD ? `Stream cannot send ${what} before its head` : `Stream cannot send ${what} any more`,
    );
  }
}
