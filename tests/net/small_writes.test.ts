/** Small pieces that wait for a peer which takes nothing. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { dial, listen, type Socket } from "../../src/net/mod.ts";
import { eventually, fillUntilStalled } from "../support/net.ts";

const PIECES = 20_000;

describe("Pieces of one byte behind a full socket", () => {
  it("arrive in their order, although they are joined while they wait", async () => {
    let accept!: (socket: Socket) => void;
    const accepting = new Promise<Socket>((resolve) => accept = resolve);
    const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => accept(socket));
    const peer = await dial({ kind: "tcp", host: "127.0.0.1", port: listener.address.port });
    const socket = await accepting;
    const filled = await fillUntilStalled(socket) + socket.bufferedBytes;
    for (let written = 0; written < PIECES;) {
      // As reads bring them: some each tick.
      for (const until = written + 100; written < until; written++) socket.write(Uint8Array.of(written % 251));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(socket.bufferedBytes >= PIECES, "they do not wait");
    let received = 0;
    let isRight = true;
    peer.handlers = {
      onData(chunk) {
        for (let index = Math.max(0, filled - received); index < chunk.length; index++) {
          isRight &&= chunk[index] === (received + index - filled) % 251;
        }
        received += chunk.length;
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    };
    peer.resume();
    await eventually(() => received === filled + PIECES, { deadlineMs: 20_000 });
    assert.ok(isRight, "the bytes came in another order");
    for (const end of [socket, peer]) end.reset();
    await listener.close();
  });
});
