/**
 * Memory for the large frames that a client masks. New memory for each frame would cost more than masking does (a page
 * fault every 4 KiB), so one block is used again as soon as the socket has sent everything that was cut from it.
 */
import { count, share } from "../memory/mod.ts";

/** Two messages of 256 KiB with their heads, so that one can be made while the other is sent. */
const BLOCK_BYTES = 520 * 1024;

export class MaskBuffer {
  #block: Uint8Array | null = null;
  #used = 0;

  /**
   * `length` bytes that are not in use. Their content is undefined.
   *
   * @param isIdle true: everything that was taken before has been sent
   */
  take(length: number, isIdle: boolean): Uint8Array {
    if (isIdle) this.#used = 0;
    if (this.#used + length > BLOCK_BYTES) return count(new Uint8Array(length));
    this.#block ??= count(new Uint8Array(BLOCK_BYTES), true);
    const bytes = this.#block.subarray(this.#used, this.#used + length);
    this.#used += length;
    // With a reference, so that the socket does not report the bytes as garbage.
    share(this.#block, bytes);
    return bytes;
  }
}
