import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { onGarbage } from "../../src/memory/mod.ts";
import {
  BufferMisuse,
  checkBuffers,
  compacted,
  count,
  disown,
  isCounted,
  pin,
  release,
  retain,
  share,
  slice,
  unpin,
} from "../../src/memory/ref_counted.ts";
import { connectPair, eventually, patternBytes } from "../support/net.ts";

const readBytes = 64 * 1024;

/** A read as a socket makes it. */
const countedRead = () => count(patternBytes(readBytes));

const isGone = (view: Uint8Array) => view.length === 0 && view.buffer.byteLength === 0;

describe("reference-counted buffers", () => {
  before(() => checkBuffers(false));
  after(() => checkBuffers(true));

  it("release frees the memory when the only reference is gone", () => {
    const read = countedRead();
    assert.equal(isCounted(read), true);
    assert.equal(release(read), true);
    assert.ok(isGone(read));
    assert.equal(release(read), false);
  });

  it("release leaves the memory until the last part is released, in any order", () => {
    const read = countedRead();
    const parts = [slice(read, 0, 10), slice(read, 10, 40_000), slice(read, 40_000, readBytes)];
    release(read);
    release(parts[2]);
    release(parts[0]);
    assert.deepEqual(parts[1], patternBytes(readBytes).subarray(10, 40_000));
    release(parts[1]);
    assert.ok(isGone(read));
  });

  it("release does nothing to a view without a reference", () => {
    const read = countedRead();
    assert.equal(release(read.subarray(5)), false);
    assert.deepEqual(read, patternBytes(readBytes));
    const own = patternBytes(readBytes);
    assert.equal(release(own), false);
    assert.deepEqual(own, patternBytes(readBytes));
  });

  it("retain holds the memory when what brought the part is released", () => {
    const read = countedRead();
    const part = read.subarray(7, 20_000);
    retain(part);
    retain(part);
    release(read);
    assert.deepEqual(part, patternBytes(readBytes).subarray(7, 20_000));
    release(part);
    assert.ok(isGone(part));
  });

  it("pin holds the memory when the view is released", () => {
    const read = countedRead();
    const part = slice(read, 9, 30_000);
    release(read);
    assert.equal(pin(part), true);
    assert.equal(pin(part), true);
    release(part);
    assert.equal(isCounted(part), false);
    unpin(part);
    assert.deepEqual(part, patternBytes(readBytes).subarray(9, 30_000));
    unpin(part);
    assert.ok(isGone(part));
    assert.equal(pin(patternBytes(readBytes)), false);
  });

  it("share gives a part a reference where the view has one", () => {
    const read = countedRead();
    const part = read.subarray(0, 9);
    share(read, read);
    share(read, part);
    release(read);
    assert.equal(isCounted(part), true);
    release(part);
    assert.ok(isGone(part));
    const [own, ofOwn] = [patternBytes(9), patternBytes(9)];
    share(own, ofOwn);
    assert.equal(isCounted(ofOwn), false);
  });

  it("disown leaves the buffer to the collector, whatever its parts do", () => {
    const read = countedRead();
    const part = slice(read, 3, 20_000);
    assert.equal(disown(part), part);
    assert.equal(release(read), false);
    assert.equal(release(part), false);
    assert.deepEqual(part, patternBytes(readBytes).subarray(3, 20_000));
  });

  it("compacted copies a part of less than half, and leaves one of more, and one of a permanent buffer", () => {
    const read = countedRead();
    const part = slice(read, 9, 30_000);
    assert.equal(compacted(read), read);
    release(read);
    const copy = compacted(part);
    assert.ok(isGone(read));
    assert.deepEqual(copy, patternBytes(readBytes).subarray(9, 30_000));
    assert.equal(copy.buffer.byteLength, copy.length);
    release(copy);
    assert.ok(isGone(copy));

    const block = count(patternBytes(readBytes), true);
    const cut = slice(block, 0, 10);
    assert.equal(compacted(cut), cut);
    release(cut);
    release(block);
    assert.deepEqual(block, patternBytes(readBytes));
  });

  it("count counts smaller buffers where it is asked to, and tells the collector nothing of them", () => {
    let reported = 0;
    onGarbage((bytes) => reported += bytes);
    try {
      const small = count(patternBytes(4_096), false, 4_096);
      assert.equal(isCounted(small), true);
      assert.equal(isCounted(count(patternBytes(4_095), false, 4_096)), false);
      release(small);
      assert.ok(isGone(small));
    } finally {
      onGarbage(null);
    }
    assert.equal(reported, 0);
  });

  it("count leaves small buffers alone, and views that are not all of theirs", () => {
    for (
      const read of [patternBytes(1_000), patternBytes(readBytes).subarray(1), patternBytes(readBytes).subarray(0, 9)]
    ) {
      const before = read.slice();
      assert.equal(count(read), read);
      retain(read);
      assert.equal(release(read), false);
      assert.deepEqual(read, before);
    }
  });
});

describe("misuse of reference-counted buffers", () => {
  before(() => checkBuffers(true));

  const releasedPart = () => {
    const read = countedRead();
    const part = slice(read, 0, 10);
    release(part);
    return { read, part };
  };

  it("throws when a view is released twice, though others still hold the buffer", () => {
    const { read, part } = releasedPart();
    assert.throws(() => release(part), BufferMisuse);
    release(read);
    assert.throws(() => release(read), BufferMisuse);
  });

  it("throws when a view is used after its release", async () => {
    const { part } = releasedPart();
    for (const use of [retain, disown, (view: Uint8Array) => slice(view, 0, 1)]) {
      assert.throws(() => use(part), BufferMisuse);
    }
    const [socket, peer] = await connectPair();
    try {
      assert.throws(() => socket.write(part), /10 bytes is used after its release/);
    } finally {
      socket.reset();
      peer.reset();
    }
  });
});

describe("Socket.write", () => {
  it("releases what has a reference when the kernel took it, and not before", async () => {
    const [writing, reading] = await connectPair();
    try {
      const sent: Uint8Array[] = [];
      // Nobody reads: more than the kernel takes stays here, whole.
      while (writing.write(countedAmong(sent)) || sent.length < 400);
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
    while (writing.write(countedAmong(sent)) || sent.length < 400);
    await eventually(() => isGone(sent[0]));
    writing.reset();
    reading.reset();
    await eventually(() => reading.closed);
    assert.equal(sent.at(-1)!.length, readBytes);
  });
});

function countedAmong(sent: Uint8Array[]): Uint8Array {
  const read = countedRead();
  sent.push(read);
  return read;
}
