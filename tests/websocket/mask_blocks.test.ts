import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  copyToBlock,
  FRAME_BLOCK_BYTES,
  MAX_COPY_BYTES,
  returnCopy,
  returnFrameBlock,
  takeFrameBlock,
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

describe("copyToBlock", () => {
  it("copyToBlock has 64 blocks, which do not overlap, and has them again when they are returned", () => {
    let seed = 0;
    const copies = takeAll(() => copyToBlock(patternBytes(1_000 * ++seed % MAX_COPY_BYTES, seed)));
    assert.equal(copies.length, 64);
    assertApart(copies);
    copies.forEach((copy, i) => assert.deepEqual(copy, patternBytes(1_000 * (i + 1) % MAX_COPY_BYTES, i + 1)));
    for (const copy of copies) assert.equal(returnCopy(copy), true);
    const again = takeAll(() => copyToBlock(patternBytes(MAX_COPY_BYTES)));
    assert.equal(again.length, 64);
    for (const copy of again) {
      assert.deepEqual(copy, patternBytes(MAX_COPY_BYTES));
      returnCopy(copy);
    }
  });

  it("copyToBlock gives none when the part is longer than a block", () => {
    assert.equal(copyToBlock(patternBytes(MAX_COPY_BYTES + 1)), null);
  });

  it("returnCopy refuses what is no copy", () => {
    assert.equal(returnCopy(patternBytes(20_000)), false);
  });
});

describe("takeFrameBlock", () => {
  it("takeFrameBlock has two blocks, beside the copies, and has them again when they are returned", () => {
    const blocks = takeAll(takeFrameBlock);
    const copy = copyToBlock(patternBytes(30_000))!;
    assert.deepEqual(blocks.map((block) => block.length), [FRAME_BLOCK_BYTES, FRAME_BLOCK_BYTES]);
    assertApart([...blocks, copy]);
    for (const block of blocks) returnFrameBlock(block);
    returnFrameBlock(patternBytes(FRAME_BLOCK_BYTES));
    const again = takeAll(takeFrameBlock);
    assert.equal(again.length, 2);
    for (const block of again) returnFrameBlock(block);
    returnCopy(copy);
  });
});
