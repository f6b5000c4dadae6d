/** Deno, whose sockets are used through `node:net` as they are. */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { onGarbage } from "../memory/mod.ts";
import { pausedWatch } from "./paused_watch.ts";
import type { Runtime } from "./runtime.ts";

export const deno: Runtime = {
  name: "deno",
  pause() {},
  resume() {},
  writeNow: () => 0,
  interceptReads() {},
  watch: pausedWatch,
  tune() {
    // The thread that frees dead buffers waits for a processor like all others: under load they pile up.
    setFlagsFromString("--no-concurrent-array-buffer-sweeping");
    onGarbage(fillYoungGeneration);
  },
};

const BYTES_PER_COLLECTION = 8 * 1024 * 1024;
/** How much may pass until the young generation is measured again: it grows under load, from 1 MB to 32. */
const BYTES_PER_MEASURE = 8 * 1024 * 1024;
const SMALLEST_GENERATION = 1024 * 1024;
const FILLER_SLOTS = 128;
const FILLER_BYTES = 8 * FILLER_SLOTS;

let bytesPerFiller = 0;
let unfilledBytes = 0;
let unmeasuredBytes = BYTES_PER_MEASURE;
/** The last array. Exported, so that no compiler drops it as unused. */
export let filler: unknown[] = [];

/**
 * V8 collects its young generation when that is full of objects, and a chunk of 64 KiB is a few hundred bytes there: a
 * download of 512 MB held 320 MB of dead chunks. Small arrays, made in proportion to the bytes that passed, fill the
 * generation once in about 8 MB: forwarding 512 MB or 12 GB then costs 40 to 55 MB, at the same speed.
 *
 * Measured beside it with Deno 2.9.6: a buffer of our own for each read 75 MB, a small young generation by flag 176, one
 * malloc arena 320; `gc()` 40, but it is a whole collection and took a quarter of the speed. Arrays of 8 KiB survive in
 * such an amount that the young generation grows to 60 MB itself.
 */
function fillYoungGeneration(bytes: number): void {
  unfilledBytes += bytes;
  if (unfilledBytes < bytesPerFiller) return;
  unmeasuredBytes += unfilledBytes;
  if (unmeasuredBytes >= BYTES_PER_MEASURE) measure();
  for (; unfilledBytes >= bytesPerFiller; unfilledBytes -= bytesPerFiller) filler = new Array(FILLER_SLOTS);
}

function measure(): void {
  unmeasuredBytes = 0;
  const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  const capacity = young === undefined ? 0 : young.space_used_size + young.space_available_size;
  bytesPerFiller = Math.ceil(BYTES_PER_COLLECTION * FILLER_BYTES / Math.max(capacity, SMALLEST_GENERATION));
}
