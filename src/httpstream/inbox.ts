/**
 * The bytes of one stream that came in and wait for their reader.
 *
 * A chunk is a view of the read that brought it, and keeps all of that alive while it waits. So whatever still waits
 * when the next turn ends is settled: chunks under 16 KiB, and those that together use less than half of their buffer,
 * are copied into blocks of the stream's own. A reader that stops halfway through a buffer has the rest settled anew.
 * Blocks are what counts as held, so that a window of one-byte frames can never pin 65,536 messages.
 */
import { concat, count, release, retain } from "../memory/mod.ts";

/** Chunks from this size on may wait in the buffer that brought them. */
export const COPY_BELOW = 16 * 1_024;
const FIRST_BLOCK = 1_024;

/** A buffer with one or more settled chunks in it. */
interface Shared {
  readonly buffer: ArrayBufferLike;
  /** How many of its bytes still wait. */
  bytes: number;
}

export class Inbox {
  /** Chunks in order; those before `#first` are gone. */
  #chunks: (Uint8Array | null)[] = [];
  #first = 0;
  /** Buffers in which settled chunks stay, in the order of these. */
  #shared: Shared[] = [];
  /** Chunks from this index on are not settled. */
  #unsettled = 0;
  /** The block of the last settled chunk, where more fits behind it; else null. */
  #block: Uint8Array | null = null;
  #blockUsed = 0;
  /** Bytes of unsettled chunks that will go into the block. */
  #promised = 0;
  #byteLength = 0;

  /** Bytes that wait. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Bytes that waiting costs: those that wait, and what is free in the last block. */
  get heldBytes(): number {
    return this.#byteLength + this.#freeBytes;
  }

  /** Whether chunks that were settled are to be settled anew: their neighbours, which come before them, were read. */
  get pinsTooMuch(): boolean {
    return this.#shared.length > 0 && usesTooLittle(this.#shared[0]);
  }

  /**
   * Takes a chunk in, as it came: never empty.
   *
   * @param moreBytes what may still come behind it. Room in a block for more than that is given back.
   */
  push(chunk: Uint8Array, moreBytes: number): void {
    retain(chunk);
    if (this.#block !== null) {
      if (chunk.length < COPY_BELOW) this.#promised += chunk.length;
      if (chunk.length >= COPY_BELOW || this.#freeBytes > moreBytes) this.#closeBlock(this.#block);
    }
    this.#chunks.push(chunk);
    this.#byteLength += chunk.length;
  }

  /** The oldest chunk, or null. */
  shift(): Uint8Array | null {
    const first = this.#first;
    const chunk = this.#chunks[first] ?? null;
    if (chunk === null) return null;
    this.#chunks[first] = null;
    this.#first = first + 1;
    if (this.#first > this.#unsettled) this.#unsettled = this.#first;
    if (this.#shared.length > 0 && this.#shared[0].buffer === chunk.buffer) this.#leave(this.#shared[0], chunk);
    if (this.#first === this.#unsettled) this.#dropBlock();
    if (this.#first === this.#chunks.length) this.#reset();
    else if (this.#first >= 32 && this.#first * 2 >= this.#chunks.length) this.#compact();
    this.#byteLength -= chunk.length;
    return chunk;
  }

  /** All bytes in one piece; the inbox is empty afterwards. */
  takeAll(): Uint8Array {
    const first = this.shift();
    if (first === null) return new Uint8Array(0);
    if (this.#byteLength === 0) return first;
    const total = first.length + this.#byteLength;
    const chunks = [first];
    for (let chunk = this.shift(); chunk !== null; chunk = this.shift()) chunks.push(chunk);
    const whole = concat(chunks, total);
    for (const chunk of chunks) release(chunk);
    return whole;
  }

  clear(): void {
    for (let index = this.#first; index < this.#chunks.length; index++) release(this.#chunks[index]!);
    this.#byteLength = 0;
    this.#reset();
  }

  /**
   * Moves small waiting chunks out of the messages that brought them.
   *
   * @param moreBytes what may still come: no block is larger than what can fill it.
   */
  settle(moreBytes: number): void {
    const from = this.#unsettled;
    const count = this.#chunks.length;
    if (from === count && !this.pinsTooMuch) return;
    const fresh = this.#chunks.splice(from, count - from) as Uint8Array[];
    for (const chunk of fresh) {
      if (chunk.length < COPY_BELOW) {
        this.#append(chunk, moreBytes);
        release(chunk);
      } else this.#share(chunk);
    }
    this.#unsettled = this.#chunks.length;
    for (const shared of this.#shared.filter(usesTooLittle)) this.#copyOut(shared.buffer);
    this.#promised = 0;
  }

  /** Room in the block that nothing is there for yet. */
  get #freeBytes(): number {
    return this.#block === null ? 0 : Math.max(0, this.#block.length - this.#blockUsed - this.#promised);
  }

  /** Gives the room in the block back: nothing more goes into it. */
  #closeBlock(block: Uint8Array): void {
    this.#chunks[this.#unsettled - 1] = block.slice(0, this.#blockUsed);
    this.#dropBlock();
  }

  #dropBlock(): void {
    this.#block = null;
    this.#promised = 0;
  }

  #share(chunk: Uint8Array): void {
    this.#block = null;
    this.#chunks.push(chunk);
    const last = this.#shared.at(-1);
    if (last?.buffer === chunk.buffer) last.bytes += chunk.length;
    else this.#shared.push({ buffer: chunk.buffer, bytes: chunk.length });
  }

  /** The first chunk of the first shared buffer was read. */
  #leave(shared: Shared, chunk: Uint8Array): void {
    shared.bytes -= chunk.length;
    if (shared.bytes === 0) this.#shared.shift();
  }

  /** Lets go of a buffer that is too large for what of it still waits. */
  #copyOut(buffer: ArrayBufferLike): void {
    this.#shared = this.#shared.filter((shared) => shared.buffer !== buffer);
    for (let index = this.#first; index < this.#unsettled; index++) {
      const chunk = this.#chunks[index]!;
      if (chunk.buffer !== buffer) continue;
      this.#chunks[index] = count(chunk.slice());
      release(chunk);
    }
  }

  #append(chunk: Uint8Array, moreBytes: number): void {
    let rest = chunk;
    if (this.#block !== null) {
      const part = rest.subarray(0, this.#block.length - this.#blockUsed);
      this.#block.set(part, this.#blockUsed);
      this.#blockUsed += part.length;
      this.#chunks[this.#chunks.length - 1] = this.#block.subarray(0, this.#blockUsed);
      rest = rest.subarray(part.length);
      if (this.#blockUsed === this.#block.length) this.#block = null;
    }
    if (rest.length === 0) return;
    // Twice what waits, so that a trickle costs a trickle, and never more than may still come.
    const size = Math.min(Math.max(FIRST_BLOCK, this.#byteLength * 2), COPY_BELOW, rest.length + moreBytes);
    const block = new Uint8Array(Math.max(size, rest.length));
    block.set(rest);
    this.#chunks.push(block.subarray(0, rest.length));
    this.#block = rest.length === block.length ? null : block;
    this.#blockUsed = rest.length;
  }

  #compact(): void {
    this.#chunks.splice(0, this.#first);
    this.#unsettled -= this.#first;
    this.#first = 0;
  }

  #reset(): void {
    this.#chunks.length = 0;
    this.#shared.length = 0;
    this.#first = this.#unsettled = 0;
    this.#dropBlock();
  }
}

function usesTooLittle({ buffer, bytes }: Shared): boolean {
  return 2 * bytes < buffer.byteLength;
}
