import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { V2EdgeSession } from "../../src/session/v2/edge_session.ts";
import { eventually, fillUntilStalled, type SocketReader } from "../support/net.ts";
import type { Tunnel } from "../support/tunnel.ts";
import { withTunnel, write } from "./stage.ts";

const UPLOAD_BYTES = 64 * 1024 * 1024;
const piece = new Uint8Array(64 * 1024);

/** Sends `UPLOAD_BYTES` as fast as they are taken, for as long as the connection lives. */
async function upload(client: SocketReader): Promise<number> {
  let sent = 0;
  while (sent < UPLOAD_BYTES && !client.sawClose && !client.sawEnd) {
    const drains = client.drains;
    sent += piece.length;
    if (!client.socket.write(piece)) await eventually(() => client.drains > drains || client.sawClose || client.sawEnd);
  }
  return sent;
}

/** Nothing is left of any exchange, at either end of the link. */
async function nothingLeft(tunnel: Tunnel): Promise<void> {
  const session = tunnel.edge.tunnels.get("shop")!.session as V2EdgeSession;
  await eventually(() => session.active === 0 && tunnel.agent.tunnel!.session.active === 0);
  assert.equal(session.bufferedBytes, 0);
}

describe("an early answer through a tunnel", () => {
  for (const status of ["413 Content Too Large", "401 Unauthorized"]) {
    for (const framing of ["length", "chunked"]) {
      it(`of ${status} is delivered while a ${framing} upload is under way, which stops`, async () => {
        await withTunnel(async (peer) => {
          await peer.readHead();
          await peer.waitFor(() => peer.received.length > 100_000);
          await peer.send(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
        }, async ({ ask, tunnel, upstream }) => {
          const head = framing === "length" ? `Content-Length: ${UPLOAD_BYTES}` : "Transfer-Encoding: chunked";
          const client = await ask(`POST / HTTP/1.1\r\nHost: HOST\r\n${head}\r\n\r\n`);
          if (framing === "chunked") write(client, `${UPLOAD_BYTES.toString(16)}\r\n`);
          const uploaded = upload(client);
          const got = await client.readUntil("\r\n\r\nno");
          assert.ok(got.startsWith(`HTTP/1.1 ${status}\r\n`), got);
          assert.match(got, /^Connection: close\r$/m);
          assert.ok(await uploaded < UPLOAD_BYTES, "the upload was taken to its end");
          await (await upstream.peer(0)).whenClosed();
          client.socket.reset();
          await nothingLeft(tunnel);
        });
      });
    }
  }

  it("that ends before a slow upload does ends that, too", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nover");
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      await client.readUntil("\r\n\r\nover");
      const peer = await upstream.peer(0);
      await peer.whenClosed();
      assert.doesNotMatch(peer.received, /0\r\n\r\n$/, "the upload was ended as if it were whole");
      await nothingLeft(tunnel);
      client.socket.reset();
    });
  });
});

describe("leaving, through a tunnel", () => {
  const streaming = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";

  for (const how of ["resets", "ends"] as const) {
    it(`resets the upstream at once when the client ${how} in the midst of the answer`, async () => {
      await withTunnel(async (peer) => {
        await peer.readHead();
        await peer.send(streaming);
        await peer.whenClosed();
      }, async ({ ask, tunnel, upstream }) => {
        const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
        await client.readUntil("first");
        if (how === "resets") client.socket.reset();
        else client.socket.end();
        const peer = await upstream.peer(0);
        await peer.whenClosed();
        assert.equal(peer.reset, true);
        await nothingLeft(tunnel);
      });
    });
  }

  it("resets the upstream when the client leaves before the answer's head", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
      client.socket.reset();
      await peer.whenClosed();
      await nothingLeft(tunnel);
    });
  });

  it("resets the upstream when the client leaves in the midst of its upload", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\nhalf");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("half"));
      client.socket.reset();
      await peer.whenClosed();
      assert.deepEqual([peer.reset, peer.ended], [true, false]);
      await nothingLeft(tunnel);
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
      await nothingLeft(tunnel);
      peer.resume();
      await peer.whenClosed();
      assert.deepEqual([peer.reset, peer.ended], [true, false]);
    });
  });

  it("of an upstream cuts a client off that does not read", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`);
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
      await nothingLeft(tunnel);
      await eventually(() => client.sawClose);
      assert.equal((await client.closed)?.code, "connection_reset");
    });
  });

  it("breaks the client's answer off, without a last chunk, when the agent leaves", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(streaming);
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      await client.readUntil("first");
      tunnel.agent.close();
      assert.equal((await client.closed)?.code, "connection_reset");
      assert.equal(client.sawEnd, false);
      await (await upstream.peer(0)).whenClosed();
    });
  });

  it("is a 502 to a client that had no head yet when the agent leaves", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
      const peer = await upstream.peer(0);
      await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
      tunnel.agent.close();
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 [^]*^X-Runnel-Error: agent_lost\r$/m);
      client.socket.reset();
    });
  });

  it("leaves nothing behind after 1,000 clients in a row", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send(streaming);
      await peer.whenClosed();
    }, async ({ ask, tunnel, upstream }) => {
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 50 }, async () => {
          const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n");
          await client.readUntil("first");
          client.socket.reset();
        }));
      }
      await nothingLeft(tunnel);
      await eventually(() => upstream.open === 0 && tunnel.edge.connections === 0);
      assert.equal(upstream.peers.length, 1_000);
    });
  });
});

describe("draining, with a request under way", () => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

  it("an edge lets it end, takes no others, and then tells the agent", async () => {
    await withTunnel(async (peer) => {
      await peer.readUntil("go on");
      await peer.send(answer);
    }, async ({ ask, tunnel }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n");
      await eventually(() => tunnel.agent.tunnel!.session.active === 1);
      const { session } = tunnel.agent.tunnel!;
      const drained = tunnel.edge.drain();
      await assert.rejects(tunnel.connect(), { code: "connection_refused" });
      write(client, "go on");
      assert.match(await client.readUntil("done"), /^HTTP\/1\.1 200 OK\r\n/);
      await client.ended;
      client.socket.end();
      await drained;
      const end = await session.closed;
      assert.equal(end.code, "closed");
    });
  });

  it("an agent lets it end, takes no others, and then leaves", async () => {
    await withTunnel(async (peer) => {
      if ((await peer.readHead()).startsWith("POST")) await peer.readUntil("go on");
      await peer.send(answer);
    }, async ({ ask, tunnel }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n");
      await eventually(() => tunnel.agent.tunnel!.session.active === 1);
      const drained = tunnel.agent.drain();
      await eventually(async () => {
        const late = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        const got = await late.readUntil("\r\n\r\n").catch(() => "");
        late.socket.reset();
        return /^HTTP\/1\.1 503 [^]*^X-Runnel-Error: tunnel_offline\r$/m.test(got) && /^Retry-After: /m.test(got);
      });
      write(client, "go on");
      assert.match(await client.readUntil("done"), /^HTTP\/1\.1 200 OK\r\n/);
      client.socket.reset();
      await drained;
      await eventually(() => tunnel.edge.tunnels.get("shop")?.session === null);
    });
  });
});
