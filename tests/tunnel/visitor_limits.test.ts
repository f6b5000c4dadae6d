/** What visitors may take, through an edge and an agent, on both protocols. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EdgeOptions } from "../../src/edge/edge.ts";
import type { VisitorLimitsInit } from "../../src/limits/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually, SocketReader } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { exchange, type Protocol, protocols, type Tunnel, withTunnelTo } from "../support/tunnel.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers each request at once, once its body is there. */
const answering: Script = async (peer) => {
  for (;;) {
    const head = await peer.readHead();
    const length = Number(/^Content-Length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (/^Transfer-Encoding: chunked/im.test(head)) await peer.readUntil("0\r\n\r\n");
    else await peer.read(length);
    peer.send(OK);
  }
};

/** Begins an answer to each request, and never ends it. */
const holding: Script = async (peer) => {
  await peer.readHead();
  peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
  await peer.gone();
  peer.end();
};

/** A tunnel whose visitors have the address that `from` says, and whose edge has a clock that stands still. */
async function withLimits(
  protocol: Protocol,
  visitors: VisitorLimitsInit,
  script: Script,
  use: (tunnel: Tunnel, stage: { clock: FakeClock; from: (address: string) => void; told: string[] }) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const told: string[] = [];
  let client = "192.0.2.1";
  const edge: Partial<EdgeOptions> = {
    clock,
    limits: { visitors },
    http: { clientOf: () => client },
    events: { onLimitReached: (address, reason, count) => void told.push(`${address}, ${count}: ${reason}`) },
  };
  await withTunnelTo(
    await ScriptedServer.start(script),
    { protocol, edge },
    (tunnel) => use(tunnel, { clock, told, from: (address) => void (client = address) }),
  );
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const headField = (answer: string, name: string) => new RegExp(`^${name}: (.*?)\r?$`, "im").exec(answer)?.[1];

/** A request whose answer has begun, and goes on. */
async function hold(tunnel: Tunnel): Promise<SocketReader> {
  const client = await send(tunnel, getRequest(tunnel));
  assert.match(await client.readUntil("ok"), /^HTTP\/1\.1 200 /);
  return client;
}

const post = ({ host }: Tunnel, length: number) =>
  `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(length)}`;
const chunkedPost = ({ host }: Tunnel, length: number) =>
  `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n` +
  `${length.toString(16)}\r\n${"x".repeat(length)}\r\n0\r\n\r\n`;

for (const protocol of protocols) {
  describe(`limits of visitors on ${protocol}`, () => {
    it("a visitor has its rate, and another one has a rate of its own", async () => {
      const visitor = { requests: { perSecond: 1, burst: 3 } };
      await withLimits(protocol, { visitor }, answering, async (tunnel, { clock, from, told }) => {
        for (let count = 0; count < 3; count++) assert.equal(statusOf(await get(tunnel)), 200);
        const refused = await get(tunnel);
        assertProblem(refused, 429, "too_many_requests");
        assert.equal(headField(refused, "Retry-After"), "1");
        assert.equal(headField(refused, "RateLimit-Policy"), '"visitor-rate";q=3;w=3');
        assert.equal(headField(refused, "RateLimit"), '"visitor-rate";r=0;t=1');
        from("2001:db8::7");
        for (let count = 0; count < 3; count++) assert.equal(statusOf(await get(tunnel)), 200);
        from("2001:db8::8");
        assert.equal(statusOf(await get(tunnel)), 429);
        from("192.0.2.1");
        clock.advance(1_000);
        assert.equal(statusOf(await get(tunnel)), 200);
        assert.equal(statusOf(await get(tunnel)), 429);
        assert.deepEqual(told, [
          "192.0.2.1, 1: more than --visitor-rate lets a visitor have",
          "2001:db8::8, 1: more than --visitor-rate lets a visitor have",
        ]);
        clock.advance(60_000);
        assert.equal(told[2], "192.0.2.1, 1: more than --visitor-rate lets a visitor have");
        assert.equal(tunnel.edge.figures.refusals.limits, 3);
      });
    });

    it("hosts that nobody has count for a visitor's rate, and the edge's own paths do not", async () => {
      const visitor = { requests: { perSecond: 1, burst: 2 } };
      await withLimits(protocol, { visitor }, answering, async (tunnel) => {
        const nobody = { host: "nobody.localhost", connect: tunnel.connect };
        assert.equal(statusOf(await get(nobody)), 404);
        assert.equal(statusOf(await get(nobody)), 404);
        assert.equal(statusOf(await get(nobody)), 429);
        assert.equal(statusOf(await get(tunnel)), 429);
        const probe = { host: "localhost", connect: tunnel.connect };
        for (let count = 0; count < 5; count++) assert.equal(statusOf(await get(probe, "/healthz")), 200);
      });
    });

    it("a tunnel has its rate, whoever asks", async () => {
      const limits = { tunnel: { requests: { perSecond: 1, burst: 2 } } };
      await withLimits(protocol, limits, answering, async (tunnel, { from }) => {
        assert.equal(statusOf(await get(tunnel)), 200);
        from("192.0.2.2");
        assert.equal(statusOf(await get(tunnel)), 200);
        from("192.0.2.3");
        const refused = await get(tunnel);
        assertProblem(refused, 503, "tunnel_busy");
        assert.equal(headField(refused, "Retry-After"), "1");
        assert.equal(headField(refused, "RateLimit"), '"tunnel-rate";r=0;t=1');
      });
    });

    it("a visitor has its requests at once, and another one when one of them is over", async () => {
      await withLimits(protocol, { visitor: { concurrent: 2 } }, holding, async (tunnel, { from }) => {
        const first = await hold(tunnel);
        await hold(tunnel);
        const refused = await get(tunnel);
        assertProblem(refused, 429, "too_many_requests");
        assert.equal(headField(refused, "RateLimit-Policy"), '"visitor-concurrency";q=2;qu="concurrent-requests"');
        from("192.0.2.2");
        await hold(tunnel);
        from("192.0.2.1");
        first.socket.reset();
        await eventually(async () => {
          const next = await send(tunnel, getRequest(tunnel));
          return /^HTTP\/1\.1 200 /.test(await next.readUntil("\r\n\r\n"));
        });
      });
    });

    it("a tunnel has its requests at once", async () => {
      await withLimits(protocol, { tunnel: { concurrent: 1 } }, holding, async (tunnel, { from }) => {
        await hold(tunnel);
        from("192.0.2.2");
        assertProblem(await get(tunnel), 503, "tunnel_busy");
      });
    });

    it("places are free again behind answers, errors and visitors that leave", async () => {
      const script: Script = async (peer) => {
        const head = await peer.readHead();
        if (head.includes(" /break ")) return peer.abort();
        if (head.includes(" /wait ")) return await peer.gone();
        peer.send(OK);
        peer.end();
      };
      await withLimits(protocol, { visitor: { concurrent: 1 } }, script, async (tunnel) => {
        for (let round = 0; round < 3; round++) {
          assert.equal(statusOf(await get(tunnel)), 200);
          assert.equal(statusOf(await exchange(tunnel, getRequest(tunnel, "/break", "Connection: close\r\n"))), 502);
          const leaving = await send(tunnel, getRequest(tunnel, "/wait"));
          await eventually(() => tunnel.edge.active === 1);
          leaving.socket.reset();
          await eventually(() => tunnel.edge.active === 0);
        }
      });
    });

    it("a body has its limit, announced or not, and one past it is a 413", async () => {
      await withLimits(protocol, { bodyBytes: 1_000 }, answering, async (tunnel) => {
        assert.equal(statusOf(await exchange(tunnel, post(tunnel, 1_000))), 200);
        assertProblem(await exchange(tunnel, post(tunnel, 1_001)), 413, "body_too_large");
        assert.equal(statusOf(await exchange(tunnel, chunkedPost(tunnel, 1_000))), 200);
        assertProblem(await exchange(tunnel, chunkedPost(tunnel, 1_001)), 413, "body_too_large");
      });
    });

    it("a body of unknown length is cut off as soon as it is too long", async () => {
      await withLimits(protocol, { bodyBytes: 100_000 }, answering, async (tunnel) => {
        const client = await send(
          tunnel,
          `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n`,
        );
        const chunk = new TextEncoder().encode(`2710\r\n${"x".repeat(10_000)}\r\n`);
        for (let count = 0; count < 11; count++) client.socket.write(chunk.slice());
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 413 /);
      });
    });

    it("an answer keeps to its visitor's bandwidth, and all of it comes", async () => {
      const rate = 64_000;
      const whole = "y".repeat(3 * rate);
      const script: Script = async (peer) => {
        await peer.readHead();
        peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${whole.length}\r\n\r\n${whole}`);
        await peer.gone();
      };
      await withLimits(protocol, { visitor: { bytesPerSecond: rate } }, script, async (tunnel, { clock }) => {
        const client = await send(tunnel, getRequest(tunnel));
        const head = await client.readUntil("\r\n\r\n");
        assert.match(head, /^HTTP\/1\.1 200 /);
        const body = () => client.receivedBytes - head.length;
        // What comes at once, and no more before the time has passed for it.
        await eventually(() => body() >= rate - 8_000);
        assert.ok(body() <= rate, `${body()} bytes`);
        let seconds = 0;
        await eventually(() => {
          assert.ok(body() <= rate * (seconds + 1), `${body()} bytes after ${seconds} s`);
          // One piece at most waits for its time.
          if (body() < whole.length && body() >= rate * (seconds + 1) - 8_000) {
            clock.advance(125);
            seconds += 0.125;
          }
          return body() === whole.length;
        });
        assert.ok(seconds >= 1.5, `${seconds} s`);
        client.socket.reset();
        await eventually(() => tunnel.edge.active === 0 && tunnel.edge.bufferedBytes === 0);
      });
    });
  });
}

describe("limits of visitors on v2", () => {
  const upgrade = ({ host }: Tunnel) =>
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const switching: Script = async (peer) => {
    if (!/^Upgrade: /im.test(await peer.readHead())) {
      peer.send(OK);
      return peer.end();
    }
    peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await peer.gone();
    peer.end();
  };

  for (const party of ["visitor", "tunnel"] as const) {
    it(`a ${party} has its WebSockets at once, and another one when one of them is over`, async () => {
      await withLimits("v2", { [party]: { upgraded: 1 } }, switching, async (tunnel) => {
        const first = await send(tunnel, upgrade(tunnel));
        assert.match(await first.readUntil("\r\n\r\n"), /^HTTP\/1\.1 101 /);
        const second = await send(tunnel, upgrade(tunnel));
        const refused = await second.readUntil("\r\n\r\n");
        assert.equal(statusOf(refused), party === "visitor" ? 429 : 503);
        assert.equal(headField(refused, "RateLimit"), `"${party}-websockets";r=0`);
        assert.equal(statusOf(await get(tunnel)), 200);
        first.socket.reset();
        await eventually(async () => {
          const next = await send(tunnel, upgrade(tunnel));
          return /^HTTP\/1\.1 101 /.test(await next.readUntil("\r\n\r\n"));
        });
      });
    });
  }

  it("an upload keeps to its tunnel's bandwidth, and all of it arrives", async () => {
    const rate = 64_000;
    let received = 0;
    const script: Script = async (peer) => {
      await peer.readHead();
      await peer.waitFor(() => {
        received = peer.receivedBytes;
        return peer.received.length >= 3 * rate;
      });
      peer.send(OK);
    };
    await withLimits("v2", { tunnel: { bytesPerSecond: rate } }, script, async (tunnel, { clock }) => {
      const client = await send(tunnel, post(tunnel, 3 * rate));
      await eventually(() => received >= rate - 8_000);
      let seconds = 0;
      await eventually(() => {
        // The head of the request is not counted.
        assert.ok(received <= rate * (seconds + 1) + 2_000, `${received} bytes after ${seconds} s`);
        if (client.receivedBytes > 0) return true;
        if (received >= rate * (seconds + 1) - 8_000) {
          clock.advance(125);
          seconds += 0.125;
        }
        return false;
      });
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
      assert.ok(seconds >= 1.5, `${seconds} s`);
    });
  });
});

describe("limits of connections", () => {
  for (const protocol of protocols) {
    it(`an address has its connections, and another one when one of them is over (${protocol})`, async () => {
      // The agent has one of them.
      const edge = { limits: { connections: { maxPerAddress: 3 } } };
      await withTunnelTo(await ScriptedServer.start(holding), { protocol, edge }, async (tunnel) => {
        const first = await hold(tunnel);
        await hold(tunnel);
        const third = await tunnel.connect().then((client) => client.closed, (error) => error);
        assert.equal(third?.code, "connection_reset");
        first.socket.reset();
        await eventually(() => hold(tunnel).then(() => true, () => false));
      });
    });

    it(`visitors past the most connections get 503, and probes are answered (${protocol})`, async () => {
      const told: string[] = [];
      const edge: Partial<EdgeOptions> = {
        limits: { connections: { maxConnections: 2 } },
        events: { onShed: (count, why) => void told.push(`${count}: ${why}`) },
      };
      await withTunnelTo(await ScriptedServer.start(holding), { protocol, edge }, async (tunnel) => {
        await hold(tunnel);
        const refused = await get(tunnel);
        assertProblem(refused, 503, "overloaded");
        assert.equal(headField(refused, "Retry-After"), "1");
        assert.equal(statusOf(await get({ host: "localhost", connect: tunnel.connect }, "/healthz")), 200);
        assert.deepEqual(told, ["1: connections"]);
      });
    });
  }
});
