import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MessageSource } from "../../src/websocket/mod.ts";
import { eventually } from "../support/net.ts";
import { scripted } from "./scripted_socket.ts";
import { CLIENT_KEY as KEY, clientFrame as client, closeFrame, joinBytes, openScene, rawFrame } from "./support.ts";

/** A text of equal parts, which counts how many were asked for. */
class Parts implements MessageSource {
  readonly byteLength: number;
  asked = 0;
  overs = 0;

  constructor(readonly count: number, readonly partBytes = 10) {
    this.byteLength = count * partBytes;
  }

  get text(): string {
    return Array.from({ length: this.count }, (_, index) => this.#part(index)).join("");
  }

  next(): Uint8Array {
    return new TextEncoder().encode(this.#part(this.asked++));
  }

  onOver(): void {
    this.overs++;
  }

  #part(index: number): string {
    return String.fromCharCode(97 + index % 26).repeat(this.partBytes);
  }
}

describe("WebSocketConnection.sendTextFrom", () => {
  it("sends one frame, whose parts it asks for only as the socket takes them", async () => {
    const { socket, recorder, connection } = await scripted();
    const source = new Parts(4);
    socket.writable = false;
    assert.equal(connection.sendTextFrom(source), false);
    for (let taken = 1; taken <= 3; taken++) {
      assert.deepEqual([source.asked, source.overs, recorder.drains], [taken, 0, 0]);
      socket.handlers.onDrain();
    }
    assert.deepEqual([source.asked, source.overs, recorder.drains], [4, 1, 0]);
    socket.drain();
    assert.equal(recorder.drains, 1);
    assert.deepEqual(socket.output, rawFrame({ opcode: 1, payload: source.text }));
    assert.equal(connection.sendText("next"), true);
  });

  it("returns true when the socket takes all of it", async () => {
    const { socket, connection } = await scripted();
    const source = new Parts(30);
    assert.equal(connection.sendTextFrom(source), true);
    assert.equal(source.overs, 1);
    assert.deepEqual(socket.output, rawFrame({ opcode: 1, payload: source.text }));
  });

  it("puts no other frame within its own: messages, pings, pongs and the close follow it", async () => {
    const { socket, connection } = await scripted();
    const source = new Parts(3);
    socket.writable = false;
    connection.sendTextFrom(source);
    assert.equal(connection.sendText("behind"), false);
    connection.ping();
    socket.feed(client({ opcode: 9, payload: "are you there" }));
    connection.close(1001, "bye");
    socket.drain();
    const frames = [
      rawFrame({ opcode: 1, payload: source.text }),
      rawFrame({ opcode: 1, payload: "behind" }),
      rawFrame({ opcode: 9 }),
      closeFrame(1001, "bye"),
    ];
    // The pong is not sent: no frame may follow the close.
    assert.deepEqual(socket.output, joinBytes(frames));
  });

  it("answers a ping behind it", async () => {
    const { socket, connection } = await scripted();
    const source = new Parts(3);
    socket.writable = false;
    connection.sendTextFrom(source);
    socket.feed(client({ opcode: 9, payload: "hi" }));
    socket.drain();
    const frames = [rawFrame({ opcode: 1, payload: source.text }), rawFrame({ opcode: 10, payload: "hi" })];
    assert.deepEqual(socket.output, joinBytes(frames));
  });

  it("is sent to its end when the peer closes in the middle of it, and FIN follows", async () => {
    const { socket, connection } = await scripted();
    const source = new Parts(3);
    socket.writable = false;
    connection.sendTextFrom(source);
    socket.feed(closeFrame(1000, "", KEY));
    assert.equal(socket.ended, false);
    socket.drain();
    assert.deepEqual(socket.output, joinBytes([rawFrame({ opcode: 1, payload: source.text }), closeFrame(1000)]));
    assert.equal(socket.ended, true);
  });

  it("is given up when the peer does not take it within the time for a close, or the socket is lost", async () => {
    for (const way of ["timeout", "lost"]) {
      const { socket, clock, recorder, connection } = await scripted();
      const source = new Parts(3);
      socket.writable = false;
      connection.sendTextFrom(source);
      if (way === "lost") socket.close();
      else {
        connection.close();
        clock.advance(5_000);
        assert.equal(socket.wasReset, true);
      }
      await recorder.close();
      assert.deepEqual([source.asked, source.overs], [1, 1]);
    }
  });

  it("tells that the peer reads while it is on its way", async () => {
    const { socket, recorder, connection } = await scripted();
    let progress = 0;
    recorder.onProgress = () => progress++;
    socket.writable = false;
    connection.sendTextFrom(new Parts(5));
    socket.handlers.onDrain();
    socket.handlers.onDrain();
    assert.equal(progress, 2);
  });

  it("is over at once when the connection is closing, and refused while another one is on its way and of a client", async () => {
    const { socket, connection } = await scripted();
    socket.writable = false;
    connection.sendTextFrom(new Parts(3));
    assert.throws(() => connection.sendTextFrom(new Parts(1)), /under way/);
    connection.close();
    socket.drain();
    const late = new Parts(1);
    assert.equal(connection.sendTextFrom(late), true);
    assert.deepEqual([late.asked, late.overs], [0, 1]);
    const other = await scripted({ role: "client" });
    assert.throws(() => other.connection.sendTextFrom(new Parts(1)), /client/);
  });

  it("passes megabytes over a real socket, whole and in order", async () => {
    const { connection, peer, end } = await openScene();
    const source = new Parts(300, 60_000);
    connection.sendTextFrom(source);
    connection.sendText("behind");
    await eventually(() => source.asked > 0);
    const { opcode, payload } = await peer.read();
    assert.equal(opcode, 1);
    assert.equal(new TextDecoder().decode(payload), source.text);
    assert.equal(new TextDecoder().decode((await peer.read()).payload), "behind");
    assert.equal(source.overs, 1);
    await end();
  });
});
