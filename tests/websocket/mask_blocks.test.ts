import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  FRAME_BLOCK_BYTES,
  MAX_KEPT_BYTES,
  returnFrameBlock,
  returnKept,
  takeFrameBlock,
  takeKept,
} from "../../src/websocket/mask_blocks.ts";
import { patternBytes } from "./support.ts";

/** Takes blocks until there are none. */
function takeAll(take: () => Uint8Array | null): Uint8Array[] {
  const taken: Uint8Array[] = [];
  for (let block = take(); block !== null; block = take()) taken.push(block);
  return taken;
}

function assertApart(blocks: readonly Uint8Array[]): void {
  const sorted = [...blocks].sort((a, b) => a.byteOffset - b.byteOffset);
  for (let i = 1; i < sorted.length; i++) {
    assert.ok(sorted[i - 1].byteOffset + sorted[i - 1].length <= sorted[i].byteOffset);
  }
}

describe("takeKept", () => {
  it("takeKept has 72 blocks, which do not overlap, and has them again when they are returned", () => {
    const blocks = takeAll(() => takeKept(MAX_KEPT_BYTES));
    assert.equal(blocks.length, 72);
    assertApart(blocks);
    blocks.forEach(returnKept);
    const shorter = takeAll(() => takeKept(20_000));
    assert.deepEqual(shorter.map(({ length }) => length), Array(72).fill(20_000));
    shorter.forEach(returnKept);
  });

  it("takeKept gives the block again that was returned last", () => {
    const [first, second] = [takeKept(9)!, takeKept(9)!];
    returnKept(first);
    returnKept(second);
    const again = takeKept(9)!;
    assert.equal(again.byteOffset, second.byteOffset);
    returnKept(again);
  });

  it("takeKept gives none when a frame is longer than a block", () => {
    assert.equal(takeKept(MAX_KEPT_BYTES + 1), null);
  });
});

describe("takeFrameBlock", () => {
  it("takeFrameBlock has two blocks, beside the kept ones, and has them again when they are returned", () => {
    const blocks = takeAll(takeFrameBlock);
    const kept = takeAll(() => takeKept(MAX_KEPT_BYTES));
    assert.deepEqual(blocks.map((block) => block.length), [FRAME_BLOCK_BYTES, FRAME_BLOCK_BYTES]);
    assertApart([...blocks, ...kept]);
    kept.forEach(returnKept);
    for (const block of blocks) returnFrameBlock(block);
    returnFrameBlock(patternBytes(FRAME_BLOCK_BYTES));
    const again = takeAll(takeFrameBlock);
    assert.equal(again.length, 2);
    for (const block of again) returnFrameBlock(block);
  });
});
