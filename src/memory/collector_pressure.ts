/**
 * Reports how many bytes of dead buffers the garbage collector has to free. The collectors of both runtimes hardly
 * count what lies outside their heaps, so that dead reads of bulk pile up to hundreds of megabytes. `tuneRuntime()`
 * (src/net) listens here and has them collected in time. Without it nothing happens: importing this library changes
 * nothing in the process.
 *
 * Reported is what is not reference-counted (ref_counted.ts): bytes that pass through the JSON protocol or a user's
 * functions.
 */

/**
 * Smaller chunks are not reported: they come with as many bytes of objects, which the collectors do count. Small
 * requests would pay for collections that they do not need, and each collection on Bun drops compiled code.
 */
export const LEAST_REPORTED_BYTES = 16 * 1024;

type GarbageListener = (bytes: number) => void;

let listener: GarbageListener | null = null;

/** Sets the one listener of the process; null removes it. */
export function onGarbage(next: GarbageListener | null): void {
  listener = next;
}

/** `bytes` of a chunk will be garbage. Negative: bytes that were reported before were freed after all. */
export function reportGarbage(bytes: number): void {
  if (listener !== null && (bytes < 0 || bytes >= LEAST_REPORTED_BYTES)) listener(bytes);
}
