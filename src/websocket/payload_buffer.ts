/** The payload of one message that arrives in pieces. */
import { emptyBytes, freeUncounted } from "../memory/mod.ts";
import { applyMask } from "./mask.ts";

/** An announced length is allocated up to here. Past it the buffer grows with the bytes that really arrive. */
const MAX_PREALLOCATED_BYTES = 256 * 1024;

export class PayloadBuffer {
  #buffer: Uint8Array = emptyBytes;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that are allocated. */
  get allocatedBytes(): number {
    return this.#buffer.length;
  }

  /**
   * Copies `bytes[from, to)` to the end.
   *
   * @param expected the length of the message as far as it is announced, with these bytes
   * @param max what the message cannot exceed: `expected` in its last frame, else the limit
   */
  append(bytes: Uint8Array, from: number, to: number, expected: number, max: number): void {
    const length = this.#length + to - from;
    if (length > this.#buffer.length) this.#grow(length, expected, max);
    this.#buffer.set(bytes.subarray(from, to), this.#length);
    this.#length = length;
  }

  /** Unmasks the bytes from `from` to the end, which are the payload of one frame. */
  unmask(from: number, key: number): void {
    applyMask(this.#buffer, from, this.#length, key);
  }

  /** Returns the payload in a buffer of exactly its size, and empties this one. */
  take(): Uint8Array {
    const isExact = this.#length === this.#buffer.length;
    const whole = isExact ? this.#buffer : this.#buffer.slice(0, this.#length);
    if (!isExact) freeUncounted(this.#buffer);
    this.#buffer = emptyBytes;
    this.#length = 0;
    return whole;
  }

  /** Returns a copy of the first `bytes` at most, and empties this one. */
  takeBeginning(bytes: number): Uint8Array {
    const beginning = this.#buffer.slice(0, Math.min(bytes, this.#length));
    freeUncounted(this.#buffer);
    this.#buffer = emptyBytes;
    this.#length = 0;
    return beginning;
  }

  /**
   * Doubles the buffer, so that a message of many small fragments is not copied for each of them. The old one is freed
   * at once: the collectors come too late for large ones, and a Deno edge grew by 50 MB more beside a slow JSON agent.
   */
  #grow(length: number, expected: number, max: number): void {
    const wanted = Math.max(expected <= MAX_PREALLOCATED_BYTES ? expected : length, 2 * this.#buffer.length);
    const grown = new Uint8Array(Math.max(length, Math.min(wanted, max)));
    grown.set(this.#buffer.subarray(0, this.#length));
    freeUncounted(this.#buffer);
    this.#buffer = grown;
  }
}
