import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { COPY_BELOW, Inbox } from "../../src/httpstream/inbox.ts";

/** A chunk as a message would hold it: a view of a larger buffer. */
function within(message: number, length: number, fill: number): Uint8Array {
  return new Uint8Array(message).fill(fill).subarray(9, 9 + length);
}

describe("Inbox", () => {
  it("Inbox hands out the very chunk that came when it is read before it had to wait", () => {
    const inbox = new Inbox();
    const chunk = within(100, 50, 1);
    inbox.push(chunk, 0);
    assert.equal(inbox.shift(), chunk);
    assert.equal(inbox.shift(), null);
    assert.equal(inbox.heldBytes, 0);
  });

  it("Inbox holds one block when a window of one-byte frames waits", () => {
    const inbox = new Inbox();
    const window = 65_536;
    for (let at = 0; at < window; at++) {
      inbox.push(within(64, 1, at), window - at - 1);
      inbox.settle(window - at - 1);
      assert.ok(inbox.heldBytes <= window);
    }
    assert.equal(inbox.heldBytes, window);
    const buffers = new Set<ArrayBufferLike>();
    let at = 0;
    for (let chunk = inbox.shift(); chunk !== null; chunk = inbox.shift()) {
      buffers.add(chunk.buffer);
      for (const byte of chunk) assert.equal(byte, at++ & 0xff);
    }
    assert.equal(at, window);
    assert.ok(buffers.size < 16, `${buffers.size} buffers`);
  });

  it("Inbox keeps a large chunk where it is, unless it pins a buffer twice its size", () => {
    const inbox = new Inbox();
    const most = within(COPY_BELOW + 100, COPY_BELOW, 1);
    const least = within(COPY_BELOW * 3, COPY_BELOW, 2);
    inbox.push(most, COPY_BELOW);
    inbox.push(least, 0);
    inbox.settle(0);
    assert.equal(inbox.shift(), most);
    const copy = inbox.shift()!;
    assert.notEqual(copy.buffer, least.buffer);
    assert.deepEqual(copy, least);
    assert.equal(copy.buffer.byteLength, COPY_BELOW);
  });

  it("Inbox keeps large chunks of one buffer where they are, until it is settled with more than half of it read", () => {
    const inbox = new Inbox();
    const size = 4 * COPY_BELOW;
    const read = new Uint8Array(size).map((_, index) => index >> 8);
    const chunks = [0, 1, 2, 3].map((index) => read.subarray(index * COPY_BELOW, (index + 1) * COPY_BELOW));
    chunks.forEach((chunk, index) => inbox.push(chunk, size - (index + 1) * COPY_BELOW));
    inbox.settle(0);
    assert.deepEqual([inbox.shift(), inbox.shift()], chunks.slice(0, 2));
    assert.equal(inbox.pinsTooMuch, false);
    assert.equal(inbox.shift(), chunks[2]);
    assert.equal(inbox.pinsTooMuch, true);
    inbox.settle(0);
    assert.equal(inbox.pinsTooMuch, false);
    const last = inbox.shift()!;
    assert.notEqual(last.buffer, read.buffer);
    assert.deepEqual(last, chunks[3]);
  });

  it("Inbox gives room in a block back that cannot be filled any more", () => {
    const inbox = new Inbox();
    const window = 65_536;
    let left = window;
    const push = (length: number) => inbox.push(within(length + 18, length, 0), left -= length);
    push(9_044);
    push(7_341);
    inbox.settle(left);
    assert.ok(inbox.heldBytes > window - left, "a block with room was to be seen");
    push(16_384);
    assert.equal(inbox.heldBytes, window - left);
    push(16_385);
    inbox.settle(left);
    assert.ok(inbox.heldBytes <= window, `${inbox.heldBytes}`);
    assert.equal(inbox.byteLength, window - left);
    assert.equal(inbox.takeAll().length, window - left);
  });

  it("Inbox gives its bytes in order and holds no more than the window, whatever comes and goes", () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant("push" as const),
        length: fc.integer({ min: 1, max: 65_536 }),
        parts: fc.integer({ min: 1, max: 3 }),
      }),
      fc.constant({ kind: "settle" as const }),
      fc.constant({ kind: "shift" as const }),
      fc.constant({ kind: "takeAll" as const }),
    );
    fc.assert(fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const inbox = new Inbox();
      const window = 65_536;
      let next = 0;
      let expected = 0;
      const check = (chunk: Uint8Array) => {
        for (const byte of chunk) assert.equal(byte, expected++ & 0xff);
      };
      for (const step of actions) {
        if (step.kind === "push") {
          const length = Math.min(step.length, window - inbox.byteLength);
          if (length === 0) continue;
          const chunk = within(length + 18, length, 0);
          for (let index = 0; index < length; index++) chunk[index] = next++ & 0xff;
          // One read may have brought several frames.
          const cut = Math.ceil(length / step.parts);
          for (let at = 0; at < length; at += cut) {
            const part = chunk.subarray(at, at + cut);
            inbox.push(part, window - inbox.byteLength - part.length);
          }
        } else if (step.kind === "settle") inbox.settle(window - inbox.byteLength);
        else if (step.kind === "shift") check(inbox.shift() ?? new Uint8Array(0));
        else check(inbox.takeAll());
        assert.equal(inbox.byteLength, next - expected);
        assert.ok(inbox.heldBytes >= inbox.byteLength && inbox.heldBytes <= window, `${inbox.heldBytes}`);
      }
      check(inbox.takeAll());
      assert.equal(expected, next);
      assert.equal(inbox.heldBytes, 0);
    }));
  });
});
