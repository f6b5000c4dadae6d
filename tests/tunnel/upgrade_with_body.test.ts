/**
 * Upgrades whose request has a body, as `docker exec` and `docker attach` ask for: the requests are those of Docker
 * 28.2.2's client, the answers those of its daemon.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, latin1, type SocketReader } from "../support/net.ts";
import { type Script, type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import { exchange, type Tunnel, withTunnelTo } from "../support/tunnel.ts";
import { assertNothingLeft, withTunnel, write } from "./stage.ts";

const content = '{"Detach":false,"Tty":false}\n';

function execStart(tunnel: Tunnel, body = content, more = ""): string {
  return `POST /v1.43/exec/e1/start HTTP/1.1\r\nHost: ${tunnel.host}\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\n` +
    `Content-Length: ${body.length}\r\nConnection: Upgrade\r\nContent-Type: application/json\r\n` +
    `Upgrade: tcp\r\n${more}\r\n${body}`;
}

const switched = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n" +
  "Connection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.43\r\nDocker-Experimental: false\r\nOstype: linux\r\n" +
  "Server: Docker/24.0.5 (linux)\r\n\r\n";

/** A piece of output as the daemon frames it. */
function output(text: string, stream = 1): string {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(text.length, 4);
  return head.toString("latin1") + text;
}

/** Reads a request: its head, and its body by the Content-Length. */
async function readRequest(peer: ScriptedPeer): Promise<{ head: string; body: string }> {
  const head = await peer.readHead();
  return { head, body: await peer.read(Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0)) };
}

/** A daemon: reads the request, switches, and gives each line of input back until the input ends. */
function dockerd(requests: { head: string; body: string }[] = []): Script {
  return async (peer) => {
    requests.push(await readRequest(peer));
    await peer.send(switched + output("ready\n"));
    for (let line = await nextLine(peer); line !== null; line = await nextLine(peer)) await peer.send(output(line));
    await peer.send(output("bye\n", 2));
    peer.end();
  };
}

/** A line of input; null at its end. */
async function nextLine(peer: ScriptedPeer): Promise<string | null> {
  return await peer.readUntil("\n").catch(() => null);
}

/** Reads `text` off the client's connection. */
async function expect(client: SocketReader, text: string): Promise<void> {
  assert.equal(latin1(await client.read(text.length)), text);
}

/** Runs `use` with a client that has written `request`. */
async function withClient(tunnel: Tunnel, request: string, use: (client: SocketReader) => Promise<void>) {
  const client = await tunnel.connect();
  write(client, request);
  await use(client);
  client.socket.reset();
}

describe("an upgrade with a body", () => {
  it("brings the daemon the body and the Upgrade, and carries input and output when it switches", async () => {
    const requests: { head: string; body: string }[] = [];
    await withTunnel(dockerd(requests), async ({ tunnel }) => {
      await withClient(tunnel, execStart(tunnel), async (client) => {
        const head = await client.readUntil("\r\n\r\n");
        assert.match(head, /^HTTP\/1\.1 101 /);
        assert.match(head, /^Upgrade: tcp\r$/m);
        assert.match(head, /^Content-Type: application\/vnd\.docker\.multiplexed-stream\r$/m);
        assert.match(head, /^Api-Version: 1\.43\r$/m);
        await expect(client, output("ready\n"));
        write(client, "ls\n");
        await expect(client, output("ls\n"));
        // The client closes its input, as at the end of a pipe, and reads what is left.
        write(client, "exit\n");
        client.socket.end();
        assert.equal(latin1(await client.readAll()), output("exit\n") + output("bye\n", 2));
      });
      await assertNothingLeft(tunnel);
    });
    const [{ head, body }] = requests;
    assert.equal(body, content);
    assert.match(head, /^POST \/v1\.43\/exec\/e1\/start HTTP\/1\.1\r\n/);
    assert.match(head, /^Upgrade: tcp\r$/m);
    assert.match(head, /^Connection: Upgrade\r$/m);
    assert.equal(head.match(/^content-length:/gim)?.length, 1);
  });

  for (const length of ["", "Content-Length: 0\r\n"]) {
    it(`passes as POST ${length === "" ? "without a Content-Length" : length.trim()}, as attach asks`, async () => {
      await withTunnel(dockerd(), async ({ tunnel }) => {
        const request = `POST /v1.43/containers/c1/attach?stderr=1&stdin=1&stdout=1&stream=1 HTTP/1.1\r\n` +
          `Host: ${tunnel.host}\r\n${length}Connection: Upgrade\r\nContent-Type: text/plain\r\nUpgrade: tcp\r\n\r\n`;
        await withClient(tunnel, request + "early\n", async (client) => {
          assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 101 /);
          await expect(client, output("ready\n") + output("early\n"));
        });
      });
    });
  }

  it("begins the raw bytes behind the body, wherever the client's bytes are cut", async () => {
    const requests: { head: string; body: string }[] = [];
    await withTunnel(dockerd(requests), async ({ tunnel }) => {
      const text = execStart(tunnel) + "in\n";
      const from = text.indexOf("\r\n\r\n") - 2;
      for (let cut = from; cut <= text.length; cut++) {
        const client = await tunnel.connect();
        write(client, text.slice(0, cut));
        // The rest leaves in another tick, so that the edge gets both apart.
        await new Promise((resolve) => setImmediate(resolve));
        write(client, text.slice(cut));
        await client.readUntil("\r\n\r\n");
        await expect(client, output("ready\n") + output("in\n"));
        client.socket.reset();
      }
      assert.ok(requests.length > content.length);
      assert.ok(requests.every(({ body }) => body === content));
    });
  });

  it("is carried by backpressure when the body is larger than all buffers on the way", async () => {
    const body = "0123456789abcdef".repeat(512 * 1024);
    let received = "";
    const isStalled = Promise.withResolvers<void>();
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.pause();
      await isStalled.promise;
      peer.resume();
      received = await peer.read(body.length);
      peer.send(switched);
      peer.send(await peer.readUntil("\n"));
    }, async ({ tunnel }) => {
      // Made before the client connects, which would be too slow with its head otherwise.
      const request = Buffer.from(execStart(tunnel, body) + "raw\n", "latin1");
      await withClient(tunnel, "", async (client) => {
        client.socket.write(request);
        await eventually(() => client.socket.bufferedBytes > 0);
        isStalled.resolve();
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 101 /);
        await expect(client, "raw\n");
      });
    });
    assert.ok(received === body, "the daemon got the body that was sent");
  });

  for (
    const [status, why] of [["404 Not Found", "No such exec instance: e1"], ["409 Conflict", "Container is paused"]]
  ) {
    it(`is an ordinary answer when the daemon refuses with ${status}: what follows are requests`, async () => {
      const requests: { head: string; body: string }[] = [];
      const answer = `{"message":"${why}"}\n`;
      await withTunnel(async (peer) => {
        for (;;) {
          requests.push(await readRequest(peer));
          peer.send(
            `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`,
          );
        }
      }, async ({ tunnel, upstream }) => {
        // A request that was sent behind the body must not reach the daemon as raw bytes.
        const next = `GET /v1.43/version HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`;
        await withClient(tunnel, execStart(tunnel) + next, async (client) => {
          for (let count = 0; count < 2; count++) {
            const head = await client.readUntil("\r\n\r\n");
            assert.ok(head.startsWith(`HTTP/1.1 ${status.slice(0, 3)} `), head);
            assert.doesNotMatch(head, /^(upgrade|connection|x-runnel-error):/im);
            await expect(client, answer);
          }
        });
        assert.equal(upstream.peers.length, 2, "the upstream's connection was not used again");
        await assertNothingLeft(tunnel);
      });
      assert.deepEqual(requests.map(({ body }) => body), [content, ""]);
      assert.match(requests[1].head, /^GET \/v1\.43\/version HTTP\/1\.1\r\n/);
      assert.match(requests[1].head, /^X-Forwarded-For: /m);
    });
  }

  it("brings the whole body to an upstream that refuses before it has it", async () => {
    const body = "x".repeat(256 * 1024);
    let received = "";
    await withTunnel(async (peer) => {
      const head = await peer.readHead();
      if (head.startsWith("GET / ")) return peer.send("HTTP/1.1 204 No Content\r\n\r\n");
      peer.send("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n");
      received = await peer.read(Number(/^content-length: (\d+)\r$/im.exec(head)?.[1]));
      peer.send("4\r\nmore\r\n0\r\n\r\n");
    }, async ({ tunnel, upstream }) => {
      const request = execStart(tunnel, body);
      await withClient(tunnel, request.slice(0, -1000), async (client) => {
        await client.readUntil("no ");
        write(client, request.slice(-1000));
        await client.readUntil("0\r\n\r\n");
        write(client, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 204 /);
      });
      assert.equal(upstream.peers.length, 2);
    });
    assert.ok(received === body);
  });

  it("carries the upstream's new protocol at once when it switches before it has the whole body", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      assert.equal(await peer.read(5), content.slice(0, 5));
      peer.send(switched + "hello");
      assert.equal(await peer.read(content.length - 5), content.slice(5));
      peer.send(await peer.readUntil("\n"));
    }, async ({ tunnel }) => {
      const request = execStart(tunnel);
      const border = request.length - content.length + 5;
      await withClient(tunnel, request.slice(0, border), async (client) => {
        await client.readUntil("\r\n\r\n");
        await expect(client, "hello");
        write(client, request.slice(border) + "raw\n");
        await expect(client, "raw\n");
      });
    });
  });

  it("meets an expectation before it sends the body", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      await peer.read(content.length);
      peer.send(switched);
      peer.send(await peer.readUntil("\n"));
    }, async ({ tunnel }) => {
      const request = execStart(tunnel, content, "Expect: 100-continue\r\n");
      await withClient(tunnel, request.slice(0, -content.length), async (client) => {
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 100 /);
        write(client, content + "raw\n");
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 101 /);
        await expect(client, "raw\n");
      });
    });
  });

  for (const when of ["in the middle of its body", "before the verdict"]) {
    it(`is reset at the upstream when the client leaves ${when}`, async () => {
      await withTunnel(async (peer) => {
        await peer.readHead();
        await peer.whenClosed();
      }, async ({ tunnel, upstream }) => {
        const request = execStart(tunnel);
        const client = await tunnel.connect();
        write(client, when === "before the verdict" ? request : request.slice(0, -3));
        const peer = await upstream.peer(0);
        await peer.waitFor(() => peer.received.includes('{"Detach"'));
        client.socket.reset();
        await peer.whenClosed();
        assert.ok(peer.reset);
        await assertNothingLeft(tunnel);
      });
    });
  }

  it("passes without its Upgrade when its body comes in chunks, whose end no Content-Length tells", async () => {
    let seen = "";
    await withTunnel(async (peer) => {
      seen = await peer.readHead() + await peer.read(3);
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }, async ({ tunnel }) => {
      const answer = await exchange(
        tunnel,
        `POST /session HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade, close\r\nUpgrade: tcp\r\n` +
          "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      );
      assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*ok$/);
    });
    assert.doesNotMatch(seen, /upgrade/i);
    assert.match(seen, /\r\n\r\nabc$/);
  });

  it("gets the output of a daemon that answers 200 and takes the connection over, as before Docker 1.8", async () => {
    const isRead = Promise.withResolvers<void>();
    await withTunnel(async (peer) => {
      await readRequest(peer);
      await peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n");
      peer.send("first\n");
      await isRead.promise;
      peer.send("last\n");
      peer.end();
    }, async ({ tunnel }) => {
      await withClient(tunnel, execStart(tunnel), async (client) => {
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
        await expect(client, "6\r\nfirst\n\r\n");
        isRead.resolve();
        await expect(client, "5\r\nlast\n\r\n0\r\n\r\n");
      });
    });
  });

  it("passes without its Upgrade where the agent speaks JSON", async () => {
    const requests: { head: string; body: string }[] = [];
    const server = await ScriptedServer.start(async (peer) => {
      for (;;) {
        requests.push(await readRequest(peer));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
      }
    });
    await withTunnelTo(server, { protocol: "json" }, async (tunnel) => {
      const next = `GET /next HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`;
      await withClient(tunnel, execStart(tunnel) + next, async (client) => {
        for (let count = 0; count < 2; count++) await client.readUntil("plain");
      });
    });
    assert.deepEqual(requests.map(({ body }) => body), [content, ""]);
    assert.doesNotMatch(requests[0].head, /upgrade/i);
  });
});

describe("an upgrade to one of several protocols", () => {
  const asked =
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: foo/2, H2C ,,websocket\r\nHTTP2-Settings: AAMAAABk\r\n" +
    "Upgrade: bar\r\n";

  function answering(token: string, heads: string[]): Script {
    return async (peer) => {
      heads.push(await peer.readHead());
      peer.send(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${token}\r\n\r\n`);
      peer.send(await peer.readUntil("\n"));
    };
  }

  for (const token of ["foo/2", "foo", "websocket", "WebSocket/13", "BAR"]) {
    it(`switches to ${token}, which was asked for`, async () => {
      const heads: string[] = [];
      await withTunnel(answering(token, heads), async ({ tunnel }) => {
        await withClient(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${asked}\r\n`, async (client) => {
          const head = await client.readUntil("\r\n\r\n");
          assert.match(head, /^HTTP\/1\.1 101 /);
          assert.equal(/^Upgrade: (.*)\r$/m.exec(head)?.[1], token);
          write(client, "raw\n");
          await expect(client, "raw\n");
        });
      });
      assert.match(heads[0], /^Upgrade: foo\/2, websocket, bar\r$/m);
      assert.match(heads[0], /^Connection: Upgrade\r$/m);
      assert.doesNotMatch(heads[0], /h2c|http2-settings/i);
    });
  }

  for (const token of ["foo/3", "h2c", "baz", "foo/2, bar", "fo"]) {
    it(`is a 502 when the upstream switches to ${token}`, async () => {
      await withTunnel(answering(token, []), async ({ tunnel }) => {
        await withClient(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${asked}\r\n`, async (client) => {
          assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 502 [^]*^X-Runnel-Error: upstream_invalid\r$/m);
        });
      });
    });
  }

  it("passes without its Upgrade where the agent speaks JSON", async () => {
    const server = await ScriptedServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
    await withTunnelTo(server, { protocol: "json" }, async (tunnel, upstream) => {
      await withClient(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${asked}\r\n`, async (client) => {
        assert.match(await client.readUntil("plain"), /^HTTP\/1\.1 200 /);
      });
      assert.doesNotMatch(upstream.peers[0].received, /upgrade/i);
    });
  });
});
