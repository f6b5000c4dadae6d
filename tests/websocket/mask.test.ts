import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { applyMask, nextMaskKey } from "../../src/websocket/mask.ts";

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
