/**
 * Where a client masks its large frames. New memory for each frame would cost more than masking does (a page fault every
 * 4 KiB), so one block is used again as soon as the socket has sent all that was cut from it.
 */
import { count, share } from "../memory/mod.ts";

/** Two messages of 256 KiB, so that one can be made while the other leaves, and their heads. */
const BLOCK_BYTES = 520 * 1024;

export class MaskBuffer {
  #block: Uint8Array | null = null;
  #used = 0;

  /**
   * `length` bytes that nobody else holds. Their content is undefined.
   *
   * @param isIdle nothing of what was cut before waits to be sent
   */
  take(length: number, isIdle: boolean): Uint8Array {
    if (isIdle) this.#used = 0;
    if (this.#used + length > BLOCK_BYTES) return count(new Uint8Array(length));
    this.#block ??= count(new Uint8Array(BLOCK_BYTES), true);
    const bytes = this.#block.subarray(this.#used, this.#used + length);
    this.#used += length;
    // With a reference, so that the socket does not report it as garbage.
    share(this.#block, bytes);
    return bytes;
  }
}
