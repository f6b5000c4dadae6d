/**
 * Where small pieces of output come from: frames, and header blocks. A buffer of its own costs a piece up to 1 µs on
 * Deno; cut from a shared block it costs a tenth of that. The block is small, so that one piece that waits for a stalled
 * peer holds little.
 */
import { Buffer } from "node:buffer";

const SLAB_BYTES = 16 * 1024;
/** Longer pieces get a buffer of their own. */
export const MAX_SLAB_FRAME_BYTES = 4 * 1024;

let slab = unfilled(SLAB_BYTES);
let used = 0;

/** `length` bytes that nobody else holds; their content is undefined. */
export function allocate(length: number): Uint8Array {
  if (length > MAX_SLAB_FRAME_BYTES) return new Uint8Array(length);
  const bytes = reserve(length);
  used += length;
  return bytes;
}

/** Like `allocate`, for who does not know the length yet: of the `length` bytes only those `commit()`ted are taken. */
export function reserve(length: number): Uint8Array {
  if (used + length > SLAB_BYTES) {
    slab = unfilled(SLAB_BYTES);
    used = 0;
  }
  return slab.subarray(used, used + length);
}

/** Takes the first `length` bytes of the last `reserve()`. */
export function commit(length: number): void {
  used += length;
}

/**
 * `length` bytes of any content, for who lets none of them out that was not written. On Bun, to fill them with zeroes
 * would take two thirds of the time.
 */
export function unfilled(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer, 0, length);
}
