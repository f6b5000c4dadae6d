/** Authentication that belongs to a connection, through a whole tunnel: to others than its user it is closed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { latin1, type SocketReader } from "../support/net.ts";
import { ntlmHello, ntlmProof, ntlmServer } from "../support/ntlm_server.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { eventually } from "../support/net.ts";
import { protocols, type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";
import { write } from "./stage.ts";

/** Asks on a visitor's connection, and returns the answer's body. */
async function ask(visitor: SocketReader, tunnel: Tunnel, fields = ""): Promise<string> {
  write(visitor, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${fields}\r\n`);
  const head = await visitor.readUntil("\r\n\r\n");
  return latin1(await visitor.read(Number(/^content-length: (\d+)\r$/im.exec(head)?.[1])));
}

async function signIn(visitor: SocketReader, tunnel: Tunnel, user: string, fields = ""): Promise<string> {
  await ask(visitor, tunnel, fields);
  await ask(visitor, tunnel, `${fields}Authorization: ${ntlmHello}\r\n`);
  return await ask(visitor, tunnel, `${fields}Authorization: ${ntlmProof(user)}\r\n`);
}

async function withNtlm(
  options: TunnelOptions,
  use: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
): Promise<void> {
  await withTunnelTo(await ScriptedServer.start(ntlmServer), options, use);
}

const bound: TunnelOptions = { protocol: "v2", edge: { directVisitors: true }, client: { connectionAuth: true } };

for (const protocol of protocols) {
  describe(`an upstream that authenticates connections, on ${protocol}`, () => {
    it("answers no visitor as another one, whose proof came on a connection before", async () => {
      await withTunnelTo(
        await ScriptedServer.start(async (peer) => {
          // Kerberos needs one step alone: with it, the pooled connection would be the user's at once.
          let user = "nobody";
          for (;;) {
            const head = await peer.readHead();
            user = /^authorization: Negotiate (\S+)\r$/im.exec(head)?.[1] ?? user;
            peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${user.length}\r\n\r\n${user}`);
          }
        }),
        { protocol },
        async (tunnel) => {
          const alice = await tunnel.connect();
          const bob = await tunnel.connect();
          assert.equal(await ask(alice, tunnel, "Authorization: Negotiate alice\r\n"), "alice");
          assert.equal(await ask(bob, tunnel), "nobody");
          assert.equal(await ask(alice, tunnel, "authorization: negotiate ALICE\r\n"), "ALICE");
          assert.equal(await ask(bob, tunnel), "nobody");
          alice.socket.reset();
          bob.socket.reset();
        },
      );
    });

    it("does not let a three-step handshake come through where the agent keeps no connections for visitors", async () => {
      await withNtlm({ ...bound, protocol, client: {} }, async (tunnel) => {
        const alice = await tunnel.connect();
        assert.match(await signIn(alice, tunnel, "alice"), / as nobody$/);
        alice.socket.reset();
      });
    });
  });
}

describe("an upstream connection that stays with its visitor's", () => {
  it("is its user's through the handshake and for every later request, and nobody else's", async () => {
    await withNtlm(bound, async (tunnel, upstream) => {
      const alice = await tunnel.connect();
      const bob = await tunnel.connect();
      assert.equal(await signIn(alice, tunnel, "alice"), "0 as alice");
      assert.equal(await ask(bob, tunnel), "1 as nobody");
      assert.equal(await signIn(bob, tunnel, "bob"), "1 as bob");
      assert.equal(await ask(alice, tunnel), "0 as alice");
      const carol = await tunnel.connect();
      assert.equal(await ask(carol, tunnel), "2 as nobody");
      assert.equal(upstream.peers.length, 3);
      for (const visitor of [alice, bob, carol]) visitor.socket.reset();
    });
  });

  it("is closed when the visitor leaves in the middle of an answer", async () => {
    const server = await ScriptedServer.start(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
      await peer.readHead();
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
      await peer.gone();
    });
    await withTunnelTo(server, bound, async (tunnel, upstream) => {
      const alice = await tunnel.connect();
      await ask(alice, tunnel);
      write(alice, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
      await alice.readUntil("half");
      alice.socket.reset();
      await eventually(() => upstream.open === 0);
      assert.equal(upstream.peers.length, 1);
    });
  });

  it("is given to no visitor who connects after its own has left", async () => {
    await withNtlm(bound, async (tunnel) => {
      const alice = await tunnel.connect();
      assert.equal(await signIn(alice, tunnel, "alice"), "0 as alice");
      alice.socket.end();
      await alice.ended;
      for (let count = 1; count < 4; count++) {
        const visitor = await tunnel.connect();
        assert.equal(await ask(visitor, tunnel), `${count} as nobody`);
        visitor.socket.reset();
      }
    });
  });

  for (const field of ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Via: 1.1 proxy", "X-Real-IP: ::1"]) {
    it(`is not made for a request that came through a proxy, as ${field} says`, async () => {
      await withNtlm(bound, async (tunnel) => {
        const proxy = await tunnel.connect();
        assert.match(await signIn(proxy, tunnel, "alice", `${field}\r\n`), / as nobody$/);
        proxy.socket.reset();
      });
    });
  }

  it("is not made where the edge does not say that visitors connect directly", async () => {
    await withNtlm({ ...bound, edge: {} }, async (tunnel) => {
      const alice = await tunnel.connect();
      assert.match(await signIn(alice, tunnel, "alice"), / as nobody$/);
      alice.socket.reset();
    });
  });
});
