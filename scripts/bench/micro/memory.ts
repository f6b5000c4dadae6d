/** Cases of `src/memory`, as far as one process can show them. What the collectors do is in processes.ts. */
import { bufferBytes, type Case, held, inProcess } from "./harness.ts";
import { BumpAllocator, compacted, countReferences, release, sharedAllocator, slice } from "./subjects.ts";

/** Lengths of a frame's head, a header block, a head, a head with a small body. */
const pieceLengths = [9, 120, 300, 1300];
/** Pieces live until their socket took them: so many at a time. */
const LIVE_PIECES = 64;
const READ_BYTES = 512 * 1024;
const SMALL_READ_BYTES = 1024;
const PART_BYTES = 40 * 1024;
const SLOW_READERS = 16;

/** Takes pieces, writes into them, and holds the latest; returns the sum of their lengths. */
function takePieces(count: number, allocate: (length: number) => Uint8Array): number {
  const live: Uint8Array[] = new Array(LIVE_PIECES).fill(new Uint8Array(1));
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const piece = allocate(pieceLengths[i & 3]);
    piece[0] = i;
    live[i & (LIVE_PIECES - 1)] = piece;
    sum += piece.length;
  }
  return sum + live[0].length;
}

/** One part of each large read waits for a slow reader; the rest was sent. */
function heldBySlowReaders(hold: (part: Uint8Array) => Uint8Array): { held: number; content: number[] } {
  const waiting = Array.from({ length: SLOW_READERS }, (_, i) => {
    const read = countReferences(new Uint8Array(READ_BYTES).fill(i + 1));
    const part = slice(read, i * 1024, i * 1024 + PART_BYTES);
    release(read);
    return hold(part);
  });
  const bytes = bufferBytes(waiting);
  const content = waiting.map((part) => part.reduce((sum, byte) => sum + byte, 0));
  for (const part of waiting) release(part);
  return { held: bytes / SLOW_READERS / 1024, content };
}

const counts = new WeakMap<ArrayBufferLike, { references: number }>();
const holders = new WeakSet<Uint8Array>();

/** `count()` without a least size. */
function countPlainly(read: Uint8Array): Uint8Array {
  counts.set(read.buffer, { references: 1 });
  holders.add(read);
  return read;
}

/** `release()` of such a read. */
function releasePlainly(view: Uint8Array): boolean {
  if (!holders.delete(view)) return false;
  const { buffer } = view;
  const count = counts.get(buffer);
  if (count === undefined || --count.references > 0) return count !== undefined;
  counts.delete(buffer);
  (buffer as ArrayBuffer).transfer(0);
  return true;
}

/** Reads come, are looked into, and are released. Returns the sum of what was in them. */
function passReads(
  count: number,
  begin: (read: Uint8Array) => Uint8Array,
  end: (read: Uint8Array) => boolean,
): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const read = begin(new Uint8Array(SMALL_READ_BYTES));
    read[i & (SMALL_READ_BYTES - 1)] = i;
    sum += read[i & (SMALL_READ_BYTES - 1)];
    end(read);
  }
  return sum;
}

export const memoryCases: readonly Case[] = [
  /** Output is cut from shared blocks, because a buffer of its own costs the runtime far more than its bytes. */
  inProcess({
    name: "bump-allocator",
    source: "memory/bump_allocator.ts",
    with: "small pieces cut from a block",
    without: "a Uint8Array for each",
    operation: "piece",
    perRequest: 10,
    setUp: () => ({
      with: (count) => takePieces(count, (length) => sharedAllocator.allocate(length)),
      without: (count) => takePieces(count, (length) => new Uint8Array(length)),
    }),
  }),

  /** The allocator's blocks are not filled with zeroes, since every byte of them is written before it is sent. */
  inProcess({
    name: "uninitialized-blocks",
    source: "memory/bump_allocator.ts",
    with: "blocks of 16 KiB as the system gives them",
    without: "filled with zeroes",
    operation: "block",
    setUp: () => {
      const take = (count: number, allocate: (length: number) => Uint8Array) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += allocate(16 * 1024).length;
        return sum;
      };
      return {
        with: (count) =>
          take(count, (length) => {
            const allocator = new BumpAllocator();
            allocator.ensure(length);
            return allocator.block;
          }),
        without: (count) => take(count, (length) => new Uint8Array(length)),
      };
    },
  }),

  /** What waits for a slow reader is copied out of a large read, which would else be held for the sake of one part. */
  held({
    name: "compacted-parts",
    source: "memory/ref_counted.ts",
    with: "the waiting 40 KiB of a read of 512 KiB copied out",
    without: "a view that holds the read",
    unit: "KiB a reader",
    measureWith: () => heldBySlowReaders(compacted),
    measureWithout: () => heldBySlowReaders((part) => part),
  }),

  /** Small reads are not counted: that would cost more than to copy or to collect them. */
  inProcess({
    name: "uncounted-small",
    source: "memory/ref_counted.ts",
    with: "reads of 1 KiB left to the collector",
    without: "counted, and freed when they are released",
    operation: "read",
    perRequest: 4,
    setUp: () => ({
      with: (count) => passReads(count, countReferences, release),
      without: (count) => passReads(count, countPlainly, releasePlainly),
    }),
  }),

  /** While nothing is counted, no view is looked up. */
  inProcess({
    name: "no-lookups",
    source: "memory/ref_counted.ts",
    with: "a view released while no buffer is counted",
    without: "looked up each time",
    operation: "view",
    perRequest: 10,
    setUp: () => {
      const views = Array.from({ length: LIVE_PIECES }, (_, i) => new Uint8Array(i));
      const releaseAll = (count: number, isReleased: (view: Uint8Array) => boolean): number => {
        let released = 0;
        for (let i = 0; i < count; i++) if (isReleased(views[i & (LIVE_PIECES - 1)])) released++;
        return released;
      };
      return {
        with: (count) => releaseAll(count, release),
        without: (count) => releaseAll(count, releasePlainly),
      };
    },
  }),
];
