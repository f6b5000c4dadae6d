import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkBuffers, count, isCounted } from "../../src/memory/mod.ts";
import { KeptFrames } from "../../src/websocket/kept_frames.ts";
import { MAX_KEPT_BYTES, returnKept, takeKept } from "../../src/websocket/mask_blocks.ts";
import { eventually } from "../support/net.ts";
import { scripted, ScriptedSocket } from "./scripted_socket.ts";
import { joinBytes, openScene, patternBytes, type Scene } from "./support.ts";

/** Overwrites all blocks that are free. Returns how many there are. */
function overwriteFreeBlocks(): number {
  const free: Uint8Array[] = [];
  for (let block = takeKept(MAX_KEPT_BYTES); block !== null; block = takeKept(MAX_KEPT_BYTES)) free.push(block.fill(0));
  free.forEach(returnKept);
  return free.length;
}

/** Messages of a client that the kernel has no room for, as its peer does not read. Returns how many came before. */
function fillKernel({ connection }: Scene): number {
  let messages = 0;
  while (connection.bufferedBytes < 1024 * 1024) {
    connection.sendBinary([patternBytes(100_000, messages++)]);
    connection.flush();
  }
  return messages;
}

const messages = [1, 2, 3].map((seed) => patternBytes(50_000 + seed, seed));

describe("sendKept", () => {
  it("sendKept sends a message, which can be read until it is released", async () => {
    checkBuffers(true);
    const scene = await openScene({ role: "client" });
    const parts = [patternBytes(9), count(patternBytes(50_000, 3))];
    const message = joinBytes(parts);
    const frame = scene.connection.sendKept(parts)!;
    assert.equal(isCounted(parts[1]), false);
    assert.deepEqual((await scene.peer.read()).payload, message);
    assert.deepEqual(frame.read(), message);
    assert.equal(overwriteFreeBlocks(), 71);
    assert.deepEqual(frame.read(), message);
    frame.release();
    assert.equal(overwriteFreeBlocks(), 72);
    await scene.end();
    checkBuffers(false);
  });

  it("sendKept is as sendBinary for the peer, whatever the parts are", async () => {
    const { connection, socket } = await scripted({ role: "client" });
    const kept = await openScene({ role: "client" });
    const lengths = fc.array(fc.constantFrom(0, 1, 9, 4_095, 5_003, 20_000), { maxLength: 3 });
    await fc.assert(fc.asyncProperty(lengths, async (lengths) => {
      const parts = lengths.map((length, seed) => patternBytes(length, seed));
      connection.sendBinary(parts);
      const frame = kept.connection.sendKept(parts)!;
      const { payload, opcode, masked } = await kept.peer.read();
      assert.deepEqual([opcode, masked], [2, true]);
      assert.ok(Buffer.from(payload).equals(joinBytes(parts)));
      assert.equal(frame.bytes.length, socket.written.at(-1)!.length);
      frame.release();
    }));
    connection.abort();
    await kept.end();
  });

  it("sendKept sends nothing when it cannot keep it", async () => {
    const server = await scripted();
    assert.equal(server.connection.sendKept([patternBytes(20_000)]), null);
    const { connection, socket } = await scripted({ role: "client" });
    assert.equal(connection.sendKept([patternBytes(MAX_KEPT_BYTES - 7)]), null);
    const frames = Array.from({ length: 72 }, () => connection.sendKept([patternBytes(20_000)])!);
    assert.equal(socket.written.length, 72);
    assert.equal(connection.sendKept([patternBytes(20_000)]), null);
    for (const frame of frames) frame.release();
    connection.close();
    assert.equal(connection.sendKept([patternBytes(20_000)]), null);
    assert.equal(server.socket.written.length + socket.written.length, 73);
    for (const each of [connection, server.connection]) each.abort();
  });

  it("sendKept says whether the sender should wait", async () => {
    const { connection, socket, recorder } = await scripted({ role: "client" });
    const first = connection.sendKept([patternBytes(20_000)])!;
    socket.writable = false;
    const second = connection.sendKept([patternBytes(20_000)])!;
    assert.deepEqual([first.isReady, second.isReady], [true, false]);
    socket.drain();
    assert.equal(recorder.drains, 1);
    for (const frame of [first, second]) frame.release();
    connection.abort();
    await recorder.close();
    assert.equal(overwriteFreeBlocks(), 72);
  });

  it("sendKept uses a block again only when its frame has left, also where it is released before", async () => {
    const scene = await openScene({ role: "client" });
    const before = fillKernel(scene);
    const frames = messages.map((message) => scene.connection.sendKept([message])!);
    scene.connection.flush();
    for (const frame of frames) frame.release();
    assert.equal(overwriteFreeBlocks(), 69);
    for (let i = 0; i < before; i++) await scene.peer.read();
    for (const message of messages) assert.ok(Buffer.from((await scene.peer.read()).payload).equals(message));
    await eventually(() => overwriteFreeBlocks() === 72);
    await scene.end();
  });

  it("sendKept has all blocks again when the connection was reset with frames that had not left", async () => {
    const scene = await openScene({ role: "client" });
    fillKernel(scene);
    const frames = messages.map((message) => scene.connection.sendKept([message])!);
    scene.connection.abort();
    for (const frame of frames.slice(0, 2)) frame.release();
    assert.equal(overwriteFreeBlocks(), 69);
    await scene.recorder.close();
    assert.equal(overwriteFreeBlocks(), 71);
    assert.deepEqual(frames[2].read(), messages[2]);
    frames[2].release();
    assert.equal(overwriteFreeBlocks(), 72);
    await scene.end();
  });
});

describe("KeptFrames", () => {
  it("KeptFrames returns no block of a socket that was reset before it says that it has closed", () => {
    const socket = new ScriptedSocket();
    const frames = new KeptFrames(socket);
    const frame = frames.encode([patternBytes(20_000)], 1)!;
    frames.sentBytes += frame.bytes.length;
    socket.closed = true;
    frame.release();
    assert.equal(overwriteFreeBlocks(), 71);
    frames.close();
    assert.equal(overwriteFreeBlocks(), 72);
  });
});
