import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MaskBuffer } from "../../src/websocket/mask_buffer.ts";

const overlap = (a: Uint8Array, b: Uint8Array) =>
  a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.length && b.byteOffset < a.byteOffset + a.length;

describe("MaskBuffer", () => {
  it("take gives the same memory again when all of it has left", () => {
    const buffer = new MaskBuffer();
    const first = buffer.take(100_000, true);
    assert.equal(first.length, 100_000);
    assert.ok(overlap(first, buffer.take(200_000, true)));
    buffer.close();
  });

  it("take gives memory of its own when the last still waits, within the block and beyond it", () => {
    const buffer = new MaskBuffer();
    const waiting: Uint8Array[] = [];
    for (let i = 0; i < 8; i++) {
      const bytes = buffer.take(100_000, false);
      assert.equal(bytes.length, 100_000);
      assert.deepEqual(waiting.filter((other) => overlap(bytes, other)), []);
      waiting.push(bytes);
    }
    buffer.close();
  });

  it("take gives memory that begins in the middle of a page", () => {
    const buffer = new MaskBuffer();
    assert.deepEqual([20, 100_000, 5_000].map((length) => buffer.take(length, false).byteOffset % 4_096), [
      2_048,
      2_048,
      2_048,
    ]);
    buffer.close();
  });

  it("take gives other memory to each of many that are used at once, and the same to those that come later", () => {
    const buffers = Array.from({ length: 4 }, () => new MaskBuffer());
    const taken = buffers.map((buffer) => buffer.take(100_000, true));
    taken.forEach((bytes, i) => assert.deepEqual(taken.slice(0, i).filter((other) => overlap(bytes, other)), []));
    buffers.forEach((buffer) => buffer.close());
    const later = new MaskBuffer();
    assert.ok(taken.some((bytes) => overlap(later.take(100_000, true), bytes)));
    later.close();
  });

  it("take gives memory of its own when a frame is larger than the block", () => {
    assert.equal(new MaskBuffer().take(1_000_000, true).length, 1_000_000);
  });
});
