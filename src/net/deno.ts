/** Deno, whose sockets of `node:net` are used as they are. */
import type * as net from "node:net";
import { getHeapSpaceStatistics } from "node:v8";
import { onGarbage } from "../memory/mod.ts";
import { type Libc, libcSignatures } from "./libc_functions.ts";
import { pausedWatch } from "./paused_watch.ts";
import { isGranted, permitListen } from "./permission.ts";
import type { Runtime } from "./runtime.ts";
import { interceptWriteErrors } from "./write_errors.ts";

/** What a handle of Deno's has. */
interface Handle {
  /** Begins to accept, and has no other effect where it does already. */
  listen?(backlog: number): number;
  /** A new descriptor of the same socket, or -1. Whoever asks closes it. */
  fdForIpc?(): number;
}

/** What is under TLS on a stream of ours. */
interface TlsHandle {
  /** The encrypted bytes that are to be sent, in a buffer of their own. */
  drainEncOut?(): Uint8Array | ArrayBufferLike;
}

function handleOf(raw: net.Socket | net.Server): Handle | null | undefined {
  return (raw as { _handle?: Handle | null })._handle;
}

export const deno: Runtime = {
  name: "deno",
  pause() {},
  resume() {},
  writeNow: () => 0,
  // A paused stream reads on until it holds its mark, and takes reads of up to 64 KiB: with the runtime's own mark, of
  // 64 KiB, two of them waited in each paused socket. A stream that flows passes reads on whatever its mark is.
  interceptReads(raw) {
    const state = (raw as { _readableState?: { highWaterMark: number } })._readableState;
    if (state !== undefined) state.highWaterMark = 1;
  },
  interceptWriteErrors,
  // It sends `new Uint8Array(drainEncOut())` (2.9.6). Of an array that is a copy, and the array itself is garbage of which
  // nobody else knows: as much as is downloaded. Of a buffer it is a view.
  spareTlsCopy(engine) {
    const handle = (engine as { _handle?: TlsHandle | null })._handle;
    const drain = handle?.drainEncOut;
    if (!handle || drain === undefined) return;
    handle.drainEncOut = () => {
      const bytes = drain.call(handle);
      const isWhole = bytes instanceof Uint8Array && bytes.length === bytes.buffer.byteLength;
      return isWhole ? bytes.buffer : bytes;
    };
  },
  watch: pausedWatch,
  // While there are immediates, Deno polls in one of 61 turns (2.9.6). It always does when it waits for a timer.
  afterPoll: (then) => void setTimeout(() => setImmediate(then), 0),
  afterNextPoll: (then) => void setTimeout(then, 0),
  permitListen,
  mayReadAddresses: () => isGranted({ name: "sys", kind: "networkInterfaces" }),
  // Once accept(2) has failed, for want of descriptors or memory, Deno accepts no more and reports nothing (2.9.6).
  revive: (server, backlog) => void handleOf(server)?.listen?.(backlog),
  openLibc,
  withDescriptor(raw, libc, use) {
    const fd = handleOf(raw)?.fdForIpc?.() ?? -1;
    if (fd < 0) return;
    use(fd);
    libc.close(fd);
  },
  canBoundDialed: true,
  tune: () => onGarbage(fillYoungGeneration),
};

interface DenoFfi {
  dlopen(name: string, functions: Record<string, { parameters: string[]; result: "i32" }>): { symbols: unknown };
}

/** The user is not asked for the permission: everything works without. */
function openLibc(name: string): Libc {
  const { dlopen } = (globalThis as unknown as { Deno: DenoFfi }).Deno;
  if (!isGranted({ name: "ffi" })) throw new Error("--allow-ffi is missing");
  const functions = Object.entries(libcSignatures).map(([symbol, types]) => {
    const parameters = types.map((type) => type === "pointer" ? "buffer" : type);
    return [symbol, { parameters, result: "i32" as const }] as const;
  });
  return dlopen(name, Object.fromEntries(functions)).symbols as Libc;
}

const BYTES_PER_COLLECTION = 8 * 1024 * 1024;
/** The young generation is measured again after as many bytes: under load it grows from 1 MB to 32. */
const BYTES_PER_MEASUREMENT = 8 * 1024 * 1024;
const MIN_GENERATION_BYTES = 1024 * 1024;
const FILLER_SLOTS = 128;
const FILLER_BYTES = 8 * FILLER_SLOTS;

let bytesPerFiller = 0;
let unfilledBytes = 0;
let unmeasuredBytes = BYTES_PER_MEASUREMENT;
/** The last array. Exported, so that no compiler removes it as unused. */
export let filler: unknown[] = [];

/**
 * V8 collects its young generation when that is full of objects, and a chunk of 64 KiB takes a few hundred bytes there:
 * a download of 512 MB held 320 MB of dead chunks. Small arrays, in proportion to the bytes that were relayed, fill the
 * generation once in about 8 MB: relaying 512 MB or 12 GB then costs 40 to 55 MB, at the same speed.
 *
 * Alternatives, measured with Deno 2.9.6: a buffer of our own for each read 75 MB, a small young generation by flag
 * 176, one malloc arena 320; `gc()` 40, but it is a full collection and took a quarter of the speed. Of arrays of 8 KiB
 * so many survive that the young generation itself grows to 60 MB.
 */
function fillYoungGeneration(bytes: number): void {
  unfilledBytes += bytes;
  if (unfilledBytes < bytesPerFiller) return;
  unmeasuredBytes += unfilledBytes;
  if (unmeasuredBytes >= BYTES_PER_MEASUREMENT) measure();
  for (; unfilledBytes >= bytesPerFiller; unfilledBytes -= bytesPerFiller) filler = new Array(FILLER_SLOTS);
}

function measure(): void {
  unmeasuredBytes = 0;
  const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  const capacity = young === undefined ? 0 : young.space_used_size + young.space_available_size;
  bytesPerFiller = Math.ceil(BYTES_PER_COLLECTION * FILLER_BYTES / Math.max(capacity, MIN_GENERATION_BYTES));
}
