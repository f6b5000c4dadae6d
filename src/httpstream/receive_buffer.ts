/**
 * The bytes of one stream that came in and wait for their reader.
 *
 * A chunk is a view of the socket read that brought it, and keeps all of that read in memory while it waits. So what
 * still waits after a while is compacted: chunks under 16 KiB are copied into blocks of the stream's own, and so are
 * larger ones, unless those of one read are together at least half of it. Where many small chunks wait, that is done at
 * once: each of them costs more than its bytes. A reader that stops halfway through a read
 * has the rest compacted again. What is held can thus never be much more than what waits: a window of one-byte frames
 * does not pin 65,536 messages.
 *
 *     chunks      gone │ compacted: in blocks, or pinned reads │ as they came
 *                      #first                                  #compactedEnd
 */
import { concat, count, emptyBytes, MAX_LOOSE_PIECES, release, retain } from "../memory/mod.ts";

/** Chunks from this size on may wait in the read that brought them. No block is larger. */
const COPY_BELOW_BYTES = 16 * 1_024;
const FIRST_BLOCK_BYTES = 1_024;
/** Chunks under this cost as much as objects as their bytes do. */
const SMALL_BYTES = 1_024;
/** Chunks that were taken are removed from the front of the list when there are so many, and half of it are. */
const TRIM_CHUNKS = 32;

/** A read that compacted chunks still wait in. */
interface PinnedRead {
  readonly buffer: ArrayBufferLike;
  /** How many of its bytes wait. */
  waitingBytes: number;
}

export class ReceiveBuffer {
  /** In order; those before `#first` are gone. */
  #chunks: (Uint8Array | null)[] = [];
  #first = 0;
  /** Chunks from this index on are not compacted. */
  #compactedEnd = 0;
  /** In the order of their chunks. */
  #pinned: PinnedRead[] = [];
  /** The block of the last compacted chunk, where more fits behind that; else null. */
  #block: Uint8Array | null = null;
  #blockUsed = 0;
  /** Small chunks behind the compacted ones. */
  #looseChunks = 0;
  /** Bytes of chunks that will go into the block when they are compacted. */
  #blockReserved = 0;
  #byteLength = 0;

  /** Bytes that wait. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Bytes that waiting costs: those that wait, and what is free in the last block. */
  get heldBytes(): number {
    return this.#byteLength + this.#blockFreeBytes;
  }

  /** Whether compacted chunks should be compacted again: the reader took most of the read that they wait in. */
  get isSparse(): boolean {
    return this.#pinned.length > 0 && isMostlyTaken(this.#pinned[0]);
  }

  /**
   * Takes a chunk in, as it came: never empty.
   *
   * @param moreBytes what may still come behind it. A block with more free space than that is cut.
   */
  push(chunk: Uint8Array, moreBytes: number): void {
    retain(chunk);
    if (this.#block !== null) {
      const isCopied = chunk.length < COPY_BELOW_BYTES;
      if (isCopied) this.#blockReserved += chunk.length;
      if (!isCopied || this.#blockFreeBytes > moreBytes) this.#cutBlock(this.#block);
    }
    this.#chunks.push(chunk);
    this.#byteLength += chunk.length;
    if (chunk.length < SMALL_BYTES && ++this.#looseChunks >= MAX_LOOSE_PIECES) this.compact(moreBytes);
  }

  /** The oldest chunk, or null. */
  shift(): Uint8Array | null {
    const first = this.#first;
    const chunk = this.#chunks[first] ?? null;
    if (chunk === null) return null;
    this.#chunks[first] = null;
    this.#first = first + 1;
    if (this.#first > this.#compactedEnd) this.#compactedEnd = this.#first;
    if (this.#pinned.length > 0 && this.#pinned[0].buffer === chunk.buffer) this.#unpin(this.#pinned[0], chunk);
    if (this.#first === this.#compactedEnd) this.#leaveBlock();
    if (this.#first === this.#chunks.length) this.#reset();
    else if (this.#first >= TRIM_CHUNKS && this.#first * 2 >= this.#chunks.length) this.#trim();
    this.#byteLength -= chunk.length;
    return chunk;
  }

  /** All bytes in one piece. Nothing waits afterwards. */
  takeAll(): Uint8Array {
    const first = this.shift();
    if (first === null) return emptyBytes;
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
   * Copies waiting chunks out of the reads that brought them, where they pin more than they hold.
   *
   * @param moreBytes what may still come: no block is larger than what can fill it.
   */
  compact(moreBytes: number): void {
    const from = this.#compactedEnd;
    const count = this.#chunks.length;
    if (from === count && !this.isSparse) return;
    const chunks = this.#chunks.splice(from, count - from) as Uint8Array[];
    for (const chunk of chunks) {
      if (chunk.length < COPY_BELOW_BYTES) {
        this.#copyIntoBlock(chunk, moreBytes);
        release(chunk);
      } else this.#pin(chunk);
    }
    this.#compactedEnd = this.#chunks.length;
    this.#looseChunks = 0;
    for (const read of this.#pinned.filter(isMostlyTaken)) this.#copyOut(read.buffer);
    this.#blockReserved = 0;
  }

  /** Bytes of the block that no chunk has or will have. */
  get #blockFreeBytes(): number {
    return this.#block === null ? 0 : Math.max(0, this.#block.length - this.#blockUsed - this.#blockReserved);
  }

  /** Frees what is free in the block: nothing more goes into it. */
  #cutBlock(block: Uint8Array): void {
    this.#chunks[this.#compactedEnd - 1] = block.slice(0, this.#blockUsed);
    this.#leaveBlock();
  }

  #leaveBlock(): void {
    this.#block = null;
    this.#blockReserved = 0;
  }

  #pin(chunk: Uint8Array): void {
    this.#block = null;
    this.#chunks.push(chunk);
    const last = this.#pinned.at(-1);
    if (last?.buffer === chunk.buffer) last.waitingBytes += chunk.length;
    else this.#pinned.push({ buffer: chunk.buffer, waitingBytes: chunk.length });
  }

  /** The first chunk of the first pinned read was taken. */
  #unpin(read: PinnedRead, chunk: Uint8Array): void {
    read.waitingBytes -= chunk.length;
    if (read.waitingBytes === 0) this.#pinned.shift();
  }

  /** Gives each chunk in a read that is too large for them a buffer of its own. */
  #copyOut(buffer: ArrayBufferLike): void {
    this.#pinned = this.#pinned.filter((read) => read.buffer !== buffer);
    for (let index = this.#first; index < this.#compactedEnd; index++) {
      const chunk = this.#chunks[index]!;
      if (chunk.buffer !== buffer) continue;
      this.#chunks[index] = count(chunk.slice());
      release(chunk);
    }
  }

  #copyIntoBlock(chunk: Uint8Array, moreBytes: number): void {
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
    // Twice what waits, so that few bytes cost few, and never more than may still come.
    const size = Math.min(Math.max(FIRST_BLOCK_BYTES, this.#byteLength * 2), COPY_BELOW_BYTES, rest.length + moreBytes);
    const block = new Uint8Array(Math.max(size, rest.length));
    block.set(rest);
    this.#chunks.push(block.subarray(0, rest.length));
    this.#block = rest.length === block.length ? null : block;
    this.#blockUsed = rest.length;
  }

  #trim(): void {
    this.#chunks.splice(0, this.#first);
    this.#compactedEnd -= this.#first;
    this.#first = 0;
  }

  #reset(): void {
    // To set a length takes some 60 ns, also that of an empty list.
    if (this.#chunks.length === 1) this.#chunks.pop();
    else this.#chunks = [];
    if (this.#pinned.length > 0) this.#pinned = [];
    this.#first = this.#compactedEnd = 0;
    this.#looseChunks = 0;
    this.#leaveBlock();
  }
}

function isMostlyTaken({ buffer, waitingBytes }: PinnedRead): boolean {
  return 2 * waitingBytes < buffer.byteLength;
}
