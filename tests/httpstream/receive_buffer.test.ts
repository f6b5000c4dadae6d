import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ReceiveBuffer } from "../../src/httpstream/receive_buffer.ts";

const COPY_BELOW_BYTES = 16 * 1_024;

/** A chunk as a message would hold it: a view of a larger buffer. */
function within(message: number, length: number, fill: number): Uint8Array {
  return new Uint8Array(message).fill(fill).subarray(9, 9 + length);
}

/** Takes all bytes, which must be `length` that count up from 0. Returns the buffers that they lay in. */
function buffersOf(buffer: ReceiveBuffer, length: number): ReadonlySet<ArrayBufferLike> {
  const buffers = new Set<ArrayBufferLike>();
  let at = 0;
  for (let chunk = buffer.shift(); chunk !== null; chunk = buffer.shift()) {
    buffers.add(chunk.buffer);
    for (const byte of chunk) assert.equal(byte, at++ & 0xff);
  }
  assert.equal(at, length);
  return buffers;
}

describe("ReceiveBuffer", () => {
  it("ReceiveBuffer hands out the very chunk that came when it is read before it had to wait", () => {
    const buffer = new ReceiveBuffer();
    const chunk = within(100, 50, 1);
    buffer.push(chunk, 0);
    assert.equal(buffer.shift(), chunk);
    assert.equal(buffer.shift(), null);
    assert.equal(buffer.heldBytes, 0);
  });

  it("ReceiveBuffer holds one block when a window of one-byte frames waits", () => {
    const buffer = new ReceiveBuffer();
    const window = 65_536;
    for (let at = 0; at < window; at++) {
      buffer.push(within(64, 1, at), window - at - 1);
      buffer.compact(window - at - 1);
      assert.ok(buffer.heldBytes <= window);
    }
    assert.equal(buffer.heldBytes, window);
    const buffers = buffersOf(buffer, window);
    assert.ok(buffers.size < 16, `${buffers.size} buffers`);
  });

  it("ReceiveBuffer pins few messages when small chunks come without a pause", () => {
    const buffer = new ReceiveBuffer();
    const window = 10_000;
    for (let at = 0; at < window; at++) buffer.push(within(64, 1, at), window - at - 1);
    const buffers = buffersOf(buffer, window);
    assert.ok(buffers.size <= 80, `${buffers.size} buffers`);
  });

  it("ReceiveBuffer keeps a large chunk where it is, unless it pins a buffer twice its size", () => {
    const buffer = new ReceiveBuffer();
    const most = within(COPY_BELOW_BYTES + 100, COPY_BELOW_BYTES, 1);
    const least = within(COPY_BELOW_BYTES * 3, COPY_BELOW_BYTES, 2);
    buffer.push(most, COPY_BELOW_BYTES);
    buffer.push(least, 0);
    buffer.compact(0);
    assert.equal(buffer.shift(), most);
    const copy = buffer.shift()!;
    assert.notEqual(copy.buffer, least.buffer);
    assert.deepEqual(copy, least);
    assert.equal(copy.buffer.byteLength, COPY_BELOW_BYTES);
  });

  it("ReceiveBuffer keeps large chunks of one buffer where they are, until more than half of it was read", () => {
    const buffer = new ReceiveBuffer();
    const size = 4 * COPY_BELOW_BYTES;
    const read = new Uint8Array(size).map((_, index) => index >> 8);
    const chunks = [0, 1, 2, 3].map((index) => read.subarray(index * COPY_BELOW_BYTES, (index + 1) * COPY_BELOW_BYTES));
    chunks.forEach((chunk, index) => buffer.push(chunk, size - (index + 1) * COPY_BELOW_BYTES));
    buffer.compact(0);
    assert.deepEqual([buffer.shift(), buffer.shift()], chunks.slice(0, 2));
    assert.equal(buffer.isSparse, false);
    assert.equal(buffer.shift(), chunks[2]);
    assert.equal(buffer.isSparse, true);
    buffer.compact(0);
    assert.equal(buffer.isSparse, false);
    const last = buffer.shift()!;
    assert.notEqual(last.buffer, read.buffer);
    assert.deepEqual(last, chunks[3]);
  });

  it("ReceiveBuffer frees the part of a block that cannot be filled any more", () => {
    const buffer = new ReceiveBuffer();
    const window = 65_536;
    let left = window;
    const push = (length: number) => buffer.push(within(length + 18, length, 0), left -= length);
    push(9_044);
    push(7_341);
    buffer.compact(left);
    assert.ok(buffer.heldBytes > window - left, "a block with free space was expected");
    push(16_384);
    assert.equal(buffer.heldBytes, window - left);
    push(16_385);
    buffer.compact(left);
    assert.ok(buffer.heldBytes <= window, `${buffer.heldBytes}`);
    assert.equal(buffer.byteLength, window - left);
    assert.equal(buffer.takeAll().length, window - left);
  });

  it("ReceiveBuffer gives its bytes in order and holds no more than the window, whatever comes and goes", () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant("push" as const),
        length: fc.integer({ min: 1, max: 65_536 }),
        parts: fc.integer({ min: 1, max: 3 }),
      }),
      fc.constant({ kind: "compact" as const }),
      fc.constant({ kind: "shift" as const }),
      fc.constant({ kind: "takeAll" as const }),
    );
    fc.assert(fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const buffer = new ReceiveBuffer();
      const window = 65_536;
      let next = 0;
      let expected = 0;
      const check = (chunk: Uint8Array) => {
        for (const byte of chunk) assert.equal(byte, expected++ & 0xff);
      };
      for (const step of actions) {
        if (step.kind === "push") {
          const length = Math.min(step.length, window - buffer.byteLength);
          if (length === 0) continue;
          const chunk = within(length + 18, length, 0);
          for (let index = 0; index < length; index++) chunk[index] = next++ & 0xff;
          // One read may have brought several frames.
          const cut = Math.ceil(length / step.parts);
          for (let at = 0; at < length; at += cut) {
            const part = chunk.subarray(at, at + cut);
            buffer.push(part, window - buffer.byteLength - part.length);
          }
        } else if (step.kind === "compact") buffer.compact(window - buffer.byteLength);
        else if (step.kind === "shift") check(buffer.shift() ?? new Uint8Array(0));
        else check(buffer.takeAll());
        assert.equal(buffer.byteLength, next - expected);
        assert.ok(buffer.heldBytes >= buffer.byteLength && buffer.heldBytes <= window, `${buffer.heldBytes}`);
      }
      check(buffer.takeAll());
      assert.equal(expected, next);
      assert.equal(buffer.heldBytes, 0);
    }));
  });
});
