/**
 * Keeps the memory of bulk small that no lease gives back (lease.ts): what goes through TLS, the JSON protocol or a
 * user's hands. On Deno, V8 collects its young generation when that is full of objects, and a
 * chunk of 64 KiB is a few hundred bytes there: the rest lies outside the heap and does not count. A download of
 * 512 MB held 320 MB of dead chunks so. Small arrays, made in proportion to the bytes that moved, let the collector
 * come once in about 8 MB: forwarding 512 MB or 12 GB then costs 40 to 55 MB, at the same speed.
 *
 * Measured beside it with Deno 2.9.6: a buffer of our own for each read 75 MB, a small young generation by flag 176,
 * one malloc arena 320; `gc()` 40, but it is a whole collection and took a quarter of the speed. Arrays of 8 KiB
 * survive in such an amount that the young generation grows to 60 MB itself.
 *
 * Bun counts what lies outside the heap, but collects late: an edge that passed 200 MB grew by 55 to 76 MB, and by 37 to
 * 42 with a whole collection for each 32 MB of dead chunks, which costs 40 % of the throughput: it gives the memory back
 * to the system, and each new chunk takes page faults. Asked to collect in its own time, it did not; young collections
 * alone (`edenGC` of bun:jsc) let through what was under way at each of them, and it grew by 75 to 94 MB.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runtimeName } from "./platform.ts";

const BYTES_PER_COLLECTION = 8 * 1024 * 1024;
/** How much may move until the young generation is measured again: it grows under load, from 1 MB to 32. */
const BYTES_PER_MEASURE = 8 * 1024 * 1024;
/**
 * What is smaller comes with as much of objects, which the collectors do count: weighed, too, small requests, and the
 * messages in which many of them cross the link, would pay for collections that they do not need. On Bun each of those
 * throws away compiled code besides, whatever its use: to compile it anew costs more than to collect.
 */
const LIGHT_BYTES = 16 * 1024;
const SMALLEST_GENERATION = 1024 * 1024;
const WEIGHT_SLOTS = 128;
const WEIGHT_BYTES = 8 * WEIGHT_SLOTS;

const BUN_BYTES_PER_COLLECTION = 32 * 1024 * 1024;
/** A collection of a large heap takes long: it is followed by ten times its length without another. */
const BUN_REST_FACTOR = 10;
let uncollectedBytes = 0;
let restsUntil = 0;

let bytesPerWeight = 0;
let unweighedBytes = 0;
let unmeasuredBytes = BYTES_PER_MEASURE;
/** The last array. Exported, so that no compiler finds it unused. */
export let weight: unknown[] = [];

const count = runtimeName === "deno" ? addWeight : runtimeName === "bun" ? countForBun : () => {};

/** To be told how many bytes of a chunk the collector will have to free, or with less than 0 will not after all. */
export function weigh(bytes: number): void {
  if (bytes < 0 || bytes >= LIGHT_BYTES) count(bytes);
}

// Freed by a thread of its own, which waits for a processor like all others, dead chunks pile up under load.
if (runtimeName === "deno") setFlagsFromString("--no-concurrent-array-buffer-sweeping");

function addWeight(bytes: number): void {
  unweighedBytes += bytes;
  if (unweighedBytes < bytesPerWeight) return;
  unmeasuredBytes += unweighedBytes;
  if (unmeasuredBytes >= BYTES_PER_MEASURE) measure();
  for (; unweighedBytes >= bytesPerWeight; unweighedBytes -= bytesPerWeight) weight = new Array(WEIGHT_SLOTS);
}

function measure(): void {
  unmeasuredBytes = 0;
  const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  const capacity = young === undefined ? 0 : young.space_used_size + young.space_available_size;
  bytesPerWeight = Math.ceil(BYTES_PER_COLLECTION * WEIGHT_BYTES / Math.max(capacity, SMALLEST_GENERATION));
}

function countForBun(bytes: number): void {
  uncollectedBytes += bytes;
  if (uncollectedBytes < BUN_BYTES_PER_COLLECTION) return;
  const begunAt = performance.now();
  if (begunAt < restsUntil) return;
  uncollectedBytes = 0;
  (globalThis as unknown as { Bun: { gc(isSynchronous: boolean): void } }).Bun.gc(true);
  const endedAt = performance.now();
  restsUntil = endedAt + BUN_REST_FACTOR * (endedAt - begunAt);
}
