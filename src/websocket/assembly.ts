/** The payload of one message that comes in pieces, joined as they come. */
import { applyMask } from "./mask.ts";

/** Announced lengths are believed up to here; past it memory follows the bytes that really came. */
const BELIEVED_BYTES = 256 * 1024;
/** Smaller buffers are cheap to collect. */
const LEAST_FREED_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

export class Assembly {
  #buffer: Uint8Array = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that are held for it. */
  get reserved(): number {
    return this.#buffer.length;
  }

  /**
   * Copies `bytes[from, to)` to the end.
   * @param expected the message's length as far as it is announced, these bytes included
   * @param bound what the whole message cannot be longer than: `expected` in its last frame, else the limit
   */
  append(bytes: Uint8Array, from: number, to: number, expected: number, bound: number): void {
    const length = this.#length + to - from;
    if (length > this.#buffer.length) this.#grow(length, expected, bound);
    this.#buffer.set(bytes.subarray(from, to), this.#length);
    this.#length = length;
  }

  /** Unmasks the bytes from `from` to the end: one frame's payload. */
  unmask(from: number, key: number): void {
    applyMask(this.#buffer, from, this.#length, key);
  }

  /** The whole payload, in a buffer of exactly its size; the assembly is empty again. */
  take(): Uint8Array {
    const isExact = this.#length === this.#buffer.length;
    const whole = isExact ? this.#buffer : this.#buffer.slice(0, this.#length);
    if (!isExact) free(this.#buffer);
    this.#buffer = EMPTY;
    this.#length = 0;
    return whole;
  }

  /** Doubles, so that a message of many small fragments is not copied once for each of them. */
  #grow(length: number, expected: number, bound: number): void {
    const wanted = Math.max(expected <= BELIEVED_BYTES ? expected : length, 2 * this.#buffer.length);
    const grown = new Uint8Array(Math.max(length, Math.min(wanted, bound)));
    grown.set(this.#buffer.subarray(0, this.#length));
    free(this.#buffer);
    this.#buffer = grown;
  }
}

/** Frees the memory of a buffer that only the assembly knows. Collectors come too late for large ones. */
function free(bytes: Uint8Array): void {
  if (bytes.length >= LEAST_FREED_BYTES) (bytes.buffer as ArrayBuffer).transfer(0);
}
