import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SocketError } from "../../src/net/mod.ts";
import { scripted } from "./scripted_socket.ts";
import { CLIENT_KEY as KEY, clientFrame as client, closeFrame, joinBytes, openScene, rawFrame } from "./support.ts";
import { CloseTimeoutError, type WebSocketClose } from "../../src/websocket/connection.ts";
import { WebSocketProtocolError } from "../../src/websocket/frames.ts";

describe("WebSocketConnection's close", () => {
  it("WebSocketConnection answers the peer's close and ends first when it is the server", async () => {
    const { peer, recorder } = await openScene();
    peer.send(closeFrame(3001, "why", KEY));
    assert.deepEqual(await peer.readClose(), { code: 3001, reason: "" });
    await peer.reader.ended;
    peer.socket.end();
    assert.deepEqual(await recorder.close(), { code: 3001, reason: "why", clean: true, error: null });
  });

  it("WebSocketConnection waits for the server's FIN when it is the client", async () => {
    const { socket, recorder, clock } = await scripted({ role: "client" });
    socket.feed(closeFrame(1001));
    assert.equal(socket.ended, false);
    socket.feedEnd();
    assert.equal(socket.ended, true);
    socket.close();
    assert.deepEqual(recorder.closes, [{ code: 1001, reason: "", clean: true, error: null }]);
    assert.equal(clock.pending, 0);
  });

  it("WebSocketConnection answers without a code when the peer's close has none", async () => {
    const { peer, recorder } = await openScene();
    peer.send(client({ opcode: 8 }));
    assert.deepEqual(await peer.readClose(), { code: 1005, reason: "" });
    peer.socket.end();
    assert.deepEqual(await recorder.close(), { code: 1005, reason: "", clean: true, error: null });
  });

  it("WebSocketConnection still takes messages and sends none when its close is on the way", async () => {
    const { peer, recorder, connection } = await openScene();
    connection.sendText("before");
    connection.close(1001, "leaving");
    connection.close(1000, "again");
    assert.deepEqual([connection.sendText("after"), connection.ping()], [true, true]);
    assert.equal((await peer.read()).opcode, 1);
    assert.deepEqual(await peer.readClose(), { code: 1001, reason: "leaving" });
    peer.send(joinBytes([client({ opcode: 9 }), client({ opcode: 1, payload: "late" }), closeFrame(1000, "", KEY)]));
    await peer.reader.ended;
    peer.socket.end();
    assert.deepEqual(await recorder.close(), { code: 1000, reason: "", clean: true, error: null });
    assert.deepEqual(recorder.messages, ["late"]);
  });

  it("WebSocketConnection throws and stays open when the close code may not be sent", async () => {
    const { connection, socket } = await scripted();
    assert.throws(() => connection.close(1006), RangeError);
    assert.throws(() => connection.close(1000, "x".repeat(124)), RangeError);
    connection.sendText("a");
    assert.deepEqual(socket.output, rawFrame({ opcode: 1, payload: "a" }));
  });

  it("WebSocketConnection resets with CloseTimeoutError when the peer does not answer its close", async () => {
    const { connection, socket, recorder, clock } = await scripted({ closeTimeoutMs: 300 });
    connection.close();
    clock.advance(299);
    assert.equal(socket.wasReset, false);
    clock.advance(1);
    const { code, clean, error } = await recorder.close();
    assert.deepEqual([socket.wasReset, code, clean], [true, 1006, false]);
    assert.ok(error instanceof CloseTimeoutError);
    assert.equal(error.reason, "The peer did not close within 300 ms");
  });

  it("WebSocketConnection resets after 5 s and stays clean when the peer answers and keeps its socket", async () => {
    const { socket, recorder, clock } = await scripted();
    socket.feed(closeFrame(1000, "", KEY));
    assert.equal(socket.ended, true);
    clock.advance(5_000);
    assert.deepEqual(await recorder.close(), { code: 1000, reason: "", clean: true, error: null });
    assert.equal(socket.wasReset, true);
  });

  for (
    const [what, bytes, code] of [
      ["sends its close frame", closeFrame(1000, "", KEY), 1000],
      ["breaks a rule", rawFrame({ opcode: 1, payload: "no mask" }), 1006],
    ] as const
  ) {
    it(`WebSocketConnection tells its end once, before the socket closes, when the peer ${what}`, async () => {
      const { connection, socket, recorder, clock } = await scripted();
      const ends: WebSocketClose[] = [];
      connection.handlers = Object.assign(recorder, { onEnd: (close: WebSocketClose) => void ends.push(close) });
      socket.feed(bytes);
      assert.deepEqual([ends.length, ends[0]?.code, recorder.closes.length], [1, code, 0]);
      socket.feedEnd();
      clock.advance(5_000);
      assert.deepEqual([await recorder.close()], ends);
    });
  }

  it("WebSocketConnection ends by the timeout when it closes while it is paused", async () => {
    const { connection, recorder, clock } = await scripted();
    connection.pause();
    connection.close();
    clock.advance(5_000);
    assert.equal((await recorder.close()).code, 1006);
  });

  it("WebSocketConnection reports 1006 without an error when the peer sends FIN without a close", async () => {
    const { peer, recorder } = await openScene();
    peer.send(client({ opcode: 1, payload: "a" }));
    peer.socket.end();
    assert.deepEqual(await recorder.close(), { code: 1006, reason: "", clean: false, error: null });
    assert.deepEqual(recorder.messages, ["a"]);
    await peer.reader.ended;
  });

  it("WebSocketConnection reports 1006 with the socket's error when the peer resets", async () => {
    const { peer, recorder } = await openScene();
    peer.send(client({ opcode: 1, payload: "a" }));
    await recorder.message(0);
    peer.socket.reset();
    const { code, clean, error } = await recorder.close();
    assert.deepEqual([code, clean, error?.code], [1006, false, "connection_reset"]);
  });

  it("WebSocketConnection stays clean when the socket breaks behind both close frames", async () => {
    const { socket, recorder } = await scripted();
    socket.feed(closeFrame(1000, "", KEY));
    socket.close(new SocketError({ code: "connection_reset", reason: "reset", initiator: "remote" }));
    assert.deepEqual(recorder.closes, [{ code: 1000, reason: "", clean: true, error: null }]);
  });

  it("WebSocketConnection drops what waits and tells the peer when it aborts", async () => {
    const { peer, connection, recorder } = await openScene();
    connection.abort();
    connection.abort();
    connection.sendText("dropped");
    assert.deepEqual(await recorder.close(), { code: 1006, reason: "", clean: false, error: null });
    await peer.reader.closed;
    assert.equal(recorder.closes.length, 1);
  });
});

describe("WebSocketConnection on a broken rule", () => {
  const rows: [string, Uint8Array, number, string][] = [
    ["a frame is not masked", rawFrame({ opcode: 1, payload: "a" }), 1002, "protocol_error"],
    ["a message is too long", client({ opcode: 2, announced: 300_000 }), 1009, "message_too_big"],
    ["text is no UTF-8", client({ opcode: 1, payload: Uint8Array.of(0xff) }), 1007, "invalid_payload"],
    ["binary is not spoken", client({ opcode: 2 }), 1003, "unsupported_data"],
    ["a close has a wrong code", closeFrame(1006, "", KEY), 1002, "protocol_error"],
  ];
  for (const [name, bytes, closeCode, errorCode] of rows) {
    it(`WebSocketConnection closes with ${closeCode} when ${name}`, async () => {
      const { peer, recorder } = await openScene({ accept: name.startsWith("binary") ? "text" : "both" });
      peer.send(joinBytes([client({ opcode: 1, payload: "good" }), bytes, client({ opcode: 1, payload: "late" })]));
      const { code, reason } = await peer.readClose();
      assert.equal(code, closeCode);
      await peer.reader.ended;
      peer.socket.end();
      const close = await recorder.close();
      assert.ok(close.error instanceof WebSocketProtocolError);
      assert.deepEqual([close.code, close.clean, close.error.code], [1006, false, errorCode]);
      assert.deepEqual([close.error.closeCode, close.error.reason], [closeCode, reason]);
      assert.deepEqual(recorder.messages, ["good"]);
    });
  }

  it("WebSocketConnection reads and drops what comes, for 5 s at most, when it has failed", async () => {
    const { socket, recorder, clock } = await scripted();
    socket.feed(rawFrame({ opcode: 1 }));
    assert.deepEqual([socket.ended, socket.paused], [true, false]);
    for (let i = 0; i < 100; i++) socket.feed(client({ opcode: 1, payload: "x" }));
    clock.advance(5_000);
    const { error } = await recorder.close();
    assert.ok(error instanceof WebSocketProtocolError);
    assert.deepEqual([recorder.messages.length, socket.written.length], [0, 1]);
  });

  it("WebSocketConnection sends no second close when a rule is broken behind its own", async () => {
    const { socket, connection } = await scripted();
    connection.close(1001);
    socket.feed(rawFrame({ opcode: 1 }));
    assert.deepEqual(socket.output, closeFrame(1001));
    assert.equal(socket.ended, true);
  });
});
