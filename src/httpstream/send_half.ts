/**
 * One stream's own direction: what waits to leave, in the only order in which it can leave: heads, bytes, the end
 * (with trailers or without). The scheduler asks for one frame at a time.
 */
import { Flag } from "./wire/mod.ts";
import { release, slice } from "../memory/mod.ts";
import { StreamError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { Want } from "./scheduler.ts";
import { Half, HalfEvent, step } from "./state.ts";
import { SendWindow } from "./flow/mod.ts";

/** Beyond this, or beyond the window, the sender is asked to wait. */
export const UNSENT_HIGH_WATER = 64 * 1_024;

interface PendingHead {
  readonly block: Uint8Array;
  flags: number;
  /** The head behind it. */
  next: PendingHead | null;
}

const EMPTY = new Uint8Array(0);
/** Before the first bytes. Nothing is ever put into it. */
const NO_CHUNKS: Uint8Array[] = [];

export class SendHalf {
  readonly window: SendWindow;
  #state: Half = Half.HEAD;
  #head: PendingHead | null = null;
  #lastHead: PendingHead | null = null;
  #chunks = NO_CHUNKS;
  #firstChunk = 0;
  #unsentBytes = 0;
  #headerBytes = 0;
  /** The end follows the last chunk, by a flag or with trailers. */
  #end = false;
  #trailers: Uint8Array | null = null;
  #ended = false;
  #awaited = false;

  constructor(windowBytes: number) {
    this.window = new SendWindow(windowBytes);
  }

  /** The direction's state as its owner made it; frames may still wait. */
  get state(): Half {
    return this.#state;
  }

  /** Whether nothing will leave any more: the end has left, or the direction broke. */
  get finished(): boolean {
    return this.#ended || this.#state === Half.BROKEN;
  }

  /** Bytes of chunks that wait. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Bytes of header blocks that wait. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** Whether the sender was told to wait, and everything has left since. Reading it once clears it. */
  takeRelief(): boolean {
    if (!this.#awaited || this.#unsentBytes > 0) return false;
    this.#awaited = false;
    return true;
  }

  /** Queues a head, the opening one or the answer's. @throws {StreamError} `invalid_state` for a second one. */
  head(block: Uint8Array, endStream: boolean): void {
    this.#step(endStream ? HalfEvent.HEAD_END : HalfEvent.HEAD, "a second head");
    this.#queueHead(block, endStream ? Flag.END_STREAM : 0);
  }

  /** Queues a head, the bytes that are known already, and the end where `end` says so; throws as `head` does. */
  headWith(block: Uint8Array, body: Uint8Array | undefined, end: boolean): void {
    const isBare = body === undefined || body.length === 0;
    this.head(block, end && isBare);
    if (!isBare) this.send(body, end);
  }

  /** Queues a head before the head. @throws {StreamError} `invalid_state` behind the head. */
  inform(block: Uint8Array): void {
    this.#step(HalfEvent.INFORM, "an informational head");
    this.#queueHead(block, Flag.INFORMATIONAL);
  }

  /**
   * Queues bytes, and the end. Returns false where the sender should wait for relief.
   *
   * @throws {StreamError} `invalid_state` before the head and after the end.
   */
  send(bytes: Uint8Array, end: boolean): boolean {
    if (this.#state === Half.BROKEN) return true;
    this.#step(end ? HalfEvent.DATA_END : HalfEvent.DATA, end ? "the end" : "bytes");
    if (bytes.length > 0) {
      if (this.#chunks === NO_CHUNKS) this.#chunks = [];
      this.#chunks.push(bytes);
      this.#unsentBytes += bytes.length;
    }
    if (end) this.#queueEnd();
    this.#awaited = this.#unsentBytes > Math.min(UNSENT_HIGH_WATER, Math.max(0, this.window.available));
    return !this.#awaited;
  }

  /** Queues the end with trailers. @throws {StreamError} `invalid_state` before the head and after the end. */
  trailers(block: Uint8Array): void {
    this.#step(HalfEvent.TRAILERS, "trailers");
    this.#trailers = block;
    this.#headerBytes += block.length;
  }

  /** Breaks the direction and drops what waits. An end that has not left is none; one that has stays. */
  break(): void {
    if (this.#ended) return;
    this.#state = Half.BROKEN;
    this.#head = this.#lastHead = null;
    for (let index = this.#firstChunk; index < this.#chunks.length; index++) release(this.#chunks[index]);
    this.#chunks = NO_CHUNKS;
    this.#firstChunk = 0;
    this.#unsentBytes = this.#headerBytes = 0;
    this.#trailers = null;
    this.#end = false;
    this.#awaited = false;
  }

  get want(): Want {
    if (this.#head !== null) return Want.HEAD;
    if (this.#unsentBytes > 0) return this.window.available > 0 ? Want.DATA : Want.NOTHING;
    if (this.#trailers !== null) return Want.HEAD;
    return this.#end ? Want.DATA : Want.NOTHING;
  }

  get headBytes(): number {
    return (this.#head !== null ? this.#head.block : this.#trailers ?? EMPTY).length;
  }

  get dataBytes(): number {
    return Math.min(this.#unsentBytes > 0 ? this.#chunks[this.#firstChunk].length : 0, this.window.available);
  }

  /** The body, where the next frame is the head that it follows, the end is known, and the window allows it whole. */
  get wholeBytes(): number {
    const isLast = this.#head !== null && this.#head === this.#lastHead;
    return this.#end && isLast && this.#unsentBytes <= this.window.available ? this.#unsentBytes : 0;
  }

  /** Writes the next head or the trailers. Returns whether it was the head that `head()` queued. */
  writeHead(out: Outbox, streamId: number): boolean {
    const head = this.#head;
    if (head !== null) {
      this.#head = head.next;
      if (head.next === null) this.#lastHead = null;
      out.headers(streamId, head.block, head.flags);
      this.#headerBytes -= head.block.length;
      if ((head.flags & Flag.END_STREAM) !== 0) this.#ended = true;
      return (head.flags & Flag.INFORMATIONAL) === 0;
    }
    const trailers = this.#trailers!;
    out.headers(streamId, trailers, Flag.TRAILERS | Flag.END_STREAM);
    this.#headerBytes -= trailers.length;
    this.#trailers = null;
    this.#ended = true;
    return false;
  }

  /** Writes one DATA frame of at most `most` bytes, which the window allows. Returns how many it has. */
  writeData(out: Outbox, streamId: number, most: number): number {
    if (this.#unsentBytes === 0) {
      this.#finish(out, streamId, EMPTY);
      return 0;
    }
    const chunk = this.#chunks[this.#firstChunk];
    const payload = this.#takeFirst(chunk, most);
    this.#unsentBytes -= payload.length;
    this.window.take(payload.length);
    if (this.#unsentBytes === 0 && this.#end) this.#finish(out, streamId, payload);
    else if (!out.data(streamId, payload, false)) release(payload);
    return payload.length;
  }

  #finish(out: Outbox, streamId: number, payload: Uint8Array): void {
    if (!out.data(streamId, payload, true)) release(payload);
    this.#end = false;
    this.#ended = true;
  }

  /** Takes the first chunk, or its first `most` bytes. */
  #takeFirst(chunk: Uint8Array, most: number): Uint8Array {
    if (chunk.length <= most) {
      this.#dropChunk();
      return chunk;
    }
    const payload = slice(chunk, 0, most);
    this.#chunks[this.#firstChunk] = slice(chunk, most, chunk.length);
    release(chunk);
    return payload;
  }

  #dropChunk(): void {
    this.#firstChunk++;
    if (this.#firstChunk === this.#chunks.length) {
      this.#chunks.length = this.#firstChunk = 0;
    } else if (this.#firstChunk >= 64) {
      this.#chunks.splice(0, this.#firstChunk);
      this.#firstChunk = 0;
    }
  }

  #queueHead(block: Uint8Array, flags: number): void {
    const head: PendingHead = { block, flags, next: null };
    if (this.#lastHead === null) this.#head = head;
    else this.#lastHead.next = head;
    this.#lastHead = head;
    this.#headerBytes += block.length;
  }

  /** The end rides on the last head where no bytes stand between; else on the last DATA. */
  #queueEnd(): void {
    const head = this.#lastHead;
    if (head !== null && this.#unsentBytes === 0) head.flags |= Flag.END_STREAM;
    else this.#end = true;
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
