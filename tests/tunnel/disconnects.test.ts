import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, fillUntilStalled } from "../support/net.ts";
import type { Script } from "../support/scripted_server.ts";
import { assertNothingLeft, withTunnel } from "./stage.ts";

const ANSWER_BYTES = 64 * 1024 * 1024;
const piece = new Uint8Array(64 * 1024);

/** An upstream that does not answer. */
const hang: Script = async (peer) => {
  await peer.readHead();
  await peer.whenClosed();
};

/** An upstream that begins an answer with events and does not end it. A FIN ends it, too (half_closed.test.ts). */
const stream: Script = async (peer) => {
  await peer.readHead();
  await peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
  await peer.send("Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
  await peer.whenClosed();
};

describe("a disconnect, through a tunnel", () => {
  for (const how of ["resets", "ends"] as const) {
    it(`resets the upstream at once when the client ${how} in the midst of the answer`, async () => {
      await withTunnel(stream, async ({ ask, tunnel, upstream }) => {
        const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
        await client.readUntil("first");
        if (how === "resets") client.socket.reset();
        else client.socket.end();
        const peer = await upstream.peer(0);
        await peer.whenClosed();
        assert.equal(peer.reset, true);
        await assertNothingLeft(tunnel);
      });
    });
  }

  it("resets the upstream when the client leaves before the answer's head", async () => {
    await withTunnel(hang, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
      client.socket.reset();
      await peer.whenClosed();
      await assertNothingLeft(tunnel);
    });
  });

  it("resets the upstream when the client leaves in the midst of its upload", async () => {
    await withTunnel(hang, async ({ ask, tunnel, upstream }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\nhalf");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("half"));
      client.socket.reset();
      await peer.whenClosed();
      assert.deepEqual([peer.reset, peer.ended], [true, false]);
      await assertNothingLeft(tunnel);
    });
  });

  it("resets the upstream when the client leaves an upload that the upstream does not take", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.discard();
      peer.pause();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.includes("\r\n\r\n"));
      await fillUntilStalled(client.socket);
      client.socket.reset();
      await assertNothingLeft(tunnel);
      peer.resume();
      await peer.whenClosed();
      assert.deepEqual([peer.reset, peer.ended], [true, false]);
    });
  });

  it("resets a client that does not read when the upstream is reset", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${ANSWER_BYTES}\r\n\r\n`);
      for (let sent = -1; sent < peer.sentBytes;) {
        sent = peer.sentBytes;
        await peer.send(piece);
      }
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      await client.readUntil("\r\n\r\n");
      client.socket.pause();
      const peer = await upstream.peer(0);
      let looks = 0;
      let sent = 0;
      await eventually(() => {
        looks = peer.unsentBytes > 0 && peer.sentBytes === sent ? looks + 1 : 0;
        sent = peer.sentBytes;
        return looks > 50;
      }, { deadlineMs: 30_000 });
      peer.abort();
      await assertNothingLeft(tunnel);
      await eventually(() => client.sawClose);
      assert.equal((await client.closed)?.code, "connection_reset");
    });
  });

  it("breaks the client's answer off, without a last chunk, when the agent leaves", async () => {
    await withTunnel(stream, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      await client.readUntil("first");
      tunnel.agent.close();
      assert.equal((await client.closed)?.code, "connection_reset");
      assert.equal(client.sawEnd, false);
      await (await upstream.peer(0)).whenClosed();
    });
  });

  it("answers 502 to a client that had no head yet when the agent leaves", async () => {
    await withTunnel(hang, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
      tunnel.agent.close();
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 [^]*^X-Runnel-Error: agent_lost\r$/m);
      client.socket.reset();
    });
  });

  it("leaves nothing behind after 1,000 clients in a row", async () => {
    await withTunnel(stream, async ({ ask, tunnel, upstream }) => {
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 50 }, async () => {
          const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
          await client.readUntil("first");
          client.socket.reset();
        }));
      }
      await assertNothingLeft(tunnel);
      await eventually(() => upstream.open === 0 && tunnel.edge.connections === 0);
      assert.equal(upstream.peers.length, 1_000);
    });
  });
});
