import { describe, it } from "node:test";
import assert from "node:assert/strict";
import type { Socket } from "../../src/net/mod.ts";
import { bytesOf, eventually, latin1, patternBytes, SocketReader } from "../support/net.ts";
import { transports } from "../support/tls.ts";
import { HIGH_WATER_BYTES } from "../../src/net/node_socket.ts";

/** Runs `use` as a test on each transport, with the two ends of one connection. */
function onPairs(name: string, use: (dialed: Socket, accepted: Socket) => Promise<void>): void {
  for (const transport of transports) {
    it(`${name} (${transport.name})`, async () => {
      const [dialed, accepted] = await transport.pair();
      try {
        await use(dialed, accepted);
      } finally {
        dialed.reset();
        accepted.reset();
      }
    });
  }
}

describe("Socket.write", () => {
  onPairs("sends what is written in one tick as one segment", async (dialed, accepted) => {
    const reader = new SocketReader(accepted);
    dialed.write(bytesOf("HTTP/1.1 200 OK\r\n"));
    dialed.write(bytesOf("\r\n"));
    dialed.write(bytesOf("hello"));
    assert.equal(await reader.readUntil("hello"), "HTTP/1.1 200 OK\r\n\r\nhello");
    assert.deepEqual(reader.chunkLengths, [24]);
  });

  onPairs("sends bulk of one tick in order without changing a byte", async (dialed, accepted) => {
    const reader = new SocketReader(accepted);
    const pieces = [1, 70_000, 0, 3, 40_000, 16_384, 1].map((length, i) => patternBytes(length, i));
    for (const piece of pieces) dialed.write(piece);
    dialed.end();
    assert.deepEqual(Buffer.from(await reader.readAll()), Buffer.concat(pieces));
  });

  onPairs("keeps the order of ticks", async (dialed, accepted) => {
    const reader = new SocketReader(accepted);
    let expected = "";
    for (let tick = 0; tick < 200; tick++) {
      const text = `${tick},`;
      expected += text;
      dialed.write(bytesOf(text));
      if (tick % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    dialed.end();
    assert.equal(latin1(await reader.readAll()), expected);
  });

  onPairs("counts what the kernel has not taken, and forgets it once it has", async (dialed, accepted) => {
    dialed.write(new Uint8Array(1000));
    dialed.write(new Uint8Array(24));
    assert.equal(dialed.bufferedBytes, 1024);
    await eventually(() => dialed.bufferedBytes === 0);
    assert.equal(latin1(await new SocketReader(accepted).read(1024)), "\0".repeat(1024));
  });

  onPairs("is dropped without a word after end and after reset", async (dialed, accepted) => {
    const reader = new SocketReader(accepted);
    dialed.write(bytesOf("first"));
    dialed.end();
    assert.equal(dialed.write(new Uint8Array(HIGH_WATER_BYTES * 2)), true);
    assert.equal(latin1(await reader.readAll()), "first");
    accepted.reset();
    assert.equal(accepted.write(new Uint8Array(HIGH_WATER_BYTES * 2)), true);
    assert.equal(accepted.bufferedBytes, 0);
  });

  onPairs("is dropped without a word after the peer's reset was seen", async (dialed, accepted) => {
    const reader = new SocketReader(dialed);
    accepted.reset();
    await reader.closed;
    assert.equal(dialed.closed, true);
    assert.equal(dialed.write(bytesOf("late")), true);
    assert.equal(dialed.bufferedBytes, 0);
    dialed.end();
    dialed.resume();
  });

  onPairs("leaves the chunks it gave to the receiver alone", async (dialed, accepted) => {
    const kept: Uint8Array[] = [];
    accepted.handlers = { onData: (chunk) => void kept.push(chunk), onEnd() {}, onDrain() {}, onClose() {} };
    accepted.resume();
    const sent = patternBytes(3_000_000, 7);
    for (let at = 0; at < sent.length; at += 100_000) {
      dialed.write(sent.subarray(at, at + 100_000));
      await eventually(() => dialed.bufferedBytes === 0);
    }
    await eventually(() => kept.reduce((sum, chunk) => sum + chunk.length, 0) === sent.length);
    assert.equal(Buffer.compare(Buffer.concat(kept), sent), 0);
  });
});

/** Writes until the socket has enough, and gives how much that was. */
function writeTurn(socket: Socket): number {
  let written = HIGH_WATER_BYTES;
  while (socket.write(new Uint8Array(HIGH_WATER_BYTES))) written += HIGH_WATER_BYTES;
  return written;
}

describe("Socket.onDrain", () => {
  onPairs("is not called while no write returned false", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    const reader = new SocketReader(accepted);
    assert.equal(dialed.write(new Uint8Array(HIGH_WATER_BYTES - 1)), true);
    await reader.read(HIGH_WATER_BYTES - 1);
    dialed.end();
    await reader.ended;
    assert.equal(writer.drains, 0);
  });

  onPairs("follows exactly once, however many writes returned false", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    const reader = new SocketReader(accepted);
    const written = writeTurn(dialed);
    assert.equal(dialed.write(new Uint8Array(1)), false);
    assert.equal(dialed.write(new Uint8Array(0)), false);
    await reader.read(written + 1);
    await eventually(() => writer.drains > 0);
    assert.ok(dialed.bufferedBytes < HIGH_WATER_BYTES);
    dialed.write(bytesOf("x"));
    dialed.end();
    await reader.ended;
    assert.equal(writer.drains, 1);
  });

  onPairs("waits for the end of the tick after 1 MiB, however much the kernel takes", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    const reader = new SocketReader(accepted);
    for (let drains = 1; drains <= 3; drains++) {
      const written = writeTurn(dialed);
      assert.ok(written <= (1 << 20) + 2 * HIGH_WATER_BYTES, `${written} bytes were sent in one tick`);
      await reader.read(written);
      await eventually(() => writer.drains === drains);
    }
  });

  onPairs("follows when small writes added up", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    new SocketReader(accepted);
    let accepting = true;
    while (accepting) accepting = dialed.write(new Uint8Array(1000));
    assert.ok(dialed.bufferedBytes >= HIGH_WATER_BYTES && dialed.bufferedBytes < HIGH_WATER_BYTES + 1000);
    await eventually(() => writer.drains === 1);
  });

  onPairs("follows after a stall, once the receiver reads again", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    const reader = new SocketReader(accepted, { paused: true });
    // More than the kernel's two buffers hold.
    const size = 32 << 20;
    assert.equal(dialed.write(new Uint8Array(size)), false);
    await eventually(() => dialed.bufferedBytes > 0);
    assert.equal(writer.drains, 0);
    accepted.resume();
    await eventually(() => writer.drains === 1);
    await eventually(() => reader.receivedBytes === size);
  });

  onPairs("does not follow once the socket was reset", async (dialed, accepted) => {
    const writer = new SocketReader(dialed);
    accepted.pause();
    assert.equal(dialed.write(new Uint8Array(32 << 20)), false);
    dialed.reset();
    assert.equal(await writer.closed, null);
    assert.equal(writer.drains, 0);
    assert.equal(dialed.bufferedBytes, 0);
  });
});
