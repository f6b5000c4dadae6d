/** Visitors that send FIN behind a whole request and read on, as `nc -N` does, through a tunnel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, latin1, type SocketReader } from "../support/net.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTunnel, type Tunnel, type TunnelOptions } from "../support/tunnel.ts";
import { write } from "./stage.ts";

const GET = "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n";

/** An upstream that answers with a head of these fields and one chunk, and goes on as the test says. */
function begun(fields = ""): Script {
  return async (peer) => {
    await peer.readHead();
    peer.send(`HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`);
    await peer.whenClosed();
  };
}

const hang: Script = async (peer) => {
  await peer.readHead();
  await peer.whenClosed();
};

for (const protocol of protocols) {
  describe(`a visitor that half-closes, on ${protocol}`, () => {
    async function stage(
      script: Script,
      use: (
        visit: (request: string) => Promise<SocketReader>,
        upstream: ScriptedServer,
        tunnel: Tunnel,
      ) => Promise<void>,
      edge: TunnelOptions["edge"] = {},
    ): Promise<void> {
      const upstream = await ScriptedServer.start(script);
      const tunnel = await startTunnel(upstream.target, { protocol, edge });
      const visit = async (request: string) => {
        const visitor = await tunnel.connect();
        write(visitor, request.replaceAll("HOST", tunnel.host));
        return visitor;
      };
      try {
        await use(visit, upstream, tunnel);
      } finally {
        await tunnel.close();
        await upstream.close();
      }
    }

    /** Nothing is left of the exchange, at the edge and at the agent. */
    const assertOver = ({ edge, agent }: Tunnel) =>
      eventually(() =>
        edge.connections === 0 && edge.tunnels.get("shop")!.session!.active === 0 && agent.tunnel!.session.active === 0
      );

    it("gets the rest of an answer that flows", async () => {
      await stage(begun(), async (visit, upstream, tunnel) => {
        const visitor = await visit(GET);
        await visitor.readUntil("first\r\n");
        visitor.socket.end();
        const peer = await upstream.peer(0);
        for (const text of ["one", "two", "three"]) {
          peer.send(`${text.length}\r\n${text}\r\n`);
          await visitor.readUntil(`${text}\r\n`);
        }
        peer.send("0\r\n\r\n");
        assert.equal(latin1(await visitor.readAll()), "0\r\n\r\n");
        await assertOver(tunnel);
      });
    });

    it("gets an answer whose head comes later", async () => {
      await stage(hang, async (visit, upstream, tunnel) => {
        const visitor = await visit(GET);
        visitor.socket.end();
        const peer = await upstream.peer(0);
        await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        assert.match(latin1(await visitor.readAll()), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nlate$/);
        await assertOver(tunnel);
      });
    });

    it("gets the answer to its upload", async () => {
      await stage(async (peer) => {
        for (;;) {
          const head = await peer.readHead();
          if (/^content-length: 5\r$/im.test(head)) await peer.read(5);
          else await peer.readUntil("0\r\n\r\n");
          peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        }
      }, async (visit) => {
        const chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        for (const body of ["Content-Length: 5\r\n\r\nhello", chunked]) {
          const visitor = await visit(`POST / HTTP/1.1\r\nHost: HOST\r\n${body}`);
          visitor.socket.end();
          assert.match(latin1(await visitor.readAll()), /\r\n\r\ndone$/);
        }
      });
    });

    it("gets all answers to the requests before its FIN", async () => {
      await stage(async (peer) => {
        for (;;) {
          const [, target] = (await peer.readHead()).split(" ");
          peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${target!.length}\r\n\r\n${target}`);
        }
      }, async (visit) => {
        const visitor = await visit(["/1", "/2", "/3"].map((target) => GET.replace("/", target)).join(""));
        visitor.socket.end();
        const got = latin1(await visitor.readAll());
        assert.deepEqual(got.match(/(?<=\r\n\r\n)\/\d/g), ["/1", "/2", "/3"]);
      });
    });

    for (const type of ["text/event-stream", "application/x-ndjson", "application/x-prices"]) {
      it(`ends ${type}, and the upstream with it`, async () => {
        await stage(begun(`Content-Type: ${type}\r\n`), async (visit, upstream, tunnel) => {
          const visitor = await visit(GET);
          await visitor.readUntil("first\r\n");
          visitor.socket.end();
          const peer = await upstream.peer(0);
          await peer.whenClosed();
          assert.equal(peer.reset, true);
          assert.equal((await visitor.closed)?.code, "connection_reset");
          await assertOver(tunnel);
        }, { liveTypes: ["application/x-prices"] });
      });
    }

    it("ends the exchange at once when the public comes by https, before the head and after it", async () => {
      for (const script of [begun(), hang]) {
        await stage(script, async (visit, upstream, tunnel) => {
          const visitor = await visit(GET);
          const peer = await upstream.peer(0);
          await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
          if (script !== hang) await visitor.readUntil("first\r\n");
          visitor.socket.end();
          await peer.whenClosed();
          await assertOver(tunnel);
        }, { publicUrl: new URL("https://localhost") });
      }
    });

    it("ends the exchange when nothing is written for halfClosedMs", async () => {
      await stage(begun(), async (visit, upstream, tunnel) => {
        const visitor = await visit(GET);
        await visitor.readUntil("first\r\n");
        visitor.socket.end();
        const peer = await upstream.peer(0);
        await peer.whenClosed();
        assert.equal((await visitor.closed)?.code, "connection_reset");
        await assertOver(tunnel);
      }, { http: { halfClosedMs: 20 } });
    });

    for (const [when, script] of [["before the head", hang], ["while the upstream is silent", begun()]] as const) {
      it(`is noticed when it resets ${when}`, async () => {
        await stage(script, async (visit, upstream, tunnel) => {
          const visitor = await visit(GET);
          const peer = await upstream.peer(0);
          await peer.waitFor(() => peer.received.endsWith("\r\n\r\n"));
          if (script !== hang) await visitor.readUntil("first\r\n");
          visitor.socket.end();
          // One answer more shows that the FIN did not end the exchange.
          if (script !== hang) {
            peer.send("1\r\nx\r\n");
            await visitor.readUntil("x\r\n");
          }
          visitor.socket.reset();
          await peer.whenClosed();
          assert.equal(peer.reset, true);
          await assertOver(tunnel);
        });
      });
    }
  });
}
