import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { DialTarget } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTunnel, type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";

/** A port without a listener. */
async function refusingTarget(): Promise<DialTarget> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { kind: "tcp", host: "127.0.0.1", port };
}

for (const protocol of protocols) {
  /** A tunnel to an upstream that does as `script` says. */
  const behind = async (
    script: Script,
    act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
    options: TunnelOptions = {},
  ): Promise<void> => {
    await withTunnelTo(await ScriptedServer.start(script), { protocol, ...options }, act);
  };
  const head = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}\r\n`;

  describe(`a tunnel on ${protocol} whose upstream misbehaves`, () => {
    it("answers 502 upstream_refused when nothing listens there", async () => {
      const tunnel = await startTunnel(await refusingTarget(), { protocol });
      try {
        assertProblem(await get(tunnel), 502, "upstream_refused");
      } finally {
        await tunnel.close();
      }
    });

    it("answers 502 when the upstream closes or resets before its head, and goes on", async () => {
      const script: Script = async (peer) => {
        const line = await peer.readHead();
        if (line.startsWith("GET /ok")) await peer.send(head("Content-Length: 2\r\n") + "ok");
        else if (line.startsWith("GET /reset")) peer.abort();
        else peer.end();
      };
      await behind(script, async (tunnel) => {
        assertProblem(await get(tunnel, "/end"), 502, "upstream_closed");
        assertProblem(await get(tunnel, "/reset"), 502, "upstream_closed");
        assert.match(await get(tunnel, "/ok"), /ok$/);
      });
    });

    const malformed: [string, string][] = [
      ["sends both lengths, and no chunks", head("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") + "ok"],
      ["ends a chunk's size by a bare LF", head("Transfer-Encoding: chunked\r\n") + "2\nok\r\n0\r\n\r\n"],
      ["sends a head that does not end", "HTTP/1.1 200 OK\r\n" + `X-Big: ${"x".repeat(4000)}\r\n`.repeat(17)],
      ["sends too many fields", head("X: 1\r\n".repeat(257)) + "ok"],
      ["sends a NUL in a value", head("X-A: a\0b\r\nContent-Length: 2\r\n") + "ok"],
      ["sends two different lengths", head("Content-Length: 2\r\nContent-Length: 3\r\n") + "ok"],
      ["speaks no HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n"],
      ["switches protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
    ];
    for (const [what, answer] of malformed) {
      it(`answers 502 upstream_invalid when the upstream ${what}, and closes its socket`, async () => {
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(answer);
        };
        await behind(script, async (tunnel, upstream) => {
          assertProblem(await get(tunnel), 502, "upstream_invalid");
          await (await upstream.peer(0)).gone();
        });
      });
    }

    const broken: [what: string, fields: string, begin: string, rest: string][] = [
      ["ends short of its Content-Length", "Content-Length: 9\r\n", "abc", ""],
      ["ends short of its last chunk", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", ""],
      ["sends a chunk of no size", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "zz\r\n"],
    ];
    for (const [what, fields, begin, rest] of broken) {
      it(`aborts the answer when the upstream ${what}`, async () => {
        let goOn!: () => void;
        const seen = new Promise<void>((resolve) => goOn = resolve);
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(head(`Content-Type: text/event-stream\r\n${fields}`) + begin);
          await seen;
          if (rest !== "") await peer.send(rest);
          peer.end();
        };
        await behind(script, async (tunnel, upstream) => {
          const client = await send(tunnel, getRequest(tunnel));
          assert.match(await client.readUntil(begin), /^HTTP\/1\.1 200 OK\r\n/);
          goOn();
          assert.equal(await readUntilReset(client), "");
          await (await upstream.peer(0)).whenClosed();
        });
      });
    }

    it("aborts the answer when the upstream is reset in the middle of it", async () => {
      const script: Script = async (peer) => {
        await peer.readHead();
        await peer.send(head("Content-Type: text/event-stream\r\nContent-Length: 9\r\n") + "abc");
        await peer.waitFor(() => peer.received.includes("never"));
      };
      await behind(script, async (tunnel, upstream) => {
        const client = await send(tunnel, getRequest(tunnel));
        await client.readUntil("abc");
        (await upstream.peer(0)).abort();
        assert.equal(await readUntilReset(client), "");
      });
    });

    it("drops the body of a 204, of a 304 and of an answer to HEAD", async () => {
      const script: Script = async (peer) => {
        const [, status] = /^\w+ \/(\d+)/.exec(await peer.readHead()) ?? [];
        await peer.send(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\nextra`);
      };
      await behind(script, async (tunnel) => {
        for (const status of ["204", "304"]) {
          const answer = await get(tunnel, `/${status}`);
          assert.ok(answer.startsWith(`HTTP/1.1 ${status} `) && answer.endsWith("\r\n\r\n"), answer);
        }
        const client = await send(tunnel, getRequest(tunnel, "/200").replace("GET", "HEAD"));
        const answer = await client.readUntil("\r\n\r\n");
        assert.match(answer, /^Content-Length: 5\r$/m);
        assert.equal(client.receivedBytes, answer.length);
        client.socket.reset();
      });
    });

    it("passes __proto__ as a name like any other, both ways", async () => {
      let seen = "";
      const script: Script = async (peer) => {
        seen = await peer.readHead();
        await peer.send(head("__proto__: out\r\nconstructor: x\r\nContent-Length: 2\r\n") + "ok");
      };
      await behind(script, async (tunnel) => {
        const answer = await get(tunnel, "/", "__proto__: in\r\n");
        assert.match(seen, /^__proto__: in\r$/m);
        assert.match(answer, /^__proto__: out\r$/m);
        assert.match(answer, /^constructor: x\r$/m);
      });
    });
  });

  describe(`the timeouts of a tunnel on ${protocol}`, () => {
    /** All times are under the 10 s after which a silent link is pinged. */
    const timeouts = { firstByteMs: 4_000, idleMs: 6_000, streamIdleMs: 6_000 };
    const withClock = (clock: FakeClock): TunnelOptions => ({ edge: { clock, timeouts } });

    it("answer 504 when the upstream hangs before its head, and close its socket", async () => {
      const clock = new FakeClock();
      const script: Script = async (peer) => {
        await peer.readHead();
      };
      await behind(script, async (tunnel, upstream) => {
        const answer = get(tunnel);
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        clock.advance(4_000);
        assertProblem(await answer, 504, "upstream_timeout");
        await peer.gone();
      }, withClock(clock));
    });

    it("abort an answer that falls silent, and close the upstream's socket", async () => {
      const clock = new FakeClock();
      const script: Script = async (peer) => {
        await peer.readHead();
        await peer.send(head("Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n");
      };
      await behind(script, async (tunnel, upstream) => {
        const client = await send(tunnel, getRequest(tunnel));
        await client.readUntil("abc\r\n");
        clock.advance(6_000);
        assert.equal(await readUntilReset(client), "");
        await (await upstream.peer(0)).gone();
      }, withClock(clock));
    });

    for (const type of ["text/event-stream; charset=utf-8", "application/x-ndjson"]) {
      it(`spare ${type}`, async () => {
        const clock = new FakeClock();
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(head(`Content-Type: ${type}\r\nTransfer-Encoding: chunked\r\n`) + "1\r\na\r\n");
        };
        await behind(script, async (tunnel, upstream) => {
          const client = await send(tunnel, getRequest(tunnel));
          await client.readUntil("a\r\n");
          clock.advance(7_000);
          const peer = await upstream.peer(0);
          await peer.send("1\r\nb\r\n0\r\n\r\n");
          await client.readUntil("1\r\nb\r\n0\r\n\r\n");
          client.socket.reset();
        }, withClock(clock));
      });
    }
  });
}
