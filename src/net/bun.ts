/**
 * Bun. The streams that it puts between a socket and its owner take a tenth of a small request's processor time (1.4.5)
 * and are compiled anew whenever a few connections come, so bytes pass them by, on the handle under them.
 */
import type * as net from "node:net";
import { onGarbage } from "../memory/mod.ts";
import type { Runtime } from "./runtime.ts";

/** What Bun keeps under a socket of `node:net`. */
interface Handle {
  pause?(): void;
  resume?(): void;
  /** How many bytes the kernel took; below 0 where the connection is over. */
  write?(bytes: Uint8Array): number;
}

/** Null or undefined once the socket was destroyed. */
function handleOf(raw: net.Socket): Handle | null | undefined {
  return (raw as { _handle?: Handle | null })._handle;
}

export const bun: Runtime = {
  name: "bun",
  // Left to itself Bun goes on until one more read, of up to 512 KiB, waits in the paused stream: 500 stalled readers
  // held 180 MB so.
  pause: (raw) => handleOf(raw)?.pause?.(),
  resume: (raw) => handleOf(raw)?.resume?.(),
  writeNow: (raw, bytes) => Math.max(0, handleOf(raw)?.write?.(bytes) ?? 0),
  interceptReads(raw, take) {
    const { push } = raw;
    raw.push = function (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
      if (chunk !== null && raw.readableLength === 0 && take(chunk)) return true;
      return push.call(raw, chunk, encoding);
    };
  },
  watch: null,
  tune: () => onGarbage(collectInTime),
};

const BYTES_PER_COLLECTION = 32 * 1024 * 1024;
/** A collection of a large heap takes long. It is followed by ten times its length without another. */
const REST_FACTOR = 10;
let uncollectedBytes = 0;
let restsUntil = 0;

/**
 * Bun counts what lies outside its heap, but collects late: an edge that passed 200 MB grew by 55 to 76 MB, and by 37 to
 * 42 with a whole collection for each 32 MB of dead chunks. That costs 40 % of the throughput, since Bun gives the memory
 * back to the system and each new chunk takes page faults; so only chunks that are not reference-counted lead to it.
 * Collections of the young generation alone (`edenGC` of bun:jsc) let it grow by 75 to 94 MB.
 */
function collectInTime(bytes: number): void {
  uncollectedBytes += bytes;
  if (uncollectedBytes < BYTES_PER_COLLECTION) return;
  const begunAt = performance.now();
  if (begunAt < restsUntil) return;
  uncollectedBytes = 0;
  (globalThis as unknown as { Bun: { gc(isSynchronous: boolean): void } }).Bun.gc(true);
  const endedAt = performance.now();
  restsUntil = endedAt + REST_FACTOR * (endedAt - begunAt);
}
