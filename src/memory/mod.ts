/**
 * Buffers: reference counts for large reads, a bump allocator for small output, and pressure on the garbage collector.
 */
export { BumpAllocator, MAX_CUT_BYTES, sharedAllocator } from "./bump_allocator.ts";
export { concat, emptyBytes } from "./bytes.ts";
export { onGarbage, reportGarbage } from "./collector_pressure.ts";
export { MemoryAccount } from "./memory_account.ts";
export { compactPieces, MAX_LOOSE_PIECES, PIECE_OVERHEAD_BYTES } from "./pieces.ts";
export {
  assertUsable,
  checkBuffers,
  compacted,
  count,
  disown,
  freeUncounted,
  isCounted,
  pin,
  release,
  retain,
  share,
  slice,
  tightened,
  unpin,
} from "./ref_counted.ts";
