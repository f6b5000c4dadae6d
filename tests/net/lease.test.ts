import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { claim, isOwned, keep, lend, letGo, replace, share, spend, unpinned } from "../../src/net/lease.ts";
import { connectPair, eventually, patternBytes } from "../support/net.ts";

const readBytes = 64 * 1024;

/** A read as a socket makes it, lent and claimed. */
function ownedRead(): Uint8Array {
  const read = patternBytes(readBytes);
  lend(read);
  claim(read);
  return read;
}

const isGone = (view: Uint8Array) => view.length === 0 && view.buffer.byteLength === 0;

describe("lease", () => {
  it("spend takes the memory back when the only owner is done", () => {
    const read = ownedRead();
    assert.equal(spend(read), true);
    assert.ok(isGone(read));
    assert.equal(spend(read), false);
  });

  it("spend leaves the memory until the last part is spent, in any order", () => {
    const read = ownedRead();
    const parts = [read.subarray(0, 10), read.subarray(10, 40_000), read.subarray(40_000)];
    for (const part of parts) share(read, part);
    spend(read);
    spend(parts[2]);
    spend(parts[0]);
    assert.deepEqual(parts[1], patternBytes(readBytes).subarray(10, 40_000));
    spend(parts[1]);
    assert.ok(isGone(read));
  });

  it("spend does nothing when nobody claimed the view, and to a view of a part that has its own", () => {
    const read = patternBytes(readBytes);
    lend(read);
    assert.equal(isOwned(read), false);
    assert.equal(spend(read), false);
    claim(read);
    assert.equal(spend(read.subarray(5)), false);
    assert.deepEqual(read, patternBytes(readBytes));
  });

  it("keep holds the memory when what brought the part is spent, and for good when nobody claims it", () => {
    const read = ownedRead();
    const part = read.subarray(7, 20_000);
    keep(part);
    spend(read);
    assert.equal(spend(part), false);
    assert.deepEqual(part, patternBytes(readBytes).subarray(7, 20_000));
    claim(part);
    spend(part);
    assert.ok(isGone(part));
  });

  it("letGo takes the memory back when the part was copied, and replace leaves the copy in its place", () => {
    const read = ownedRead();
    const [first, second] = [read.subarray(0, 100), read.subarray(100, 20_000)];
    keep(first);
    keep(second);
    spend(read);
    letGo(first);
    const copy = second.slice();
    replace(second, copy);
    assert.ok(isGone(read));
    assert.deepEqual(copy, patternBytes(readBytes).subarray(100, 20_000));
    claim(copy);
    spend(copy);
    assert.ok(isGone(copy));
  });

  it("unpinned copies a part of less than half, and leaves one of more, and one of a buffer that stays", () => {
    const read = ownedRead();
    const part = read.subarray(9, 30_000);
    share(read, part);
    assert.equal(unpinned(read), read);
    spend(read);
    const copy = unpinned(part);
    assert.ok(isGone(read));
    assert.deepEqual(copy, patternBytes(readBytes).subarray(9, 30_000));
    assert.equal(copy.buffer.byteLength, copy.length);
    spend(copy);
    assert.ok(isGone(copy));

    const block = patternBytes(readBytes);
    lend(block, Infinity);
    claim(block);
    const cut = block.subarray(0, 10);
    share(block, cut);
    assert.equal(unpinned(cut), cut);
    spend(cut);
    assert.deepEqual(block, patternBytes(readBytes));
  });

  it("lend leaves small buffers alone, and views that are not all of theirs", () => {
    for (
      const read of [patternBytes(1_000), patternBytes(readBytes).subarray(1), patternBytes(readBytes).subarray(0, 9)]
    ) {
      const before = read.slice();
      lend(read);
      claim(read);
      keep(read);
      claim(read);
      assert.equal(spend(read), false);
      assert.deepEqual(read, before);
    }
  });
});

describe("Socket.write", () => {
  it("spends what is owned when the kernel took it, and not before", async () => {
    const [writing, reading] = await connectPair();
    try {
      const sent: Uint8Array[] = [];
      // Nobody reads: more than the kernel takes stays here, whole.
      while (writing.write(ownedAmong(sent)) || sent.length < 400);
      await eventually(() => isGone(sent[0]));
      assert.equal(sent.at(-1)!.length, readBytes);

      const expected = patternBytes(readBytes);
      let received = 0;
      let wrong = 0;
      reading.handlers = {
        onData(chunk) {
          for (const byte of chunk) if (byte !== expected[received++ % readBytes]) wrong++;
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      };
      reading.resume();
      await eventually(() => received === sent.length * readBytes, { deadlineMs: 30_000 });
      assert.equal(wrong, 0);
      await eventually(() => sent.every(isGone));
    } finally {
      writing.reset();
      reading.reset();
    }
  });

  it("leaves alone what is its caller's, and what it had not sent when the socket was reset", async () => {
    const [writing, reading] = await connectPair();
    const own = patternBytes(readBytes);
    let received = 0;
    reading.handlers = { onData: (chunk) => received += chunk.length, onEnd() {}, onDrain() {}, onClose() {} };
    reading.resume();
    writing.write(own);
    await eventually(() => received === readBytes);
    assert.deepEqual(own, patternBytes(readBytes));

    reading.pause();
    const sent: Uint8Array[] = [];
    while (writing.write(ownedAmong(sent)) || sent.length < 400);
    await eventually(() => isGone(sent[0]));
    writing.reset();
    reading.reset();
    await eventually(() => reading.closed);
    assert.equal(sent.at(-1)!.length, readBytes);
  });
});

function ownedAmong(sent: Uint8Array[]): Uint8Array {
  const read = ownedRead();
  sent.push(read);
  return read;
}
