import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { V2EdgeSession } from "../../src/session/v2/edge_session.ts";
import { eventually } from "../support/net.ts";
import { startTunnel, type Tunnel } from "../support/tunnel.ts";
import { type ForeignServer, type ForeignSocket, WebSocket, WebSocketServer } from "../websocket/foreign.ts";

const MEBIBYTE = 1024 * 1024;
/** What docs/protocol.md allows for one stream: its initial window at either end, and the connection's pool. */
const ONE_STREAM_BYTES = 8 * MEBIBYTE + 2 * 64 * 1024;

interface Meeting {
  readonly client: ForeignSocket;
  /** The upstream's end. */
  readonly server: ForeignSocket;
}

/** Resolves with the code that the socket closed with. */
async function closeCode(socket: ForeignSocket): Promise<number> {
  const [code] = await once(socket, "close");
  return code;
}

async function nextMessage(socket: ForeignSocket): Promise<Buffer> {
  const [data] = await once(socket, "message");
  return data;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

for (const perMessageDeflate of [false, true]) {
  describe(`a WebSocket through a tunnel ${perMessageDeflate ? "with" : "without"} permessage-deflate`, () => {
    let upstream: ForeignServer;
    let tunnel: Tunnel;

    before(async () => {
      upstream = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate });
      await once(upstream, "listening");
      const { port } = upstream.address() as AddressInfo;
      tunnel = await startTunnel({ kind: "tcp", host: "127.0.0.1", port }, { protocol: "v2" });
    });
    after(async () => {
      for (const socket of upstream.clients) socket.terminate();
      await tunnel.close();
      upstream.close();
    });

    async function meet(): Promise<Meeting> {
      const connected = once(upstream, "connection");
      const headers = { Host: tunnel.host };
      const client = new WebSocket(`ws://127.0.0.1:${tunnel.port}/chat?x=%41`, { headers, perMessageDeflate });
      const [[server]] = await Promise.all([connected, once(client, "open")]);
      for (const socket of [client, server]) socket.on("error", () => {});
      return { client, server };
    }

    it("negotiates extensions end to end", async () => {
      const { client, server } = await meet();
      assert.equal(client.extensions.includes("permessage-deflate"), perMessageDeflate);
      assert.equal(server.extensions, client.extensions);
      client.terminate();
    });

    for (const size of [1, 125, 126, 65_535, 65_536, MEBIBYTE, 16 * MEBIBYTE]) {
      it(`carries a message of ${size} bytes both ways`, async () => {
        const { client, server } = await meet();
        const message = randomBytes(size);
        const received = nextMessage(server);
        client.send(message);
        const there = await received;
        const echoed = nextMessage(client);
        server.send(there);
        assert.equal(digest(await echoed), digest(message));
        client.terminate();
      });
    }

    it("carries 10,000 small messages in order", async () => {
      const { client, server } = await meet();
      let echoed = 0;
      let inOrder = true;
      server.on("message", (data: Buffer) => server.send(data));
      client.on("message", (data: Buffer) => {
        inOrder &&= data.toString() === `message ${echoed}`;
        echoed++;
      });
      for (let number = 0; number < 10_000; number++) client.send(`message ${number}`);
      await eventually(() => echoed === 10_000, { deadlineMs: 30_000 });
      assert.equal(inOrder, true);
      client.terminate();
    });

    it("relays ping and pong both ways", async () => {
      const { client, server } = await meet();
      for (const [from, to] of [[client, server], [server, client]]) {
        const heard = Promise.all([once(to!, "ping"), once(from!, "pong")]);
        from!.ping("are you there");
        const [[ping], [pong]] = await heard;
        assert.deepEqual([String(ping), String(pong)], ["are you there", "are you there"]);
      }
      client.terminate();
    });

    it("relays each close code, whoever closes", async () => {
      const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
      for (const code of codes) {
        for (const closer of ["client", "server"] as const) {
          const meeting = await meet();
          const codesSeen = Promise.all([closeCode(meeting.client), closeCode(meeting.server)]);
          meeting[closer].close(code, "because");
          assert.deepEqual(await codesSeen, [code, code], `${closer} closes with ${code}`);
        }
      }
    });

    it("is severed, 1006, at one end when the other end is", async () => {
      for (const end of ["client", "server"] as const) {
        const meeting = await meet();
        const codesSeen = Promise.all([closeCode(meeting.client), closeCode(meeting.server)]);
        meeting[end].terminate();
        assert.deepEqual(await codesSeen, [1006, 1006]);
      }
    });

    it("goes on where one end is silent, until the other gives up", async () => {
      const { client, server } = await meet();
      // It reads nothing more, and so answers neither ping nor close.
      client.pause();
      let pongs = 0;
      server.on("pong", () => pongs++);
      server.ping();
      const { client: other, server: otherEnd } = await meet();
      const message = nextMessage(otherEnd);
      other.send("beside it");
      assert.equal(String(await message), "beside it");
      assert.equal(pongs, 0);
      const code = closeCode(client);
      server.terminate();
      client.resume();
      assert.equal(await code, 1006);
      other.terminate();
    });
  });
}

describe("a slow WebSocket receiver through a tunnel", () => {
  it("stops its sender within the window, and gets everything in order once it reads", async () => {
    const upstream = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await once(upstream, "listening");
    const { port } = upstream.address() as AddressInfo;
    const tunnel = await startTunnel({ kind: "tcp", host: "127.0.0.1", port }, { protocol: "v2" });
    const connected = once(upstream, "connection");
    const client = new WebSocket(`ws://127.0.0.1:${tunnel.port}/`, { headers: { Host: tunnel.host } });
    const [[server]] = await Promise.all([connected, once(client, "open")]);
    const session = tunnel.edge.tunnels.get("shop")!.session as V2EdgeSession;

    client.pause();
    const messages = 64;
    for (let number = 0; number < messages; number++) server.send(Buffer.alloc(MEBIBYTE, number));
    // Nothing moves for 50 looks in a row: all buffers are full.
    let quiet = 0;
    let waiting = -1;
    let most = 0;
    await eventually(() => {
      quiet = server.bufferedAmount === waiting ? quiet + 1 : 0;
      waiting = server.bufferedAmount;
      most = Math.max(most, session.bufferedBytes);
      return quiet > 50;
    }, { deadlineMs: 20_000 });
    assert.ok(waiting > 32 * MEBIBYTE, `${waiting} bytes wait at the sender`);
    assert.ok(most <= ONE_STREAM_BYTES, `the edge held ${most} bytes`);

    let received = 0;
    let inOrder = true;
    client.on("message", (data: Buffer) => {
      inOrder &&= data.length === MEBIBYTE && data[0] === received && data[MEBIBYTE - 1] === received;
      received++;
    });
    client.resume();
    await eventually(() => received === messages, { deadlineMs: 30_000 });
    assert.equal(inOrder, true);
    client.terminate();
    await eventually(() => session.bufferedBytes === 0 && session.active === 0);
    await tunnel.close();
    upstream.close();
  });
});
