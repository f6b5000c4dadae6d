/** What the kernel holds for a peer that takes nothing. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import * as net from "node:net";
import { runtime } from "../../src/net/current_runtime.ts";
import { libc } from "../../src/net/libc.ts";
import { dial, listen, type Socket } from "../../src/net/mod.ts";
import { fillUntilStalled } from "../support/net.ts";
import { cannotVanish, connectRaw } from "../support/vanish.ts";

const UNSENT_BYTES = 256 * 1024;
/** The kernel looks before it takes a packet's worth, and not in the middle of one. */
const PACKET_BYTES = 64 * 1024;

/** `tcpi_notsent_bytes` of Linux: what has not been sent yet of what the kernel took from `raw`. */
function unsentBytes(raw: net.Socket): number {
  const info = new Uint8Array(256);
  const length = Uint32Array.of(info.length);
  let result = -1;
  runtime.withDescriptor(raw, libc()!, (fd) => result = libc()!.getsockopt(fd, 6, 11, info, length));
  assert.equal(result, 0);
  return new Uint32Array(info.buffer)[144 / 4];
}

/** The runtime's own socket under one of ours. */
function captureNext(): { raw: net.Socket | null; end(): void } {
  const { setNoDelay } = net.Socket.prototype;
  const captured: { raw: net.Socket | null; end(): void } = {
    raw: null,
    end: () => void (net.Socket.prototype.setNoDelay = setNoDelay),
  };
  net.Socket.prototype.setNoDelay = function (isOn) {
    captured.raw = this;
    return setNoDelay.call(this, isOn);
  };
  return captured;
}

describe("The kernel", { skip: cannotVanish }, () => {
  it("holds little for a visitor that takes nothing (accepted end)", async () => {
    let accept!: (socket: Socket) => void;
    const accepting = new Promise<Socket>((resolve) => accept = resolve);
    const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => accept(socket));
    const captured = captureNext();
    try {
      const peer = await connectRaw(listener.address.port);
      await check(await accepting, captured.raw!);
      peer.destroy();
    } finally {
      captured.end();
      await listener.close();
    }
  });

  const skip = cannotVanish || (runtime.canBoundDialed ? false : "the runtime would lose early answers");
  it("holds little for an upstream or an edge that takes nothing (dialed end)", { skip }, async () => {
    const peers: net.Socket[] = [];
    const server = net.createServer({ pauseOnConnect: true }, (raw) => void peers.push(raw));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as net.AddressInfo;
    const captured = captureNext();
    try {
      const socket = await dial({ kind: "tcp", host: "127.0.0.1", port });
      await check(socket, captured.raw!);
    } finally {
      captured.end();
      for (const peer of peers) peer.destroy();
      server.close();
    }
  });

  async function check(socket: Socket, raw: net.Socket): Promise<void> {
    await fillUntilStalled(socket);
    const unsent = unsentBytes(raw);
    assert.ok(unsent > 0, "the socket has not stalled");
    assert.ok(unsent <= UNSENT_BYTES + PACKET_BYTES, `${unsent} bytes lie in the kernel`);
    socket.reset();
  }
});
