import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { applyMask, nextMaskKey } from "../../src/websocket/mask.ts";
import { allocateMaskMemory, vectorMaskOf } from "../../src/websocket/mask_memory.ts";

/** RFC 6455 §5.3, word for word. */
function reference(payload: Uint8Array, key: number): Uint8Array {
  const octets = [24, 16, 8, 0].map((shift) => (key >>> shift) & 0xff);
  return payload.map((byte, i) => byte ^ octets[i % 4]);
}

const keys = fc.integer({ min: 0, max: 0xffffffff });

describe("applyMask", () => {
  it("applyMask does what RFC 6455 §5.3 says when the range begins and ends anywhere", () => {
    const ranges = fc.record({
      bytes: fc.uint8Array({ maxLength: 300 }),
      offset: fc.nat(7),
      before: fc.nat(9),
      after: fc.nat(9),
      key: keys,
    });
    fc.assert(fc.property(ranges, ({ bytes, offset, before, after, key }) => {
      const buffer = new Uint8Array(offset + before + bytes.length + after).fill(0xee).subarray(offset);
      buffer.set(bytes, before);
      applyMask(buffer, before, before + bytes.length, key);
      const expected = new Uint8Array(buffer.length).fill(0xee);
      expected.set(reference(bytes, key), before);
      assert.deepEqual(buffer, expected);
    }));
  });

  it("applyMask does the same in memory of its own, from the lengths on that vectors mask", () => {
    const memory = allocateMaskMemory(64 * 1024);
    assert.notEqual(vectorMaskOf(memory.buffer), undefined);
    const lengths = fc.oneof(fc.integer({ min: 4_000, max: 4_400 }), fc.integer({ min: 4_096, max: 60_000 }));
    fc.assert(fc.property(lengths, fc.nat(4_095), fc.nat(9), keys, (length, offset, after, key) => {
      const bytes = memory.subarray(offset, offset + length + after);
      for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7;
      const expected = bytes.slice();
      expected.set(reference(bytes.subarray(0, length), key));
      applyMask(bytes, 0, length, key);
      assert.ok(Buffer.from(bytes).equals(expected));
    }));
  });

  it("applyMask gives the bytes back when it is applied twice", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), keys, (bytes, key) => {
      const masked = bytes.slice();
      applyMask(masked, 0, masked.length, key);
      applyMask(masked, 0, masked.length, key);
      assert.deepEqual(masked, bytes);
    }));
  });
});

describe("nextMaskKey", () => {
  it("nextMaskKey gives u32 values that do not repeat when the pool is refilled", () => {
    const seen = new Set<number>();
    for (let i = 0; i < 5_000; i++) {
      const key = nextMaskKey();
      assert.ok(Number.isInteger(key) && key >= 0 && key <= 0xffffffff, `key is ${key}`);
      seen.add(key);
    }
    assert.ok(seen.size > 4_990, `only ${seen.size} different keys of 5000`);
  });
});
