import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Socket } from "../../src/net/mod.ts";
import { WebSocketConnection } from "../../src/websocket/mod.ts";
import { connectPair, eventually, latin1 } from "../support/net.ts";
import { nextMicrotask, scripted, ScriptedSocket } from "./scripted_socket.ts";
import {
  CLIENT_KEY as KEY,
  clientFrame as client,
  closeFrame,
  joinBytes,
  openScene,
  patternBytes,
  rawFrame,
  Recorder,
} from "./support.ts";

describe("WebSocketConnection", () => {
  it("WebSocketConnection carries messages of both kinds when both ends are ours", async () => {
    const [dialed, accepted] = await connectPair();
    const [clientSide, serverSide] = [new Recorder(), new Recorder()];
    const near = new WebSocketConnection(dialed, { role: "client", handlers: clientSide });
    const far = new WebSocketConnection(accepted, { role: "server", handlers: serverSide });
    const big = patternBytes(200_000);
    for (const [from, to] of [[near, serverSide], [far, clientSide]] as const) {
      from.sendText("grüße");
      from.sendBinary([patternBytes(9), big, patternBytes(3)]);
      from.sendBinary([]);
      await to.until(() => to.messages.length === 3);
      const joined = joinBytes([patternBytes(9), patternBytes(200_000), patternBytes(3)]);
      assert.deepEqual(to.messages, ["grüße", joined, new Uint8Array(0)]);
    }
    near.close(1000, "done");
    assert.deepEqual(await serverSide.close(), { code: 1000, reason: "done", clean: true, error: null });
    assert.deepEqual(await clientSide.close(), { code: 1000, reason: "", clean: true, error: null });
    assert.equal(near.closed && far.closed, true);
  });

  it("WebSocketConnection reads the handshake's rest first when it is given one", async () => {
    const bytes = client({ opcode: 1, payload: "first" });
    const { socket, recorder } = await scripted({ rest: bytes.subarray(0, 7).slice() });
    socket.feed(joinBytes([bytes.subarray(7), client({ opcode: 1, payload: "second" })]));
    assert.deepEqual(recorder.messages, ["first", "second"]);
  });

  it("WebSocketConnection calls no handler when its constructor and methods run", async () => {
    const socket = new ScriptedSocket();
    const recorder = new Recorder();
    const rest = joinBytes([client({ opcode: 1, payload: "a" }), client({ opcode: 1, payload: "b" })]);
    const connection = new WebSocketConnection(socket, { role: "server", handlers: recorder, rest });
    connection.pause();
    connection.resume();
    assert.equal(recorder.messages.length, 0);
    await nextMicrotask();
    assert.deepEqual(recorder.messages, ["a", "b"]);
    connection.abort();
    assert.equal(recorder.closes.length, 0);
    assert.equal(connection.closed, true);
    await nextMicrotask();
    assert.deepEqual(recorder.closes, [{ code: 1006, reason: "", clean: false, error: null }]);
  });

  it("WebSocketConnection closes at once when its socket broke before it was made", async () => {
    const socket = new ScriptedSocket();
    socket.closed = true;
    const recorder = new Recorder();
    new WebSocketConnection(socket, { role: "client", handlers: recorder });
    assert.equal((await recorder.close()).code, 1006);
    assert.equal(recorder.closes.length, 1);
  });

  it("WebSocketConnection closes once when its socket is being reset while it is made", async () => {
    const socket = new ScriptedSocket();
    const recorder = new Recorder();
    socket.reset();
    new WebSocketConnection(socket, { role: "client", handlers: recorder });
    await nextMicrotask();
    await nextMicrotask();
    assert.equal(recorder.closes.length, 1);
  });

  it("WebSocketConnection tells of every read when bytes of any kind come", async () => {
    const { socket, recorder } = await scripted();
    const ping = client({ opcode: 9 });
    socket.feed(ping.subarray(0, 1).slice());
    socket.feed(ping.subarray(1).slice());
    assert.equal(recorder.reads, 2);
  });

  it("WebSocketConnection hands its messages to other handlers when these are set", async () => {
    const { socket, recorder, connection } = await scripted();
    const other = new Recorder();
    socket.feed(client({ opcode: 1, payload: "a" }));
    connection.handlers = other;
    socket.feed(client({ opcode: 1, payload: "b" }));
    assert.deepEqual([recorder.messages, other.messages], [["a"], ["b"]]);
  });

  it("WebSocketConnection takes longer messages when maxMessageBytes is raised", async () => {
    const { socket, recorder, connection } = await scripted({ maxMessageBytes: 4 });
    recorder.atMessage = () => connection.maxMessageBytes = 5;
    socket.feed(joinBytes([client({ opcode: 1, payload: "four" }), client({ opcode: 1, payload: "fives" })]));
    assert.deepEqual(recorder.messages, ["four", "fives"]);
    socket.feed(client({ opcode: 1, payload: "sixsix" }));
    assert.deepEqual(socket.output, closeFrame(1009, "A message of 6 bytes is longer than 5"));
  });
});

describe("WebSocketConnection with a message that is too long", () => {
  const long = joinBytes([
    client({ opcode: 1, payload: "seven b" }),
    client({ opcode: 9, payload: "p" }),
    client({ opcode: 1, payload: "four" }),
  ]);

  it("WebSocketConnection goes on when its owner drops the message", async () => {
    const { socket, recorder, connection } = await scripted({ maxMessageBytes: 4 });
    connection.skipsLongMessages = true;
    const beginnings: string[] = [];
    recorder.onLongMessage = (beginning, error) => beginnings.push(`${latin1(beginning)}: ${error.reason}`) > 0;
    socket.feed(long);
    assert.deepEqual(beginnings, ["seven b: A message of 7 bytes is longer than 4"]);
    assert.deepEqual(recorder.messages, ["four"]);
  });

  it("WebSocketConnection closes with 1009 when its owner does not drop it", async () => {
    for (const onLongMessage of [undefined, () => false]) {
      const { socket, recorder, connection } = await scripted({ maxMessageBytes: 4 });
      connection.skipsLongMessages = true;
      recorder.onLongMessage = onLongMessage;
      socket.feed(long.slice());
      assert.deepEqual(socket.output, closeFrame(1009, "A message of 7 bytes is longer than 4"));
      assert.deepEqual(recorder.messages, []);
    }
  });
});

describe("WebSocketConnection's pings", () => {
  it("WebSocketConnection answers a ping with its payload when it is open", async () => {
    const { peer, recorder, end } = await openScene();
    peer.send(client({ opcode: 9, payload: patternBytes(125) }));
    const { opcode, payload } = await peer.read();
    assert.deepEqual([opcode, payload], [10, patternBytes(125)]);
    assert.deepEqual(recorder.pings, [patternBytes(125)]);
    await end();
  });

  it("WebSocketConnection gives the pong's payload when its ping is answered", async () => {
    const { peer, recorder, connection, end } = await openScene();
    connection.ping(patternBytes(8));
    const { opcode, payload } = await peer.read();
    assert.equal(opcode, 9);
    peer.send(client({ opcode: 10, payload }));
    await recorder.until(() => recorder.pongs.length === 1);
    assert.deepEqual(recorder.pongs, [patternBytes(8)]);
    assert.throws(() => connection.ping(patternBytes(126)), new RangeError("A ping of 126 bytes is over 125"));
    await end();
  });

  it("WebSocketConnection holds one pong, the latest, when a stalled peer sends many pings", async () => {
    const { socket, recorder, connection } = await scripted();
    socket.writable = false;
    assert.equal(connection.sendText("full"), false);
    const before = socket.written.length;
    for (let i = 0; i < 1_000; i++) socket.feed(client({ opcode: 9, payload: `${i}` }));
    assert.equal(recorder.pings.length, 1_000);
    assert.equal(socket.written.length, before);
    socket.drain();
    assert.deepEqual(joinBytes(socket.written.slice(before)), rawFrame({ opcode: 10, payload: "999" }));
    assert.equal(recorder.drains, 1);
  });

  it("WebSocketConnection calls no onDrain when only its own pongs had to wait", async () => {
    const { socket, recorder, connection } = await scripted();
    socket.writable = false;
    for (let i = 0; i < 3; i++) socket.feed(client({ opcode: 9, payload: `${i}` }));
    socket.drain();
    assert.equal(recorder.drains, 0);
    assert.equal(connection.sendText("a"), true);
    const sent = ["0", "2"].map((payload) => rawFrame({ opcode: 10, payload }));
    assert.deepEqual(socket.output, joinBytes([...sent, rawFrame({ opcode: 1, payload: "a" })]));
  });

  it("WebSocketConnection drains later when its waiting pong fills the socket again", async () => {
    const { socket, recorder, connection } = await scripted();
    socket.writable = false;
    connection.sendText("full");
    socket.feed(client({ opcode: 9 }));
    socket.handlers.onDrain();
    assert.equal(recorder.drains, 0);
    socket.drain();
    assert.equal(recorder.drains, 1);
    socket.drain();
    assert.equal(recorder.drains, 1);
  });
});

describe("WebSocketConnection's backpressure", () => {
  it("WebSocketConnection returns false and then drains once when the peer stalls and reads on", async () => {
    const [dialed, accepted] = await connectPair();
    const recorder = new Recorder();
    const connection = new WebSocketConnection(accepted, { role: "server", handlers: recorder });
    const bytes = await fillUntilStalled(connection, recorder);
    assert.ok(bytes < 32 * 1024 * 1024, `${bytes} bytes were taken for a peer that reads nothing`);
    assert.ok(connection.bufferedBytes > 0 && connection.bufferedBytes < 1024 * 1024);
    const drains = recorder.drains;
    drainPeer(dialed);
    await recorder.until(() => recorder.drains > drains);
    await eventually(() => connection.bufferedBytes === 0);
    assert.equal(recorder.drains, drains + 1);
    connection.abort();
    dialed.reset();
    await recorder.close();
  });

  it("WebSocketConnection holds the rest of a read back when it pauses within it", async () => {
    const { socket, recorder, connection } = await scripted();
    recorder.atMessage = (data) => {
      if (data === "2") connection.pause();
    };
    socket.feed(joinBytes(["1", "2", "3", "4"].map((payload) => client({ opcode: 1, payload }))));
    assert.deepEqual([recorder.messages, socket.paused], [["1", "2"], true]);
    recorder.atMessage = () => connection.pause();
    connection.resume();
    assert.equal(recorder.messages.length, 2);
    await nextMicrotask();
    assert.deepEqual([recorder.messages, socket.paused], [["1", "2", "3"], true]);
    recorder.atMessage = () => {};
    connection.resume();
    await nextMicrotask();
    assert.deepEqual([recorder.messages, socket.paused], [["1", "2", "3", "4"], false]);
  });

  it("WebSocketConnection goes on when it pauses and resumes within one message", async () => {
    const { socket, recorder, connection } = await scripted();
    recorder.atMessage = () => {
      connection.pause();
      connection.resume();
    };
    socket.feed(joinBytes(["1", "2"].map((payload) => client({ opcode: 1, payload }))));
    assert.deepEqual([recorder.messages, socket.paused], [["1", "2"], false]);
  });

  it("WebSocketConnection gives what it held back before the end when FIN came meanwhile", async () => {
    const { socket, recorder, connection } = await scripted();
    recorder.atMessage = () => connection.pause();
    socket.feed(joinBytes([client({ opcode: 1, payload: "1" }), closeFrame(1001, "", KEY)]));
    socket.feedEnd();
    assert.equal(socket.ended, false);
    connection.resume();
    await nextMicrotask();
    assert.equal(socket.ended, true);
    socket.close();
    assert.deepEqual(recorder.closes, [{ code: 1001, reason: "", clean: true, error: null }]);
  });

  it("WebSocketConnection ends its own side when what it held back had no close frame before the FIN", async () => {
    const { socket, recorder, connection } = await scripted();
    recorder.atMessage = () => connection.pause();
    socket.feed(joinBytes(["1", "2"].map((payload) => client({ opcode: 1, payload }))));
    socket.feedEnd();
    recorder.atMessage = () => {};
    connection.resume();
    await nextMicrotask();
    assert.deepEqual([recorder.messages, socket.ended], [["1", "2"], true]);
    socket.close();
    assert.deepEqual(recorder.closes, [{ code: 1006, reason: "", clean: false, error: null }]);
  });

  it("WebSocketConnection closes the peer's window when it pauses, and loses nothing when it resumes", async () => {
    const [dialed, accepted] = await connectPair();
    const [sender, receiver] = [new Recorder(), new Recorder()];
    const near = new WebSocketConnection(dialed, { role: "client", handlers: sender });
    const far = new WebSocketConnection(accepted, { role: "server", handlers: receiver });
    near.sendText("first");
    receiver.atMessage = () => far.pause();
    await receiver.message(0);
    const bytes = await fillUntilStalled(near, sender);
    assert.ok(bytes < 32 * 1024 * 1024, `${bytes} bytes left for a peer that is paused`);
    assert.equal(receiver.messages.length, 1);
    let received = 0;
    receiver.atMessage = (data) => received += data.length;
    far.resume();
    await receiver.until(() => received === bytes);
    near.close();
    assert.equal((await receiver.close()).clean, true);
    assert.equal((await sender.close()).clean, true);
  });
});

/** Sends 64 KiB messages until the peer takes none for 200 ms; the bytes that were sent. */
async function fillUntilStalled(connection: WebSocketConnection, recorder: Recorder): Promise<number> {
  const payload = patternBytes(64 * 1024);
  let bytes = 0;
  for (;;) {
    const drains = recorder.drains;
    let writable = true;
    while (writable) {
      writable = connection.sendBinary([payload]);
      bytes += payload.length;
    }
    const drained = eventually(() => recorder.drains > drains, { deadlineMs: 200 });
    if (!await drained.then(() => true, () => false)) return bytes;
  }
}

function drainPeer(socket: Socket): void {
  socket.handlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  socket.resume();
}
