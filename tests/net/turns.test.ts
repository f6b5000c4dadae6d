/** How sockets share the event loop: dear reads are handled in parts, by turns, and nothing else changes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { work } from "../../src/base/mod.ts";
import { release } from "../../src/memory/mod.ts";
import type { Socket, SocketError, SocketHandlers } from "../../src/net/mod.ts";
import { turns, UNITS_PER_ITERATION } from "../../src/net/turns.ts";
import { connectPair, eventually, patternBytes, SocketReader } from "../support/net.ts";
import { transports } from "../support/tls.ts";

const KIB = 1024;

/** Reads as a parser of one-byte chunks does: each byte costs a unit. */
class DearReader implements SocketHandlers {
  readonly socket: Socket;
  readonly parts: Uint8Array[] = [];
  readonly told: string[] = [];
  bytes = 0;
  closedWith: SocketError | null = null;
  /** Called within each read. */
  onPart: (reader: DearReader) => void = () => {};
  /** What a byte costs. */
  unitsPerByte = 1;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.handlers = this;
    socket.resume();
  }

  onData(chunk: Uint8Array): void {
    work.units += chunk.length * this.unitsPerByte;
    this.parts.push(new Uint8Array(chunk));
    this.bytes += chunk.length;
    release(chunk);
    this.told.push("data");
    this.onPart(this);
  }

  onEnd(): void {
    this.told.push("end");
  }

  onDrain(): void {}

  onClose(error: SocketError | null): void {
    this.closedWith = error;
    this.told.push("close");
  }

  get whole(): Uint8Array {
    return Uint8Array.from(this.parts.flatMap((part) => [...part]));
  }
}

describe("Sockets with dear reads", () => {
  it("let a neighbor come first, who waits for a few turns and not for all that they have", async () => {
    const [near, far] = await connectPair();
    const pairs = await Promise.all(Array.from({ length: 64 }, () => connectPair()));
    let dearBytes = 0;
    let atNeighbor = -1;
    const neighbor = new SocketReader(far);
    const readers = pairs.map(([, accepted]) => new DearReader(accepted));
    for (const reader of readers) {
      reader.onPart = ({ parts }) => {
        if (dearBytes === 0) near.write(Uint8Array.of(1));
        near.flush();
        dearBytes += parts.at(-1)!.length;
        if (atNeighbor < 0 && neighbor.receivedBytes > 0) atNeighbor = dearBytes;
      };
    }
    for (const [dialed] of pairs) dialed.write(new Uint8Array(64 * KIB));
    await eventually(() => dearBytes === 64 * 64 * KIB);
    for (const [dialed, accepted] of pairs) {
      dialed.reset();
      accepted.reset();
    }
    near.reset();
    assert.ok(neighbor.receivedBytes > 0);
    assert.ok(atNeighbor >= 0 && atNeighbor <= 8 * UNITS_PER_ITERATION, `after ${atNeighbor} units of 4,194,304`);
    assert.equal(turns.heldBytes, 0);
  });

  it("serve each other in parts of 4 KiB, so that one with little is not behind one with much", async () => {
    const [much, little] = [await connectPair(), await connectPair()];
    const [muchReader, littleReader] = [new DearReader(much[1]), new DearReader(little[1])];
    for (const reader of [muchReader, littleReader]) reader.unitsPerByte = 4;
    const size = 512 * KIB;
    much[0].write(new Uint8Array(size));
    await eventually(() => muchReader.parts.length > 2);
    let muchAtEnd = -1;
    littleReader.onPart = ({ bytes }) => {
      if (bytes === 16 * KIB) muchAtEnd = muchReader.bytes;
    };
    little[0].write(new Uint8Array(16 * KIB));
    await eventually(() => littleReader.bytes === 16 * KIB && muchReader.bytes === size);
    assert.ok(muchAtEnd < size, "the one with much was not finished before");
    assert.ok(muchReader.parts.slice(1).every(({ length }) => length <= 4 * KIB));
    for (const socket of [...much, ...little]) socket.reset();
  });

  it("are handled as they come again when they are cheap again", async () => {
    const [near, far] = await connectPair();
    const reader = new DearReader(far);
    near.write(new Uint8Array(64 * KIB));
    await eventually(() => reader.bytes === 64 * KIB);
    reader.unitsPerByte = 0;
    // The turn that finds them cheap.
    near.write(new Uint8Array(1));
    await eventually(() => reader.bytes === 64 * KIB + 1);
    reader.parts.length = 0;
    near.write(new Uint8Array(64 * KIB));
    await eventually(() => reader.bytes === 128 * KIB + 1);
    assert.ok(reader.parts.some(({ length }) => length > 4 * KIB), reader.parts.map(({ length }) => length).join());
    near.reset();
    far.reset();
  });

  it("hold no more than 64 MiB together, and are told all the same", async () => {
    turns.heldBytes += 64 * KIB * KIB;
    try {
      const [near, far] = await connectPair();
      const reader = new DearReader(far);
      near.write(new Uint8Array(256 * KIB));
      await eventually(() => reader.bytes === 256 * KIB);
      near.reset();
      far.reset();
    } finally {
      turns.heldBytes -= 64 * KIB * KIB;
    }
    assert.equal(turns.heldBytes, 0);
  });
});

for (const transport of transports) {
  describe(`Socket with dear reads (${transport.name})`, () => {
    const size = 300_000;

    it("gives all bytes in order, then the FIN, then the close", async () => {
      const [dialed, accepted] = await transport.pair();
      const reader = new DearReader(accepted);
      dialed.write(patternBytes(size));
      dialed.end();
      await eventually(() => reader.told.includes("end"));
      assert.equal(reader.bytes, size);
      accepted.end();
      dialed.resume();
      await eventually(() => reader.told.includes("close"));
      assert.deepEqual(reader.whole, patternBytes(size));
      assert.deepEqual(reader.told.slice(-3), ["data", "end", "close"]);
      assert.equal(reader.closedWith, null);
      assert.equal(turns.heldBytes, 0);
    });

    it("gives nothing while it is paused, and the rest after", async () => {
      const [dialed, accepted] = await transport.pair();
      const reader = new DearReader(accepted);
      let isPaused = false;
      let early = 0;
      reader.onPart = ({ socket }) => {
        if (isPaused) early++;
        if (reader.parts.length % 3 !== 0) return;
        isPaused = true;
        socket.pause();
        setTimeout(() => {
          isPaused = false;
          socket.resume();
        }, 1);
      };
      dialed.write(patternBytes(size));
      dialed.end();
      await eventually(() => reader.told.includes("end"), { deadlineMs: 30_000 });
      assert.equal(early, 0);
      assert.deepEqual(reader.whole, patternBytes(size));
      dialed.reset();
      accepted.reset();
    });

    it("can be paused and resumed within a read", async () => {
      const [dialed, accepted] = await transport.pair();
      const reader = new DearReader(accepted);
      reader.onPart = ({ socket }) => {
        socket.pause();
        socket.resume();
      };
      dialed.write(patternBytes(size));
      await eventually(() => reader.bytes === size);
      assert.deepEqual(reader.whole, patternBytes(size));
      dialed.reset();
      accepted.reset();
    });

    it("gives the rest to its next owner", async () => {
      const [dialed, accepted] = await transport.pair();
      const first = new DearReader(accepted);
      let second: DearReader | null = null;
      first.onPart = ({ parts, socket }) => {
        if (parts.length < 3) return;
        socket.pause();
        second = new DearReader(socket);
      };
      dialed.write(patternBytes(size));
      await eventually(() => first.bytes + (second?.bytes ?? 0) === size);
      assert.equal(first.parts.length, 3);
      assert.deepEqual(Uint8Array.from([...first.whole, ...second!.whole]), patternBytes(size));
      dialed.reset();
      accepted.reset();
    });

    it("gives nothing more after its own reset within a read", async () => {
      const [dialed, accepted] = await transport.pair();
      const reader = new DearReader(accepted);
      reader.onPart = ({ parts, socket }) => {
        if (parts.length === 3) socket.reset();
      };
      dialed.resume();
      dialed.write(patternBytes(size));
      await eventually(() => reader.told.includes("close"));
      assert.equal(reader.parts.length, 3);
      assert.equal(reader.closedWith, null);
      assert.equal(turns.heldBytes, 0);
    });
  });
}

describe("Socket with dear reads whose peer resets", () => {
  it("gives what was read before, then the error, once each", async () => {
    const [dialed, accepted] = await connectPair();
    const reader = new DearReader(accepted);
    reader.unitsPerByte = 64;
    reader.onPart = ({ parts }) => {
      if (parts.length === 2) dialed.reset();
    };
    dialed.write(patternBytes(size));
    await eventually(() => reader.told.includes("close"));
    assert.equal(reader.closedWith?.code, "connection_reset");
    assert.equal(reader.told.indexOf("close"), reader.told.length - 1);
    assert.deepEqual(reader.whole, patternBytes(size).subarray(0, reader.bytes));
    assert.equal(turns.heldBytes, 0);
  });

  const size = 300_000;
});
