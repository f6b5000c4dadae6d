import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compactPieces, concat, count, isCounted, tightened } from "../../src/memory/mod.ts";

const bytesOf = (pieces: readonly Uint8Array[]) => concat(pieces, pieces.reduce((sum, { length }) => sum + length, 0));

describe("compactPieces", () => {
  it("compactPieces keeps the bytes and their order when pieces are of any lengths", () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 40_000 })), {
      maxLength: 40,
    });
    fc.assert(fc.property(lengths, fc.nat(5), (lengths, first) => {
      const pieces = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
      const compact = compactPieces(pieces, first);
      assert.deepEqual(bytesOf(compact), bytesOf(pieces.slice(first)));
      assert.ok(compact.length <= Math.max(0, pieces.length - first));
    }));
  });

  it("compactPieces makes a hundredth of the pieces when each has one byte", () => {
    const compact = compactPieces(Array.from({ length: 65_536 }, () => new Uint8Array(1)));
    assert.deepEqual(compact.map(({ length }) => length), [16_384, 16_384, 16_384, 16_384]);
  });

  it("compactPieces releases the reads that small pieces lay in, and keeps large pieces as they are", () => {
    const read = count(new Uint8Array(64 * 1024));
    const large = count(new Uint8Array(32 * 1024));
    const compact = compactPieces([
      new Uint8Array(1),
      new Uint8Array(2),
      large,
      read.subarray(0, 10),
      new Uint8Array(3),
    ]);
    assert.deepEqual(compact.map(({ length }) => length), [3, 32 * 1024, 13]);
    assert.equal(compact[1], large);
    assert.ok(isCounted(large));
  });
});

describe("tightened", () => {
  it("tightened copies a view out of its read when it is less than half of it", () => {
    const read = new Uint8Array(10_000).fill(7);
    assert.equal(tightened(read), read);
    const most = read.subarray(0, 6_000);
    assert.equal(tightened(most), most);
    const few = tightened(read.subarray(0, 100));
    assert.deepEqual([few.length, few.buffer.byteLength, few[99]], [100, 100, 7]);
    const ofSmallRead = new Uint8Array(500).subarray(0, 1);
    assert.equal(tightened(ofSmallRead), ofSmallRead);
  });
});
