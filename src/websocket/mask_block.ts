/**
 * Where a client's large frames are masked. New memory for each of them would cost more than masking does, a page fault
 * every 4 KiB: so the same block serves again as soon as the socket has given away all that was cut from it.
 */
import { claim, lend, share } from "../net/lease.ts";
import { maskMemory } from "./mask_memory.ts";

/** Two messages of 256 KiB, so that one can be made while the other leaves; whole pages of 64 KiB. */
const BLOCK_BYTES = 576 * 1024;

export class MaskBlock {
  #block: Uint8Array | null = null;
  #used = 0;

  /**
   * `length` bytes that nobody else holds; their content is undefined.
   *
   * @param isIdle nothing waits to be sent of what was cut before
   */
  take(length: number, isIdle: boolean): Uint8Array {
    if (isIdle) this.#used = 0;
    if (this.#used + length > BLOCK_BYTES) return lent(new Uint8Array(length), 1);
    this.#block ??= lent(maskMemory(BLOCK_BYTES), Infinity);
    const bytes = this.#block.subarray(this.#used, this.#used + length);
    this.#used += length;
    // The socket spends it, and so does not take it for what a collector will have to free.
    share(this.#block, bytes);
    return bytes;
  }
}

function lent(bytes: Uint8Array, holders: number): Uint8Array {
  lend(bytes, holders);
  claim(bytes);
  return bytes;
}
