/** What an edge counts of a tunnel's requests, whichever protocol carries them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Handler, Traffic } from "../../src/http/mod.ts";
import { startBulkUpstream } from "../support/bulk.ts";
import { bodyText, FedBody } from "../support/client_requests.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import {
  exchange,
  protocols,
  startTestAgent,
  startTunnel,
  type Tunnel,
  type TunnelOptions,
  withTunnelTo,
} from "../support/tunnel.ts";

async function withTraffic(
  upstream: Handler,
  options: TunnelOptions,
  act: (tunnel: Tunnel, traffic: Traffic) => Promise<void>,
): Promise<void> {
  const tunnel = await startTunnel(upstream, options);
  try {
    await act(tunnel, trafficOf(tunnel));
  } finally {
    await tunnel.close();
  }
}

function trafficOf({ edge }: Tunnel): Traffic {
  return edge.tunnels.get("shop")!.traffic;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

/** Answers with "hello", and on these paths otherwise. */
const upstream: Handler = async ({ target }, body) => {
  await bodyText(body);
  if (target === "/missing") return { status: 404, fields: [], body: bytesOf("no") };
  if (target === "/empty") return { status: 204, fields: [], body: null };
  if (target === "/fail") throw new Error("no answer");
  return { status: 200, fields: [], body: bytesOf("hello") };
};

for (const protocol of protocols) {
  describe(`Traffic of a tunnel on ${protocol}`, () => {
    it("has each request that is over, by its status, and the body bytes of both directions", () =>
      withTraffic(upstream, { protocol }, async (tunnel, traffic) => {
        const { host } = tunnel;
        await get(tunnel);
        await exchange(tunnel, `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`);
        await exchange(tunnel, `HEAD / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        for (const path of ["/missing", "/empty"]) await get(tunnel, path);
        const failed = await get(tunnel, "/fail");
        await eventually(() => traffic.active === 0);
        assert.deepEqual(traffic.byStatus, [0, 0, 4, 0, 1, 1]);
        assert.deepEqual([traffic.answers, sum(traffic.byDuration)], [6, 6]);
        assert.equal(traffic.bytesIn, 3);
        const problemBytes = failed.length - failed.indexOf("\r\n\r\n") - 4;
        assert.equal(traffic.bytesOut, "hello".length * 2 + "no".length + problemBytes);
        assert.ok(traffic.firstByteMs > 0 && traffic.firstByteMs <= traffic.durationMs);
        assert.equal(traffic.brokenAnswers, 0);
      }));

    it("has the bytes of an upload in chunks, as they come and without their framing", () => {
      let arrived = "";
      const slow: Handler = async (_head, body) => {
        arrived = await bodyText(body);
        return { status: 200, fields: [], body: null };
      };
      return withTraffic(slow, { protocol }, async (tunnel, traffic) => {
        const chunked = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n`;
        const client = await send(tunnel, `${chunked}3\r\nabc\r\n`);
        await eventually(() => traffic.bytesIn === 3);
        assert.equal(traffic.active, 1);
        client.socket.write(bytesOf("4\r\ndefg\r\n0\r\n\r\n"));
        await client.readUntil("\r\n\r\n");
        await eventually(() => traffic.active === 0);
        assert.deepEqual([arrived, traffic.bytesIn], ["abcdefg", 7]);
        client.socket.reset();
      });
    });

    it("has the bytes of an event stream while it is under way, and its end when the visitor leaves", () => {
      const fed = new FedBody();
      const events: Handler = () =>
        Promise.resolve({ status: 200, fields: ["Content-Type", "text/event-stream"], body: fed.stream });
      return withTraffic(events, { protocol }, async (tunnel, traffic) => {
        const visitor = await send(tunnel, getRequest(tunnel));
        for (const [event, bytes] of [["data: 1\n\n", 9], ["data: 22\n\n", 19]] as const) {
          fed.push(event);
          await visitor.readUntil(event);
          assert.deepEqual([traffic.active, traffic.bytesOut, traffic.answers], [1, bytes, 1]);
        }
        assert.equal(sum(traffic.byStatus), 0);
        visitor.socket.reset();
        await eventually(() => traffic.active === 0);
        assert.deepEqual(traffic.byStatus, [0, 0, 1, 0, 0, 0]);
        assert.equal(traffic.brokenAnswers, 0);
      });
    });

    it("has a visitor who leaves before the answer as one without a status", () =>
      withTraffic(() => new Promise(() => {}), { protocol }, async (tunnel, traffic) => {
        const visitor = await send(tunnel, getRequest(tunnel));
        await eventually(() => traffic.active === 1);
        visitor.socket.reset();
        await eventually(() => traffic.active === 0);
        assert.deepEqual([traffic.byStatus, traffic.answers], [[1, 0, 0, 0, 0, 0], 0]);
      }));

    it("has an answer that breaks off behind its head", () => {
      const fed = new FedBody();
      const broken: Handler = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      return withTraffic(broken, { protocol }, async (tunnel, traffic) => {
        const visitor = await send(tunnel, getRequest(tunnel));
        fed.push("first");
        await visitor.readUntil("first");
        fed.fail(new Error("broken"));
        await readUntilReset(visitor);
        await eventually(() => traffic.active === 0);
        assert.deepEqual([traffic.byStatus[2], traffic.brokenAnswers], [1, 1]);
      });
    });

    it("has a request whose body cannot be read as the visitor's mistake", () =>
      withTraffic(upstream, { protocol }, async (tunnel, traffic) => {
        const fields = "Transfer-Encoding: chunked\r\n";
        const visitor = await send(tunnel, `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${fields}\r\n3\r\nabc\r\n`);
        await eventually(() => traffic.active === 1);
        visitor.socket.write(bytesOf("no size\r\n"));
        assert.match(await visitor.readUntil("\r\n\r\n"), /^HTTP\/1\.1 400 /);
        await eventually(() => traffic.active === 0);
        assert.deepEqual(traffic.byStatus, [0, 0, 0, 0, 1, 0]);
        visitor.socket.reset();
      }));

    it("has the requests to a tunnel that is offline", () =>
      withTraffic(upstream, { protocol }, async (tunnel, traffic) => {
        tunnel.agent.close();
        await eventually(() => tunnel.edge.tunnels.online === 0);
        assert.match(await get(tunnel), /^HTTP\/1\.1 503 /);
        await eventually(() => sum(traffic.byStatus) === 1);
        assert.equal(traffic.byStatus[5], 1);
      }));

    it("has for how long answers wait for a visitor who takes nothing", async () =>
      withTunnelTo(await startBulkUpstream(), { protocol }, async (tunnel) => {
        const { visitorWait } = trafficOf(tunnel);
        const visitor = await send(tunnel, getRequest(tunnel, "/endless"));
        await visitor.readUntil("\r\n\r\n");
        visitor.socket.pause();
        await eventually(() => visitorWait.waiting === 1);
        const now = performance.now();
        assert.ok(visitorWait.totalMs(now + 1_000) >= visitorWait.totalMs(now));
        await eventually(() => visitorWait.totalMs(performance.now()) > 0);
        visitor.socket.reset();
        await eventually(() => visitorWait.waiting === 0);
      }));

    it("has for how long an upload waits for credit, where there is any", async () => {
      const deaf = await ScriptedServer.start(async (peer) => {
        const head = await peer.readHead();
        if (head.startsWith("PUT ")) return peer.pause();
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
      await withTunnelTo(deaf, { protocol }, async (tunnel) => {
        const { creditWait } = trafficOf(tunnel);
        const length = 64 * 1024 * 1024;
        const visitor = await send(
          tunnel,
          `PUT / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${length}\r\n\r\n`,
        );
        const block = new Uint8Array(64 * 1024);
        const fill = () => {
          for (let more = true; more && !visitor.socket.closed;) more = visitor.socket.write(block);
        };
        const { onDrain } = visitor;
        visitor.onDrain = () => {
          onDrain.call(visitor);
          fill();
        };
        if (protocol === "v2") {
          fill();
          await eventually(() => creditWait.waiting === 1);
          visitor.socket.reset();
          await eventually(() => creditWait.waiting === 0);
          assert.ok(creditWait.totalMs(performance.now()) > 0);
        } else {
          visitor.socket.reset();
          await eventually(() => trafficOf(tunnel).active === 0);
          assert.equal(creditWait.totalMs(performance.now()), 0);
        }
      });
    });
  });
}

describe("Traffic", () => {
  it("has the bytes of an upgraded connection, both ways", async () => {
    const echo = await ScriptedServer.start(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello");
      peer.send(await peer.read(3));
      await peer.gone();
      peer.end();
    });
    await withTunnelTo(echo, { protocol: "v2" }, async (tunnel) => {
      const traffic = trafficOf(tunnel);
      const visitor = await send(tunnel, getRequest(tunnel, "/", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
      await visitor.readUntil("hello");
      visitor.socket.write(bytesOf("abc"));
      await visitor.readUntil("abc");
      assert.deepEqual([traffic.active, traffic.bytesIn, traffic.bytesOut], [1, 3, 8]);
      visitor.socket.end();
      await eventually(() => traffic.active === 0);
      assert.deepEqual(traffic.byStatus, [0, 1, 0, 0, 0, 0]);
    });
  });

  it("has the requests that go to no tunnel by themselves", () =>
    withTraffic(upstream, { protocol: "v2" }, async (tunnel, traffic) => {
      const { own } = tunnel.edge.figures;
      const before = sum(own.byStatus);
      await get({ ...tunnel, host: "nobody.localhost" });
      await get({ ...tunnel, host: "localhost" }, "/healthz");
      await get({ ...tunnel, host: "localhost" }, "/nothing");
      await eventually(() => sum(own.byStatus) === before + 3);
      assert.deepEqual([own.active, own.byStatus[4], sum(traffic.byStatus)], [0, 2, 0]);
    }));

  it("counts a request to the domain itself for the default tunnel, once", () =>
    withTraffic(upstream, { protocol: "v2", edge: { defaultTunnel: "shop" } }, async (tunnel, traffic) => {
      const own = sum(tunnel.edge.figures.own.byStatus);
      await get({ ...tunnel, host: "localhost" });
      await eventually(() => traffic.active === 0 && sum(traffic.byStatus) === 1);
      assert.equal(sum(tunnel.edge.figures.own.byStatus), own);
    }));

  it("stays that of the tunnel when its agent comes back", () =>
    withTraffic(upstream, { protocol: "v2" }, async (tunnel, traffic) => {
      await get(tunnel);
      tunnel.relay.cut();
      await eventually(async () => /^HTTP\/1\.1 200 /.test(await get(tunnel)));
      assert.equal(trafficOf(tunnel), traffic);
      await eventually(() => traffic.byStatus[2] === 2);
    }));

  it("is shared by the tunnels past the limit, until there is room", async () => {
    const edge = { maxCountedTunnels: 1, tunnels: { reserveMs: 0 } };
    const tunnel = await startTunnel(upstream, { protocol: "v2", edge });
    const second = await startTestAgent(tunnel.edge, upstream, "second", "v2");
    try {
      const { figures } = tunnel.edge;
      const ofSecond = () => tunnel.edge.tunnels.get("second")!.traffic;
      await get({ ...tunnel, host: "second.localhost" });
      await eventually(() => figures.rest.byStatus[2] === 1);
      assert.equal(ofSecond(), figures.rest);
      assert.equal(figures.tunnels().find(({ name }) => name === "second")!.traffic, figures.rest);
      tunnel.agent.close();
      await eventually(() => tunnel.edge.tunnels.online === 1);
      assert.deepEqual(figures.tunnels().map(({ name }) => name), ["second"]);
      assert.notEqual(ofSecond(), figures.rest);
    } finally {
      second.close();
      await tunnel.close();
    }
  });
});
