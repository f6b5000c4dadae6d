/**
 * Bun. The streams between a socket of `node:net` and its handle take a tenth of a small request's processor time
 * (1.4.5), and are compiled again whenever a few connections come. So bytes bypass them: the handle is used directly.
 */
import type * as net from "node:net";
import process from "node:process";
import { onGarbage } from "../memory/mod.ts";
import { type Libc, libcSignatures } from "./libc_functions.ts";
import type { Runtime } from "./runtime.ts";
import { interceptWriteErrors } from "./write_errors.ts";

/** Bun's own socket under one of `node:net`. */
interface Handle {
  /** -1 once it is closed. */
  fd?: number;
  pause?(): void;
  resume?(): void;
  /** Returns how many bytes the kernel took; -1 where the connection is over. */
  write?(bytes: Uint8Array): number;
}

/** Null or undefined once the socket was destroyed. */
function handleOf(raw: net.Socket | net.Server): Handle | null | undefined {
  return (raw as { _handle?: Handle | null })._handle;
}

export const bun: Runtime = {
  name: "bun",
  // By itself Bun reads on until one more read, of up to 512 KiB, waits in the paused stream: 180 MB with 500 stalled
  // readers.
  pause: (raw) => handleOf(raw)?.pause?.(),
  resume: (raw) => handleOf(raw)?.resume?.(),
  writeNow: (raw, bytes) => handleOf(raw)?.write?.(bytes) ?? 0,
  interceptReads(raw, take) {
    const { push } = raw;
    raw.push = function (chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
      if (chunk !== null && raw.readableLength === 0 && take(chunk)) return true;
      return push.call(raw, chunk, encoding);
    };
  },
  interceptWriteErrors(raw, onFailure) {
    interceptWriteErrors(raw, (error) => {
      // After the callback of a write that failed late, Bun destroys the socket, unless it has reported an error.
      (raw as { _hadError?: boolean })._hadError = true;
      onFailure(error);
    });
  },
  spareTlsCopy() {},
  watch: null,
  // There is a poll in each turn, and a reset is told in the one after.
  afterPoll: (then) => void setImmediate(() => setImmediate(then)),
  afterNextPoll: (then) => void setImmediate(then),
  permitListen() {},
  mayReadAddresses: () => true,
  revive: null,
  openLibc,
  withDescriptor(raw, _libc, use) {
    const fd = handleOf(raw)?.fd;
    if (fd !== undefined && fd >= 0) use(fd);
  },
  // It closes a socket whose later write fails, with the unread answer.
  canBoundDialed: false,
  tune: () => onGarbage(collectInTime),
};

interface BunFfi {
  dlopen(name: string, functions: Record<string, { args: string[]; returns: "i32" }>): { symbols: unknown };
}

function openLibc(name: string): Libc {
  const { dlopen } = process.getBuiltinModule("bun:ffi") as unknown as BunFfi;
  const functions = Object.entries(libcSignatures).map(([symbol, parameters]) => {
    const args = parameters.map((parameter) => parameter === "pointer" ? "ptr" : parameter);
    return [symbol, { args, returns: "i32" as const }] as const;
  });
  return dlopen(name, Object.fromEntries(functions)).symbols as Libc;
}

const BYTES_PER_COLLECTION = 32 * 1024 * 1024;
/** A collection of a large heap takes long. For ten times as long there is no other. */
const PAUSE_FACTOR = 10;
let uncollectedBytes = 0;
let pausedUntil = 0;

/**
 * Bun counts what lies outside its heap, but collects late: an edge that relayed 200 MB grew by 55 to 76 MB, and by 37
 * to 42 with a full collection for each 32 MB of dead chunks. The collections cost 40 % of the throughput, since Bun
 * returns the memory to the system and new chunks take page faults; so only chunks that are not reference-counted cause
 * them. With collections of the young generation alone (`edenGC` of bun:jsc) it grew by 75 to 94 MB.
 */
function collectInTime(bytes: number): void {
  uncollectedBytes += bytes;
  if (uncollectedBytes < BYTES_PER_COLLECTION) return;
  const startedAt = performance.now();
  if (startedAt < pausedUntil) return;
  uncollectedBytes = 0;
  (globalThis as unknown as { Bun: { gc(isSynchronous: boolean): void } }).Bun.gc(true);
  const endedAt = performance.now();
  pausedUntil = endedAt + PAUSE_FACTOR * (endedAt - startedAt);
}
