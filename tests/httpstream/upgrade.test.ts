/** Connections made of HTTP requests, on real sockets. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Handler, RequestHead } from "../../src/http/message.ts";
import { HttpServer } from "../../src/http1/server/server.ts";
import { type Connection, WebSocketRoundTripper, WebSocketUpgrader } from "../../src/httpstream/mod.ts";
import { dialWebSocket, HandshakeError } from "../../src/websocket/mod.ts";
import { startTcpServer } from "../support/net.ts";
import { echo, readAll } from "./pair.ts";

/** A server that answers every request with an upgrade, and the connections that it made. */
async function start(handler?: Handler) {
  const connections: Connection[] = [];
  const upgrader = new WebSocketUpgrader({ onStream: echo });
  const http = new HttpServer(
    handler ??
      ((head) => Promise.resolve(upgrader.upgradeResponse(head, (connection) => connections.push(connection)))),
  );
  const tcp = await startTcpServer((socket) => http.accept(socket));
  return {
    target: { target: tcp.target, authority: "edge.test", path: "/agent" },
    connections,
    async stop() {
      http.close();
      await tcp.close();
    },
  };
}

const upgradeHead: RequestHead = {
  method: "GET",
  target: "/agent",
  scheme: "http",
  authority: "edge.test",
  fields: [
    "Sec-WebSocket-Version",
    "13",
    "Sec-WebSocket-Key",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol",
    "runnel.v2",
  ],
  upgrade: "websocket",
  client: "127.0.0.1",
  id: "1",
};

describe("WebSocketUpgrader", () => {
  it("WebSocketUpgrader makes a connection of a request, and WebSocketRoundTripper of its answer", async () => {
    const server = await start();
    const { connection, fields } = await new WebSocketRoundTripper({ onStream: echo }).connect(server.target);
    assert.match(fields[fields.indexOf("Runnel-Session") + 1], /^[0-9a-f]{32}$/);
    assert.ok(fields.includes("Runnel-Resume-Timeout"));
    const sent = new Uint8Array(2_000_000).map((_, index) => index * 3 + (index >> 9));
    for (const opener of [connection, server.connections[0]]) {
      const stream = opener.createStream([":path", "/"]);
      const writer = stream.writable.getWriter();
      const writing = writer.write(sent).then(() => writer.close());
      const got = await readAll(stream.readable);
      await writing;
      assert.equal(Buffer.compare(got, sent), 0);
    }
    assert.equal((await connection.drain()).error, null);
    assert.equal((await server.connections[0].closed).error, null);
    for (const { streams, bufferedBytes } of [connection, server.connections[0]]) {
      assert.equal(streams + bufferedBytes, 0);
    }
    await server.stop();
  });

  it("WebSocketUpgrader answers with the reason when a request is no upgrade to it", () => {
    const upgrader = new WebSocketUpgrader();
    const without = (name: string) => {
      const at = upgradeHead.fields.indexOf(name);
      return [...upgradeHead.fields.slice(0, at), ...upgradeHead.fields.slice(at + 2)];
    };
    const cases: [Partial<RequestHead>, number, RegExp][] = [
      [{ upgrade: undefined }, 426, /does not ask for a WebSocket/],
      [{ method: "POST" }, 400, /POST/],
      [{ fields: without("Sec-WebSocket-Key") }, 400, /Sec-WebSocket-Key/],
      [{ fields: without("Sec-WebSocket-Version") }, 400, /Sec-WebSocket-Version/],
      [{ fields: without("Sec-WebSocket-Protocol") }, 400, /does not offer runnel\.v2/],
      [{ fields: [...without("Sec-WebSocket-Protocol"), "Sec-WebSocket-Protocol", "chat"] }, 400, /chat/],
    ];
    for (const [change, status, reason] of cases) {
      const answer = upgrader.upgradeResponse({ ...upgradeHead, ...change }, () => assert.fail("no connection"));
      assert.equal(answer.status, status);
      assert.equal(answer.takeSocket, undefined);
      assert.match(new TextDecoder().decode(answer.body as Uint8Array), reason);
    }
  });

  it("WebSocketUpgrader sends the fields that its caller adds, and a new session each time", () => {
    const upgrader = new WebSocketUpgrader();
    const session = ({ fields }: Answer) => fields[fields.indexOf("Runnel-Session") + 1];
    const first = upgrader.upgradeResponse(upgradeHead, () => {}, ["Runnel-Version", "1.2.3"]);
    assert.equal(first.fields.at(-1), "1.2.3");
    assert.notEqual(session(first), session(upgrader.upgradeResponse(upgradeHead, () => {})));
  });
});

describe("WebSocketRoundTripper", () => {
  it("WebSocketRoundTripper fails with the answer when it is no upgrade", async () => {
    const body = new TextEncoder().encode("no");
    const server = await start(() => Promise.resolve({ status: 401, fields: [], body }));
    await assert.rejects(new WebSocketRoundTripper().connect(server.target), (error: HandshakeError) => {
      assert.ok(error instanceof HandshakeError);
      assert.deepEqual([error.status, new TextDecoder().decode(error.body)], [401, "no"]);
      return true;
    });
    await server.stop();
  });
});

describe("WebSocketLink", () => {
  it("WebSocketLink ends the connection when the peer is lost, and its streams with it", async () => {
    const server = await start();
    const { socket } = await dialWebSocket({ ...server.target, protocols: ["runnel.v2"] });
    socket.reset();
    const { error } = await server.connections[0].closed;
    assert.equal(error?.code, "link_lost");
    await server.stop();
  });

  it("WebSocketLink ends the connection when a text message comes", async () => {
    const server = await start();
    const { socket } = await dialWebSocket({ ...server.target, protocols: ["runnel.v2"] });
    // A masked text frame "x", then a FIN: this side does not answer the close frame that it causes.
    socket.write(new Uint8Array([0x81, 0x81, 0, 0, 0, 0, 0x78]));
    socket.end();
    const { error } = await server.connections[0].closed;
    assert.equal(error?.code, "link_lost");
    socket.reset();
    await server.stop();
  });
});
