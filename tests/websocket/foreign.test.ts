import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";
import type { Answer, RequestHead } from "../../src/http/message.ts";
import { RequestParser } from "../../src/http1/codec/request_parser.ts";
import { encodeResponseHead } from "../../src/http1/codec/writer.ts";
import type { Socket } from "../../src/net/mod.ts";
import { checkUpgrade, dialWebSocket, HandshakeError, WebSocketConnection } from "../../src/websocket/mod.ts";
import { startTcpServer, type TcpServer } from "../support/net.ts";
import { type ForeignServer, type ForeignSocket, WebSocket, WebSocketServer } from "./foreign.ts";
import { patternBytes, Recorder } from "./support.ts";

const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_048_576];
const LIMIT = 1_048_576;

/** Resolves with what the event gives. */
function event<T extends unknown[]>(emitter: EventEmitter, name: string): Promise<T> {
  return new Promise((resolve) => emitter.once(name, (...values: unknown[]) => resolve(values as T)));
}

/** What our server does with a connection: parse the request, answer 101, hand the socket over. */
function serveUpgrade(socket: Socket, onConnection: (connection: WebSocketConnection, recorder: Recorder) => void) {
  const parser = new RequestParser();
  socket.handlers = {
    onData(chunk) {
      const request = parser.push(chunk);
      if (request === null) return;
      const head: RequestHead = { ...request, scheme: "http", client: "127.0.0.1", id: "1" };
      const upgrade = checkUpgrade(head, { protocols: ["runnel.v2"] });
      assert.ok(upgrade.accepted, JSON.stringify(upgrade));
      const answer: Answer = { status: 101, fields: upgrade.fields, body: null, upgrade: "websocket" };
      socket.write(encodeResponseHead({ ...answer, framing: { kind: "none" } }));
      const recorder = new Recorder();
      const rest = parser.takeRest();
      const options = { role: "server" as const, handlers: recorder, rest, maxMessageBytes: LIMIT };
      onConnection(new WebSocketConnection(socket, options), recorder);
    },
    onEnd() {},
    onDrain() {},
    onClose() {},
  };
  socket.resume();
}

interface Meeting {
  ours: WebSocketConnection;
  recorder: Recorder;
  theirs: ForeignSocket;
}

/** The same tests for both roles, each arranged in its own way. */
function behaves(role: "server" | "client", meet: () => Promise<Meeting>): void {
  const name = `WebSocketConnection as ${role}`;

  for (const size of SIZES) {
    it(`${name} exchanges messages with ws when they have ${size} bytes`, async () => {
      const { ours, recorder, theirs } = await meet();
      const payload = patternBytes(size);
      const text = "x".repeat(size);
      const echoed: [Buffer, boolean][] = [];
      theirs.on("message", (data: Buffer, binary: boolean) => {
        echoed.push([data, binary]);
        theirs.send(data, { binary });
      });
      ours.sendBinary([payload.subarray(0, 5), payload.subarray(5)]);
      ours.sendText(text);
      await recorder.until(() => recorder.messages.length === 2);
      assert.deepEqual(echoed.map(([, binary]) => binary), [true, false]);
      assert.ok(Buffer.from(payload).equals(echoed[0][0]));
      assert.ok(Buffer.from(payload).equals(recorder.messages[0] as Uint8Array));
      assert.equal(recorder.messages[1], text);
      theirs.terminate();
      await recorder.close();
    });
  }

  it(`${name} joins the fragments when ws sends a message in three`, async () => {
    const { recorder, theirs } = await meet();
    theirs.send("grü", { fin: false });
    theirs.ping("between");
    theirs.send("ß", { fin: false });
    theirs.send("e", { fin: true });
    assert.equal(await recorder.message(0), "grüße");
    assert.equal(recorder.pings.length, 1);
    theirs.terminate();
    await recorder.close();
  });

  it(`${name} exchanges pings and pongs with ws when either side pings`, async () => {
    const { ours, recorder, theirs } = await meet();
    const ponged = event<[Buffer]>(theirs, "pong");
    theirs.ping("one");
    assert.equal((await ponged)[0].toString(), "one");
    ours.ping(new TextEncoder().encode("two"));
    await recorder.until(() => recorder.pongs.length === 1);
    assert.equal(new TextDecoder().decode(recorder.pongs[0]), "two");
    theirs.terminate();
    await recorder.close();
  });

  for (const [code, reason] of [[1000, "bye"], [1001, ""], [3333, "é"], [4999, ""]] as const) {
    it(`${name} closes cleanly with ws when either side closes with ${code}`, async () => {
      for (const begins of ["ours", "theirs"]) {
        const { ours, recorder, theirs } = await meet();
        const closed = event<[number, Buffer]>(theirs, "close");
        if (begins === "ours") ours.close(code, reason);
        else theirs.close(code, reason);
        const [theirCode, theirReason] = await closed;
        const close = await recorder.close();
        assert.deepEqual([theirCode, close.code, close.clean, close.error], [code, code, true, null]);
        assert.equal(begins === "ours" ? theirReason.toString() : close.reason, reason);
      }
    });
  }

  it(`${name} closes with 1005 when ws closes without a code`, async () => {
    const { recorder, theirs } = await meet();
    const closed = event<[number]>(theirs, "close");
    theirs.close();
    assert.deepEqual(await recorder.close(), { code: 1005, reason: "", clean: true, error: null });
    assert.equal((await closed)[0], 1005);
  });

  it(`${name} reports 1006 when ws goes without a close`, async () => {
    const { recorder, theirs } = await meet();
    theirs.terminate();
    const { code, clean } = await recorder.close();
    assert.deepEqual([code, clean], [1006, false]);
  });

  it(`${name} shows ws a 1006 when it aborts`, async () => {
    const { ours, recorder, theirs } = await meet();
    theirs.on("error", () => {});
    const closed = event<[number]>(theirs, "close");
    ours.abort();
    assert.equal((await closed)[0], 1006);
    await recorder.close();
  });

  it(`${name} shows ws a 1009 when its message is over the limit`, async () => {
    const { recorder, theirs } = await meet();
    theirs.on("error", () => {});
    const closed = event<[number, Buffer]>(theirs, "close");
    theirs.send(patternBytes(LIMIT + 1));
    const [code, reason] = await closed;
    assert.deepEqual([code, reason.toString()], [1009, "A message of 1048577 bytes is longer than 1048576"]);
    assert.equal((await recorder.close()).error?.code, "message_too_big");
  });
}

describe("WebSocketConnection and ws as its client", () => {
  let server: TcpServer;
  let opened: (meeting: Omit<Meeting, "theirs">) => void;

  before(async () => {
    server = await startTcpServer((socket) => {
      serveUpgrade(socket, (ours, recorder) => opened({ ours, recorder }));
    });
  });
  after(() => server.close());

  behaves("server", async () => {
    const mine = new Promise<Omit<Meeting, "theirs">>((resolve) => opened = resolve);
    // `ws` offers permessage-deflate unless told otherwise: that is ignored.
    const theirs = new WebSocket(`ws://127.0.0.1:${server.port}/agent`, "runnel.v2");
    await event(theirs, "open");
    assert.deepEqual([theirs.protocol, theirs.extensions], ["runnel.v2", ""]);
    return { ...await mine, theirs };
  });
});

describe("WebSocketConnection and ws as its server", () => {
  let server: ForeignServer;
  const target = () => ({ kind: "tcp" as const, host: "127.0.0.1", port: (server.address() as AddressInfo).port });

  before(async () => {
    server = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      maxPayload: 4 * LIMIT,
      handleProtocols: (offered) => offered.has("runnel.v2") ? "runnel.v2" : false,
      verifyClient: ({ req }, answer) => answer(req.url !== "/refused", 418, "short and stout"),
    });
    await event(server, "listening");
  });
  after(async () => {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  behaves("client", async () => {
    const connected = event<[ForeignSocket]>(server, "connection");
    const dialed = await dialWebSocket({
      target: target(),
      authority: "ws.example",
      path: "/agent",
      protocols: ["other", "runnel.v2"],
    });
    assert.equal(dialed.protocol, "runnel.v2");
    const recorder = new Recorder();
    const options = { role: "client" as const, handlers: recorder, rest: dialed.rest, maxMessageBytes: LIMIT };
    const ours = new WebSocketConnection(dialed.socket, options);
    const [theirs] = await connected;
    return { ours, recorder, theirs };
  });

  it("dialWebSocket rejects with ws's status and body when ws refuses", async () => {
    const dialing = dialWebSocket({ target: target(), authority: "ws.example", path: "/refused" });
    const error = await dialing.then(() => null, (error) => error);
    assert.ok(error instanceof HandshakeError);
    assert.deepEqual([error.status, new TextDecoder().decode(error.body)], [418, "short and stout"]);
  });
});
