/**
 * The memory that the clients of a process mask in, in blocks that are used again and again:
 *
 *     frames    blocks for what a connection is about to send (mask_buffer.ts)
 *     kept      a block for each frame that is kept when it has left (kept_frames.ts)
 */
import { count, slice } from "../memory/mod.ts";
import { allocateMaskMemory } from "./mask_memory.ts";

/** Two messages of 256 KiB with their heads, so that one can be made while the other is sent. Whole pages of 64 KiB. */
export const FRAME_BLOCK_BYTES = 576 * 1024;
/** A link and its successor. A process with more clients has memory for each of the others. */
const FRAME_BLOCKS = 2;
/** A message of bulk has up to 73 KiB (httpstream/outgoing_message.ts). */
const KEPT_BLOCK_BYTES = 80 * 1024;
/** 4 MiB in messages of 57 KiB, which is the most that one session has in flight. */
const KEPT_BLOCKS = 72;
/**
 * Where in a page a frame begins. A processor takes a load from an address for one that waits for the store to another,
 * where the lower 12 bits are equal (4K aliasing). Reads begin near a page's start, and so does a block. A copy from there
 * to 14 bytes behind there took 5 times as long on Deno, and 20 times on Bun.
 */
export const PAGE_OFFSET = 2 * 1024;
/** The longest frame that has a block. */
export const MAX_KEPT_BYTES: number = KEPT_BLOCK_BYTES - PAGE_OFFSET;
const KEPT_AT = FRAME_BLOCKS * FRAME_BLOCK_BYTES;

let memory: Uint8Array | null = null;
const freeFrames = Array.from({ length: FRAME_BLOCKS }, (_, index) => index * FRAME_BLOCK_BYTES);
/** The one that was used last comes first: it is in the processor's caches. */
const freeKept = Array.from({ length: KEPT_BLOCKS }, (_, index) => KEPT_AT + index * KEPT_BLOCK_BYTES).reverse();

/** Of the system's memory it takes only what was used once. */
function wholeMemory(): Uint8Array {
  return memory ??= count(allocateMaskMemory(KEPT_AT + KEPT_BLOCKS * KEPT_BLOCK_BYTES), true);
}

/** A block for frames, until `returnFrameBlock`; null where all are taken. */
export function takeFrameBlock(): Uint8Array | null {
  const start = freeFrames.pop();
  return start === undefined ? null : slice(wholeMemory(), start, start + FRAME_BLOCK_BYTES);
}

export function returnFrameBlock(frames: Uint8Array): void {
  if (frames.buffer === memory?.buffer) freeFrames.push(frames.byteOffset);
}

/** `length` bytes of a block, until `returnKept`; null where that is over `MAX_KEPT_BYTES`, and where all are taken. */
export function takeKept(length: number): Uint8Array | null {
  if (length > MAX_KEPT_BYTES) return null;
  const start = freeKept.pop();
  if (start === undefined) return null;
  // With a reference, so that the socket does not report the bytes as garbage.
  return slice(wholeMemory(), start + PAGE_OFFSET, start + PAGE_OFFSET + length);
}

/** @param bytes what `takeKept` gave */
export function returnKept(bytes: Uint8Array): void {
  freeKept.push(bytes.byteOffset - PAGE_OFFSET);
}
