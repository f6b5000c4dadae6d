import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { bytesOf, SocketReader } from "../support/net.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { exchange, startTunnel, type Tunnel, withTunnelTo } from "../support/tunnel.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function upgradeRequest(tunnel: Tunnel, token: string, more = ""): Uint8Array {
  const head = `GET /room HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade\r\nUpgrade: ${token}\r\n`;
  return bytesOf(`${head}${more}\r\n`);
}

/** Runs `use` with a tunnel to an upstream that does as `script` says, and ends both. */
async function withUpstream(
  script: Script,
  use: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
): Promise<void> {
  await withTunnelTo(await ScriptedServer.start(script), { protocol: "v2" }, use);
}

const accept = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nX-Room: 7\r\n\r\n";

/** An upstream that switches protocols, and then does nothing. */
const switchAndWait: Script = async (peer) => {
  await peer.readHead();
  await peer.send(accept);
  await peer.whenClosed();
};

/** A client whose upgrade the upstream answered with `accept`. */
async function connectUpgraded(tunnel: Tunnel): Promise<SocketReader> {
  const client = await tunnel.connect();
  client.socket.write(upgradeRequest(tunnel, "chat/2"));
  const head = await client.readUntil("\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 101 /);
  return client;
}

describe("an upgrade through a tunnel", () => {
  it("takes a made-up token, the handshake's fields unchanged, and bytes both ways", async () => {
    let seen = "";
    await withUpstream(async (peer) => {
      seen = await peer.readHead();
      peer.send(accept + "first");
      peer.send((await peer.readUntil("!")).toUpperCase());
    }, async (tunnel) => {
      const client = await tunnel.connect();
      client.socket.write(
        upgradeRequest(tunnel, "chat/2", "X-Key: a\xe9\r\nX-KEY: b\r\nSec-WebSocket-Key: same==\r\n"),
      );
      const head = await client.readUntil("\r\n\r\n");
      assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
      assert.match(head, /^Upgrade: chat\/2\r$/m);
      assert.match(head, /^X-Room: 7\r$/m);
      assert.equal(decode(await client.read(5)), "first");
      client.socket.write(bytesOf("hello!"));
      assert.equal(decode(await client.read(6)), "HELLO!");
      client.socket.reset();
    });
    assert.match(seen, /^GET \/room HTTP\/1\.1\r$/m);
    assert.match(seen, /^Upgrade: chat\/2\r$/m);
    assert.match(seen, /^Connection: .*Upgrade/im);
    assert.match(seen, /^X-Key: a\xe9\r\nX-KEY: b\r\nSec-WebSocket-Key: same==\r$/m);
  });

  it("passes an upstream's refusal on as the answer that it is", async () => {
    await withUpstream(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nX-Why: tired\r\nContent-Length: 4\r\n\r\nnope");
    }, async (tunnel, upstream) => {
      const client = await tunnel.connect();
      client.socket.write(upgradeRequest(tunnel, "chat/2"));
      const head = await client.readUntil("\r\n\r\n");
      assert.match(head, /^HTTP\/1\.1 403 Forbidden\r\n/);
      assert.match(head, /^X-Why: tired\r$/m);
      assert.doesNotMatch(head, /x-runnel-error|^upgrade/im);
      assert.equal(decode(await client.read(4)), "nope");
      client.socket.reset();
      assert.ok((await upstream.peer(0)).received.endsWith("\r\n\r\n"), "nothing came behind the head");
    });
  });

  it("passes early bytes of the client's on behind the 101", async () => {
    await withUpstream(async (peer) => {
      await peer.readHead();
      peer.send(accept);
      peer.send(await peer.read(5));
    }, async (tunnel) => {
      const client = await tunnel.connect();
      client.socket.write(bytesOf(Buffer.from(upgradeRequest(tunnel, "chat/2")).toString("latin1") + "early"));
      await client.readUntil("\r\n\r\n");
      assert.equal(decode(await client.read(5)), "early");
      client.socket.reset();
    });
  });

  it("carries the client's FIN to the upstream while the other direction goes on", async () => {
    await withUpstream(async (peer) => {
      await peer.readHead();
      await peer.send(accept);
      await peer.gone();
      assert.equal(peer.ended, true);
      await peer.send("still here");
      peer.end();
    }, async (tunnel) => {
      const client = await connectUpgraded(tunnel);
      client.socket.end();
      assert.equal(decode(await client.readAll()), "still here");
    });
  });

  it("carries the upstream's FIN to the client while the other direction goes on", async () => {
    let last = "";
    await withUpstream(async (peer) => {
      await peer.readHead();
      await peer.send(accept + "bye");
      peer.end();
      last = await peer.readUntil("!");
      await peer.gone();
    }, async (tunnel, upstream) => {
      const client = await connectUpgraded(tunnel);
      assert.equal(decode(await client.readAll()), "bye");
      client.socket.write(bytesOf("one more thing!"));
      client.socket.end();
      await (await upstream.peer(0)).whenClosed();
    });
    assert.equal(last, "one more thing!");
  });

  it("is reset at the client, never ended cleanly, when the upstream severs it", async () => {
    await withUpstream(async (peer) => {
      await peer.readHead();
      await peer.send(accept + "half a mess");
      await peer.readUntil("now");
      peer.abort();
    }, async (tunnel) => {
      const client = await connectUpgraded(tunnel);
      assert.equal(decode(await client.read(11)), "half a mess");
      client.socket.write(bytesOf("now"));
      assert.equal((await client.closed)?.code, "connection_reset");
      assert.equal(client.sawEnd, false);
    });
  });

  it("is reset at the upstream when the client severs it", async () => {
    await withUpstream(switchAndWait, async (tunnel, upstream) => {
      const client = await connectUpgraded(tunnel);
      client.socket.reset();
      const peer = await upstream.peer(0);
      await peer.whenClosed();
      assert.deepEqual([peer.reset, peer.ended], [true, false]);
    });
  });

  it("is reset at the client when the agent goes", async () => {
    await withUpstream(switchAndWait, async (tunnel, upstream) => {
      const client = await connectUpgraded(tunnel);
      tunnel.agent.close();
      assert.equal((await client.closed)?.code, "connection_reset");
      await (await upstream.peer(0)).whenClosed();
    });
  });

  it("leaves an unsolicited 101 out: 502", async () => {
    await withUpstream(switchAndWait, async (tunnel) => {
      const got = await exchange(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
      assert.match(got, /^HTTP\/1\.1 502 /);
      assert.match(got, /^X-Runnel-Error: upstream_invalid\r$/m);
    });
  });

  it("takes a 101 to another protocol for an error: 502", async () => {
    await withUpstream(switchAndWait, async (tunnel) => {
      const client = await tunnel.connect();
      client.socket.write(upgradeRequest(tunnel, "websocket"));
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 [^]*^X-Runnel-Error: upstream_invalid\r$/m);
      client.socket.reset();
    });
  });

  for (const fields of ["Upgrade: h2c\r\n", "Upgrade: H2C\r\nUpgrade: h2c\r\n", "Upgrade: H2C\r\n"]) {
    it(`never passes ${fields.trim().replace("\r\n", ", ")} on`, async () => {
      let seen = "";
      await withUpstream(async (peer) => {
        seen = await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
      }, async (tunnel) => {
        const got = await exchange(
          tunnel,
          `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade, HTTP2-Settings, close\r\n` +
            `HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n${fields}\r\n`,
        );
        assert.match(got, /^HTTP\/1\.1 200 OK\r\n[^]*plain$/);
      });
      assert.doesNotMatch(seen, /upgrade|h2c|http2-settings/i);
    });
  }

  it("is a 501 with a reason where the agent speaks JSON", async () => {
    const upstream = await ScriptedServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const tunnel = await startTunnel(upstream.target, { protocol: "json" });
    const client = await tunnel.connect();
    client.socket.write(upgradeRequest(tunnel, "websocket"));
    const head = await client.readUntil("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 501 /);
    assert.match(head, /^X-Runnel-Error: upgrade_not_supported\r$/m);
    assert.equal(upstream.peers.length, 0);
    client.socket.reset();
    await tunnel.close();
    await upstream.close();
  });
});

describe("the silence of an upgrade", () => {
  let upstream: ScriptedServer;
  let tunnel: Tunnel;
  before(async () => {
    upstream = await ScriptedServer.start(async (peer) => {
      if ((await peer.readHead()).startsWith("GET /idle ")) {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
        return await peer.whenClosed();
      }
      peer.send(accept);
      peer.send(await peer.readUntil("!"));
    });
    tunnel = await startTunnel(upstream.target, {
      protocol: "v2",
      edge: { timeouts: { firstByteMs: 5_000, idleMs: 20, streamIdleMs: 20 } },
    });
  });
  after(async () => {
    await tunnel.close();
    await upstream.close();
  });

  it("is no reason for an idle timeout", async () => {
    const client = await connectUpgraded(tunnel);
    // An ordinary answer that began later and is broken off for its silence tells that the time has passed.
    const idle = await tunnel.connect();
    idle.socket.write(bytesOf(`GET /idle HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`));
    assert.equal((await idle.closed)?.code, "connection_reset");
    client.socket.write(bytesOf("awake!"));
    assert.equal(decode(await client.read(6)), "awake!");
    client.socket.reset();
  });
});
