/**
 * The memory that the clients of a process mask in, in blocks that are used again and again:
 *
 *     frames    blocks for what a connection is about to send (mask_buffer.ts)
 *     copies    blocks for what is kept until a peer has acknowledged it; a frame is masked on its way out of there, so
 *               that the kept copy costs no more than one that is masked in place
 *
 * What is kept in the reads that brought it pins them, a dozen at a time. The processor's caches hold fewer, and the
 * collector takes their bytes for a heap that grows: a download cost an agent on Bun 8 % more with it.
 */
import { count, slice } from "../memory/mod.ts";
import { allocateMaskMemory, vectorMaskOf } from "./mask_memory.ts";

/** Two messages of 256 KiB with their heads, so that one can be made while the other is sent. Whole pages of 64 KiB. */
export const FRAME_BLOCK_BYTES = 576 * 1024;
/** A link and its successor. A process with more clients has memory for each of the others. */
const FRAME_BLOCKS = 2;
const COPY_BLOCK_BYTES = 64 * 1024;
/** 4 MiB, which is the most that one session has in flight. */
const COPY_BLOCKS = 64;
/** Where in a block a copy begins: not near the place of a page that reads or frames begin at (mask_buffer.ts). */
const COPY_OFFSET = 512;
/** The longest part that is copied. */
export const MAX_COPY_BYTES: number = COPY_BLOCK_BYTES - COPY_OFFSET;
const COPIES_AT = FRAME_BLOCKS * FRAME_BLOCK_BYTES;

let memory: Uint8Array | null = null;
const freeFrames = Array.from({ length: FRAME_BLOCKS }, (_, index) => index * FRAME_BLOCK_BYTES);
/** Free blocks, each as its last copy: the next one has the same length mostly. The last of them is in the caches. */
let freeCopies: Uint8Array[] | null = null;

/** Of the system's memory it takes only what was used once. */
function wholeMemory(): Uint8Array {
  return memory ??= count(allocateMaskMemory(COPIES_AT + COPY_BLOCKS * COPY_BLOCK_BYTES), true);
}

/** A block for frames, until `returnFrameBlock`; null where all are taken. */
export function takeFrameBlock(): Uint8Array | null {
  const start = freeFrames.pop();
  return start === undefined ? null : slice(wholeMemory(), start, start + FRAME_BLOCK_BYTES);
}

export function returnFrameBlock(frames: Uint8Array): void {
  if (frames.buffer === memory?.buffer) freeFrames.push(frames.byteOffset);
}

/** A copy of `part` until `returnCopy`. Null where it is too long, all blocks are taken, or no vectors mask. */
export function copyToBlock(part: Uint8Array): Uint8Array | null {
  if (part.length > MAX_COPY_BYTES) return null;
  freeCopies ??= allCopyBlocks();
  let copy = freeCopies.pop();
  if (copy === undefined) return null;
  if (copy.length !== part.length) copy = new Uint8Array(copy.buffer, copy.byteOffset, part.length);
  copy.set(part);
  return copy;
}

/** The block of `copy` is free again. Returns false where `copy` is not one of `copyToBlock`. */
export function returnCopy(copy: Uint8Array): boolean {
  if (copy.buffer !== memory?.buffer) return false;
  freeCopies!.push(copy);
  return true;
}

function allCopyBlocks(): Uint8Array[] {
  const { buffer } = wholeMemory();
  if (vectorMaskOf(buffer) === undefined) return [];
  const starts = Array.from({ length: COPY_BLOCKS }, (_, index) => COPIES_AT + index * COPY_BLOCK_BYTES + COPY_OFFSET);
  return starts.map((start) => new Uint8Array(buffer, start, MAX_COPY_BYTES)).reverse();
}
