/**
 * Memory for the large frames that a client masks. New memory for each frame would cost more than masking does (a page
 * fault every 4 KiB), so one block is used again as soon as the socket has sent everything that was cut from it.
 */
import { count, share } from "../memory/mod.ts";
import { FRAME_BLOCK_BYTES, PAGE_OFFSET, returnFrameBlock, takeFrameBlock } from "./mask_blocks.ts";
import { allocateMaskMemory } from "./mask_memory.ts";

const PAGE_BYTES = 4 * 1024;

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
    const start = this.#used + PAGE_OFFSET;
    if (start + length > FRAME_BLOCK_BYTES) return count(new Uint8Array(length));
    this.#block ??= takeFrameBlock() ?? count(allocateMaskMemory(FRAME_BLOCK_BYTES), true);
    const bytes = this.#block.subarray(start, start + length);
    this.#used = Math.ceil((start + length) / PAGE_BYTES) * PAGE_BYTES;
    // With a reference, so that the socket does not report the bytes as garbage.
    share(this.#block, bytes);
    return bytes;
  }

  /** What was taken will not be read any more. */
  close(): void {
    if (this.#block !== null) returnFrameBlock(this.#block);
    this.#block = null;
  }
}
