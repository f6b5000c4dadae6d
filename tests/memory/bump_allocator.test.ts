import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BumpAllocator, MAX_CUT_BYTES } from "../../src/memory/bump_allocator.ts";

describe("BumpAllocator", () => {
  it("cuts pieces that do not overlap, many from one block", () => {
    const allocator = new BumpAllocator();
    const pieces = Array.from({ length: 200 }, (_, index) => allocator.allocate(index).fill(index));
    pieces.forEach((piece, index) => {
      assert.equal(piece.length, index);
      assert.ok(piece.every((byte) => byte === index), `piece ${index}`);
    });
    assert.ok(new Set(pieces.map((piece) => piece.buffer)).size < 5);
  });

  it("gives a long piece a buffer of its own", () => {
    const allocator = new BumpAllocator();
    const { buffer } = allocator.allocate(1);
    assert.equal(allocator.allocate(MAX_CUT_BYTES).buffer, buffer);
    assert.notEqual(allocator.allocate(MAX_CUT_BYTES + 1).buffer, buffer);
    assert.equal(allocator.allocate(1).buffer, buffer);
  });

  it("ensure makes as much free as is asked for, however much that is", () => {
    const allocator = new BumpAllocator();
    for (const length of [1, 16 * 1024, 100_000, 5]) {
      allocator.ensure(length);
      assert.ok(allocator.block.length - allocator.position >= length);
      assert.equal(allocator.take(length).length, length);
    }
  });
});
