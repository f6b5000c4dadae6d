/** Buffers: reference counts for large reads, one allocator for small output, and what the collectors are told. */
export { BumpAllocator, concat, MAX_CUT_BYTES, sharedAllocator, uninitialized } from "./bump_allocator.ts";
export { type GarbageListener, onGarbage, reportGarbage } from "./collector_pressure.ts";
export {
  assertUsable,
  BufferMisuse,
  checkBuffers,
  compacted,
  count,
  disown,
  isCounted,
  release,
  retain,
  share,
  slice,
} from "./ref_counted.ts";
