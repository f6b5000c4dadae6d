import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tunnel as RegisteredTunnel } from "../../src/edge/tunnels.ts";
import { JsonEdgeSession } from "../../src/session/wsproto/edge_session.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually, latin1, openDescriptors } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** Answers /ok, begins to stream for /stream, and hangs for everything else. */
const script: Script = async (peer) => {
  // Ends its own direction when the client has ended its own, as ordinary servers do.
  void peer.gone().then(() => peer.end());
  for (;;) {
    const head = await peer.readHead();
    if (head.includes(" /ok ")) peer.send(okAnswer);
    if (head.includes(" /stream ")) peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  }
};

/** Nothing of any exchange is left at the edge and at the agent. */
function isIdle(tunnel: Tunnel): boolean {
  const session = (tunnel.edge.tunnels.get("shop") as RegisteredTunnel).session;
  if (session instanceof JsonEdgeSession && session.pending.size + session.streaming.size > 0) return false;
  return session?.active === 0 && tunnel.agent.tunnel?.session.active === 0;
}

for (const protocol of protocols) {
  const behind = async (
    act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
    options: TunnelOptions = {},
  ): Promise<void> => {
    await withTunnelTo(await ScriptedServer.start(script), { protocol, ...options }, act);
  };

  describe(`a client that leaves a tunnel on ${protocol}`, () => {
    // Over plain HTTP a FIN is no end (half_closed.test.ts).
    const https = { edge: { publicUrl: new URL("https://localhost") } };
    for (const [how, options] of [["reset", {}], ["end", https]] as const) {
      for (const path of ["/hang", "/stream"]) {
        it(`is told to the upstream of ${path} within a second when it leaves by ${how}`, async () => {
          await behind(async (tunnel, upstream) => {
            const client = await send(tunnel, getRequest(tunnel, path));
            const peer = await upstream.peer(0);
            if (path === "/stream") await client.readUntil("abc");
            else await eventually(() => peer.received.endsWith("\r\n\r\n"));
            client.socket[how]();
            await eventually(() => peer.closed || peer.ended || peer.reset, { deadlineMs: 1_000 });
            await eventually(() => isIdle(tunnel));
            assert.match(await get(tunnel, "/ok"), /ok$/);
            client.socket.reset();
          }, options);
        });
      }
    }

    it("is told to the upstream when it leaves in the middle of its request", async () => {
      await behind(async (tunnel, upstream) => {
        const post = `POST /hang HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 100000\r\n\r\n`;
        const client = await send(tunnel, post + "x".repeat(70_000));
        await eventually(() => tunnel.edge.tunnels.get("shop")?.session?.active === 1);
        client.socket.reset();
        await eventually(() => isIdle(tunnel) && upstream.open === 0);
      });
    });

    it("leaves nothing behind when it aborts 1,000 times in a row, in any state of its exchange", async () => {
      await behind(async (tunnel, upstream) => {
        assert.match(await get(tunnel, "/ok"), /ok$/);
        await eventually(() => tunnel.edge.connections === 0);
        const before = openDescriptors();
        const abortOne = async (round: number) => {
          const client = await send(tunnel, getRequest(tunnel, round % 3 === 0 ? "/stream" : "/hang"));
          if (round % 3 === 0) await client.readUntil("abc");
          if (round % 3 === 1) await eventually(() => !isIdle(tunnel));
          client.socket.reset();
          await client.closed;
        };
        for (let round = 0; round < 1_000; round += 20) {
          await Promise.all(Array.from({ length: 20 }, (_, index) => abortOne(round + index)));
        }
        await eventually(() => isIdle(tunnel) && tunnel.edge.connections === 0);
        await eventually(() => upstream.open <= 1, { message: "upstream sockets are closed" });
        if (before !== null) {
          // The idle connection to the upstream is two descriptors in this process, and may be closed by now.
          await eventually(() => openDescriptors()! <= before, { message: "the descriptors are back" });
        }
        assert.match(await get(tunnel, "/ok"), /ok$/);
      });
    });
  });

  describe(`a malformed request to a tunnel on ${protocol}`, () => {
    const host = "Host: shop.localhost\r\n";
    /** By what is wrong. */
    const refused: Readonly<Record<string, readonly (readonly [what: string, request: string])[]>> = {
      "lines or values that others read in another way, CR, LF and NUL among them": [
        ["a bare LF", "GET / HTTP/1.1\nHost: shop.localhost\n\n"],
        ["a bare CR in a value", `GET / HTTP/1.1\r\n${host}X: a\rb\r\n\r\n`],
        ["a NUL in a value", `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`],
        ["a NUL in a name", `GET / HTTP/1.1\r\n${host}X\0: a\r\n\r\n`],
        ["a folded line", `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`],
        ["a space before the colon", `GET / HTTP/1.1\r\n${host}X : a\r\n\r\n`],
      ],
      "no Host, two of them, userinfo in it, or another one in its target": [
        ["no Host", "GET / HTTP/1.1\r\n\r\n"],
        ["two Hosts", `GET / HTTP/1.1\r\n${host}${host}\r\n`],
        ["two names in Host", "GET / HTTP/1.1\r\nHost: shop.localhost, b\r\n\r\n"],
        ["userinfo in Host", "GET / HTTP/1.1\r\nHost: a@shop.localhost\r\n\r\n"],
        ["another host in its target", `GET http://b.localhost/ HTTP/1.1\r\n${host}\r\n`],
      ],
      "a length beside chunks, two lengths, or a framing that others read in another way": [
        ["both", `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
        ["two lengths", `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
        ["two different ones", `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`],
        ["a list of lengths", `POST / HTTP/1.1\r\n${host}Content-Length: 3, 3\r\n\r\nabc`],
        ["a length that is none", `POST / HTTP/1.1\r\n${host}Content-Length: +3\r\n\r\nabc`],
        ["an unknown coding", `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n`],
        ["a coding behind chunks", `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n`],
        ["a chunk of no size", `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nx\r\n`],
      ],
    };
    for (const [what, requests] of Object.entries(refused)) {
      it(`is answered 400, closed, and never seen by the upstream when it has ${what}`, () =>
        neverSeen(requests.map(([what, request]) => [what, request, 400, "bad_request"])));
    }

    it("is answered 405 or 501 where its method is CONNECT or TRACE", () =>
      neverSeen([
        ["CONNECT", "CONNECT shop.localhost:80 HTTP/1.1\r\nHost: shop.localhost:80\r\n\r\n", 405, "method_not_allowed"],
        ["TRACE", `TRACE / HTTP/1.1\r\n${host}\r\n`, 501, "not_implemented"],
      ]));

    it("is answered 414, 431 or 505 where its target, its head or its version is none that is served", () =>
      neverSeen([
        ["HTTP/2.0", `GET / HTTP/2.0\r\n${host}\r\n`, 505, "version_not_supported"],
        ["a target of 9 KiB", `GET /${"x".repeat(9_000)} HTTP/1.1\r\n${host}\r\n`, 414, "uri_too_long"],
        [
          "a head of 70 KiB",
          `GET / HTTP/1.1\r\n${host}${`X: ${"x".repeat(1000)}\r\n`.repeat(70)}\r\n`,
          431,
          "head_too_large",
        ],
      ]));

    /** Each is answered with that problem on a connection of its own, which ends. */
    function neverSeen(requests: readonly (readonly [string, string, number, string])[]): Promise<void> {
      return behind(async (tunnel, upstream) => {
        for (const [what, request, status, code] of requests) {
          const answer = await exchange(tunnel, request);
          assert.match(answer, /^Connection: close\r$/m, what);
          try {
            assertProblem(answer, status, code);
          } catch (error) {
            throw new Error(`a request with ${what}`, { cause: error });
          }
        }
        assert.equal(upstream.peers.length, 0);
        assert.match(await get(tunnel, "/ok"), /ok$/);
      });
    }

    it("is answered 408 when its head does not come within 10 s", async () => {
      const clock = new FakeClock();
      await behind(async (tunnel, upstream) => {
        // The answer to a first request shows that the edge has read the beginning of the second, too.
        const client = await send(tunnel, getRequest(tunnel, "/ok") + `GET /late HTTP/1.1\r\n${host}`);
        await client.readUntil("\r\n\r\nok");
        clock.advance(10_000);
        const answer = latin1(await client.readAll());
        assertProblem(answer, 408, "request_timeout");
        assert.equal((await upstream.peer(0)).received.includes("/late"), false);
        client.socket.end();
      }, { edge: { clock } });
    });

    it("is answered 408 when its body stops coming, and nothing is left of it", async () => {
      await behind(async (tunnel) => {
        const post = `POST /hang HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 10\r\n\r\nabc`;
        assertProblem(await exchange(tunnel, post), 408, "request_timeout");
        await eventually(() => isIdle(tunnel));
      }, { edge: { http: { bodyIdleMs: 200 } } });
    });
  });

  describe(`the routes of an edge with a tunnel on ${protocol}`, () => {
    it("answer 404 at once when there is no such tunnel", async () => {
      await behind(async (tunnel, upstream) => {
        const request = getRequest({ host: "other.localhost" }, "/", "Connection: close\r\n");
        assertProblem(await exchange(tunnel, request), 404, "tunnel_not_found");
        assert.equal(upstream.peers.length, 0);
      });
    });

    it("answer 503 with Retry-After while the agent is away", async () => {
      await behind(async (tunnel) => {
        tunnel.agent.close();
        await eventually(() => tunnel.edge.tunnels.get("shop")?.session === null);
        const answer = await get(tunnel);
        assertProblem(answer, 503, "tunnel_offline");
        assert.match(answer, /^Retry-After: [1-9]\d*\r$/m);
      });
    });
  });

  describe(`a tunnel on ${protocol} whose agent dies`, () => {
    // Its session would go on over the next link.
    const endsWithLink = { edge: { resumeTimeoutMs: 0 } };
    it("answers 502 agent_lost before the head, and is served again when the agent is back", async () => {
      await behind(async (tunnel, upstream) => {
        const answer = get(tunnel, "/hang");
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        tunnel.relay.cut();
        assertProblem(await answer, 502, "agent_lost");
        await peer.gone();
        await eventually(() => tunnel.edge.tunnels.get("shop")?.session?.active === 0);
        assert.match(await get(tunnel, "/ok"), /ok$/);
      }, endsWithLink);
    });

    it("aborts the answer that it was in", async () => {
      await behind(async (tunnel, upstream) => {
        const client = await send(tunnel, getRequest(tunnel, "/stream"));
        await client.readUntil("abc\r\n");
        tunnel.relay.cut();
        assert.equal(await readUntilReset(client), "");
        await (await upstream.peer(0)).gone();
      }, endsWithLink);
    });
  });
}
