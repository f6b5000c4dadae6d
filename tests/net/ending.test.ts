import { describe, it } from "node:test";
import assert from "node:assert/strict";
import type { Socket, SocketHandlers } from "../../src/net/mod.ts";
import { bytesOf, eventually, fillUntilStalled, latin1, SocketReader } from "../support/net.ts";
import { plain, transports } from "../support/tls.ts";

type Use = (near: Socket, far: Socket) => Promise<void>;

/** Runs `use` in both directions: for the dialing end and for the accepting one. */
function bothWays(name: string, use: Use, on = transports): void {
  for (const transport of on) {
    for (const side of ["dialed", "accepted"]) {
      it(`${name} (${transport.name}, ${side} end)`, async () => {
        const [dialed, accepted] = await transport.pair();
        try {
          await (side === "dialed" ? use(dialed, accepted) : use(accepted, dialed));
        } finally {
          dialed.reset();
          accepted.reset();
        }
      });
    }
  }
}

/** For tests in which our own direction stays open after the peer has ended its own, which TLS does not allow. */
function bothWaysPlain(name: string, use: Use): void {
  bothWays(name, use, [plain]);
}

/**
 * Resolves when a socket that is paused now has seen a reset: where the runtime polls paused sockets, it has
 * polled those that were paused before.
 */
async function othersWerePolled(): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const [near, far] = await plain.pair();
    const reader = new SocketReader(near, { paused: true });
    far.reset();
    await eventually(() => reader.sawClose);
  }
}

describe("Socket.end", () => {
  bothWays("delivers everything written before the FIN", async (near, far) => {
    const reader = new SocketReader(far);
    near.write(new Uint8Array(8 << 20));
    near.end();
    await reader.ended;
    assert.equal(reader.receivedBytes, 8 << 20);
    assert.equal(reader.sawClose, false);
  });

  bothWaysPlain("closes one direction only", async (near, far) => {
    const nearReader = new SocketReader(near);
    const farReader = new SocketReader(far);
    near.end();
    await farReader.ended;
    far.write(bytesOf("still "));
    assert.equal(await nearReader.readUntil("still "), "still ");
    far.write(bytesOf("open"));
    far.end();
    assert.equal(latin1(await nearReader.readAll()), "open");
    assert.equal(await nearReader.closed, null);
    assert.equal(await farReader.closed, null);
  });

  bothWays("may be called twice", async (near, far) => {
    const reader = new SocketReader(far);
    near.end();
    near.end();
    await reader.ended;
    far.end();
    assert.equal(await reader.closed, null);
  });

  bothWays("closes cleanly when both ends call it at once", async (near, far) => {
    const readers = [new SocketReader(near), new SocketReader(far)];
    near.write(bytesOf("a"));
    far.write(bytesOf("b"));
    near.end();
    far.end();
    for (const reader of readers) {
      assert.equal(await reader.closed, null);
      assert.equal(reader.sawEnd, true);
      assert.equal(reader.receivedBytes, 1);
      assert.equal(reader.socket.closed, true);
    }
  });
});

describe("Socket.reset", () => {
  bothWays("is seen as a reset, never as an end", async (near, far) => {
    const nearReader = new SocketReader(near);
    const farReader = new SocketReader(far);
    near.reset();
    assert.equal(near.closed, true);
    assert.equal((await farReader.closed)?.code, "connection_reset");
    assert.equal(farReader.sawEnd, false);
    assert.equal(await nearReader.closed, null);
    assert.equal(nearReader.sawEnd, false);
  });

  bothWays("in the middle of data is seen as a reset", async (near, far) => {
    const reader = new SocketReader(far);
    near.write(new Uint8Array(64 << 20));
    await eventually(() => reader.receivedBytes > 1 << 20);
    near.reset();
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(reader.sawEnd, false);
    assert.ok(reader.receivedBytes < 64 << 20);
  });

  bothWays("of the receiver in the middle of data is seen by the sender", async (near, far) => {
    const sender = new SocketReader(near);
    let bytes = 0;
    const handlers: SocketHandlers = {
      onData(chunk) {
        bytes += chunk.length;
        if (bytes > 1 << 20) far.reset();
      },
      onEnd: () => assert.fail("an end after our own reset"),
      onDrain() {},
      onClose: (error) => closes.push(error),
    };
    const closes: unknown[] = [];
    far.handlers = handlers;
    far.resume();
    near.write(new Uint8Array(64 << 20));
    near.end();
    assert.equal((await sender.closed)?.code, "connection_reset");
    await eventually(() => closes.length > 0);
    assert.deepEqual(closes, [null]);
    assert.ok(bytes < 64 << 20);
  });

  bothWays("gives the owner nothing more than onClose(null)", async (near, far) => {
    const calls: string[] = [];
    near.handlers = {
      onData() {
        calls.push("data");
        near.reset();
        near.reset();
      },
      onEnd: () => calls.push("end"),
      onDrain: () => calls.push("drain"),
      onClose: (error) => calls.push(`close ${error}`),
    };
    near.resume();
    const farReader = new SocketReader(far);
    far.write(new Uint8Array(4 << 20));
    far.end();
    await farReader.closed;
    await eventually(() => calls.includes("close null"));
    assert.deepEqual(calls, ["data", "close null"]);
  });

  bothWays("after an end whose bytes still wait is seen as a reset", async (near, far) => {
    const reader = new SocketReader(far, { paused: true });
    await fillUntilStalled(near);
    near.end();
    near.reset();
    far.resume();
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(reader.sawEnd, false);
  });

  bothWaysPlain("after the peer's end is seen as a reset", async (near, far) => {
    const nearReader = new SocketReader(near);
    const farReader = new SocketReader(far);
    far.end();
    await nearReader.ended;
    near.reset();
    assert.equal((await farReader.closed)?.code, "connection_reset");
    assert.equal(farReader.sawEnd, false);
  });

  bothWays("of a paused socket with unread bytes is seen as a reset", async (near, far) => {
    const farReader = new SocketReader(far);
    far.write(new Uint8Array(1000));
    await eventually(() => far.bufferedBytes === 0);
    near.reset();
    assert.equal((await farReader.closed)?.code, "connection_reset");
  });

  bothWays("is told to a paused peer as a reset once it reads", async (near, far) => {
    const reader = new SocketReader(far, { paused: true });
    near.write(new Uint8Array(1000));
    await eventually(() => near.bufferedBytes === 0);
    near.reset();
    far.resume();
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(reader.sawEnd, false);
  });

  bothWays("is told to a peer that only writes", async (near, far) => {
    const reader = new SocketReader(far, { paused: true });
    near.reset();
    await eventually(() => {
      far.write(bytesOf("x"));
      return reader.sawClose;
    });
    assert.equal((await reader.closed)?.code, "connection_reset");
  });

  bothWays("is told to a peer that has not begun to read", async (near, far) => {
    const reader = new SocketReader(far, { paused: true });
    near.reset();
    await eventually(() => reader.sawClose);
    assert.equal((await reader.closed)?.code, "connection_reset");
  });

  bothWays("is told to a peer that stopped reading, and neither reads nor writes again", async (near, far) => {
    const reader = new SocketReader(far);
    near.write(bytesOf("once"));
    assert.equal(await reader.readUntil("once"), "once");
    far.pause();
    await fillUntilStalled(near);
    near.reset();
    await eventually(() => reader.sawClose);
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(reader.sawEnd, false);
  });

  it("is told to those of 100 paused peers whom it concerns", async () => {
    const pairs = await Promise.all(Array.from({ length: 100 }, () => plain.pair()));
    const readers = pairs.map(([, accepted]) => new SocketReader(accepted, { paused: true }));
    const concerned = readers.filter((_, index) => index % 3 === 0);
    for (const [index, [dialed]] of pairs.entries()) if (index % 3 === 0) dialed.reset();
    await eventually(() => concerned.every(({ sawClose }) => sawClose));
    assert.equal(readers.filter(({ sawClose }) => sawClose).length, concerned.length);
    for (const socket of pairs.flat()) socket.reset();
  });

  bothWaysPlain("after an end is told to a peer that keeps its own direction open", async (near, far) => {
    const reader = new SocketReader(far);
    near.end();
    await reader.ended;
    near.reset();
    await eventually(() => reader.sawClose);
    assert.equal((await reader.closed)?.code, "connection_reset");
  });
});

describe("Socket", () => {
  bothWays("starts paused, and tells nothing until it is resumed", async (near, far) => {
    far.write(bytesOf("early"));
    far.end();
    await eventually(() => far.bufferedBytes === 0);
    const reader = new SocketReader(near);
    assert.equal(latin1(await reader.readAll()), "early");
  });

  bothWaysPlain(
    "keeps what came for as long as its owner does not read, when both ends end in order",
    async (near, far) => {
      const reader = new SocketReader(near, { paused: true });
      const farReader = new SocketReader(far);
      far.write(bytesOf("kept"));
      far.end();
      await eventually(() => far.bufferedBytes === 0);
      near.end();
      assert.equal(await farReader.closed, null);
      await othersWerePolled();
      near.resume();
      assert.equal(latin1(await reader.readAll()), "kept");
      assert.equal(await reader.closed, null);
    },
  );

  bothWays(
    "keeps what came for as long as its owner does not read, when only the peer has ended",
    async (near, far) => {
      const reader = new SocketReader(near, { paused: true });
      far.write(bytesOf("kept"));
      far.end();
      await eventually(() => far.bufferedBytes === 0);
      await othersWerePolled();
      near.resume();
      assert.equal(latin1(await reader.readAll()), "kept");
    },
  );

  bothWays("moves to another owner between two chunks", async (near, far) => {
    const first = new SocketReader(near);
    far.write(bytesOf("head"));
    assert.equal(await first.readUntil("head"), "head");
    const second = new SocketReader(near);
    far.write(bytesOf("body"));
    far.end();
    assert.equal(latin1(await second.readAll()), "body");
    assert.equal(first.receivedBytes, 4);
    assert.equal(first.sawEnd, false);
  });

  bothWays("has the addresses of its two ends", (near, far) => {
    assert.deepEqual(near.local, far.remote);
    assert.deepEqual(near.remote, far.local);
    assert.equal(near.local.kind, "tcp");
    assert.equal(near.local.host, "127.0.0.1");
    assert.ok(near.local.port > 0);
    return Promise.resolve();
  });
});
