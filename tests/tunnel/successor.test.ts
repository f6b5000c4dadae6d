/** An edge that leaves while another one takes its place: agents go over at once, and visitors of both are served. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { newAgentKey } from "../../src/agent/handshake_fields.ts";
import type { TunnelConfig } from "../../src/agent/managed/tunnel_config.ts";
import { TunnelKeeper } from "../../src/agent/managed/tunnel_keeper.ts";
import { TunnelSession } from "../../src/agent/managed/tunnel_session.ts";
import { Backoff } from "../../src/base/backoff.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import type { V2AgentSession } from "../../src/session/v2/agent_session.ts";
import { FedBody } from "../support/client_requests.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import {
  protocols,
  publicSide,
  startTestEdge,
  startTunnel,
  token,
  type Tunnel,
  type TunnelOptions,
} from "../support/tunnel.ts";
import { write } from "./stage.ts";

/** A service with one answer that ends when the test says so, at `/events`. */
function service(): { fed: FedBody; upstream: Handler } {
  const fed = new FedBody();
  const upstream: Handler = ({ target }) =>
    Promise.resolve({ status: 200, fields: [], body: target === "/events" ? fed.stream : bytesOf("hello") });
  return { fed, upstream };
}

interface StreamStage {
  readonly tunnel: Tunnel;
  readonly fed: FedBody;
  /** Reads the answer up to this text. */
  read(text: string): Promise<string>;
  /** Ends the answer. */
  finish(): Promise<void>;
}

/** Runs `act` with a tunnel on which one answer is under way, and ends it. */
async function withStream(
  options: TunnelOptions,
  act: (stage: StreamStage) => Promise<Edge | void>,
): Promise<void> {
  const { fed, upstream } = service();
  const tunnel = await startTunnel(upstream, options);
  let next: Edge | void = undefined;
  try {
    const visitor = await send(tunnel, getRequest(tunnel, "/events"));
    fed.push("first");
    await visitor.readUntil("first");
    next = await act({
      tunnel,
      fed,
      read: (text) => visitor.readUntil(text),
      async finish() {
        fed.end();
        await visitor.readUntil("0\r\n\r\n");
        visitor.socket.end();
      },
    });
    visitor.socket.reset();
  } finally {
    await tunnel.close();
    await next?.close();
  }
}

/** An edge that listens where the other one did. */
function successorOf({ edge }: Tunnel): Promise<Edge> {
  const { host, port } = edge.address;
  return startTestEdge({ listen: { kind: "tcp", host, port } });
}

describe("an edge that drains with an endless answer", () => {
  it("sends its agent to the edge that takes its place, and goes on with the answer", async () => {
    await withStream({ protocol: "v2" }, async ({ tunnel, fed, read, finish }) => {
      const old = tunnel.agent.tunnel!.session;
      const drained = tunnel.edge.drain();
      await assert.rejects(tunnel.connect(), { code: "connection_refused" });
      const startedAt = performance.now();
      const next = await successorOf(tunnel);
      await eventually(() => next.tunnels.online === 1);
      assert.ok(performance.now() - startedAt < 3_000, "not when the answer ends");
      assert.match(await get(publicSide(next, "shop")), /hello$/);
      assert.notEqual(tunnel.agent.tunnel!.session, old);
      fed.push("second");
      await read("second");
      assert.equal(tunnel.agent.active, 1);
      await finish();
      await drained;
      assert.equal((await old.closed).code, "closed");
      await eventually(() => tunnel.agent.active === 0);
      assert.equal(next.tunnels.online, 1);
      return next;
    });
  });

  it("still serves the visitors that are connected to it when their agent has gone over", async () => {
    await withStream({ protocol: "v2" }, async ({ tunnel, finish }) => {
      const idle = await send(tunnel, getRequest(tunnel));
      await idle.readUntil("hello");
      const drained = tunnel.edge.drain();
      await assert.rejects(tunnel.connect(), { code: "connection_refused" });
      const next = await successorOf(tunnel);
      await eventually(() => next.tunnels.online === 1);
      write(idle, getRequest(tunnel));
      assert.match(await idle.readUntil("hello"), /^HTTP\/1\.1 200 [^]*Connection: close/);
      await idle.ended;
      idle.socket.end();
      await finish();
      await drained;
      return next;
    });
  });

  it("ends a session whose link is lost, since nobody can come back to it", async () => {
    await withStream({ protocol: "v2" }, async ({ tunnel, read }) => {
      const session = tunnel.edge.tunnels.get("shop")!.session!;
      const drained = tunnel.edge.drain();
      await assert.rejects(tunnel.connect(), { code: "connection_refused" });
      tunnel.relay.cut();
      assert.match((await session.closed).code, /link_lost/);
      await assert.rejects(read("never"));
      await drained;
    });
  });

  it("ends the sessions that wait for their agents", async () => {
    await withStream({ protocol: "v2" }, async ({ tunnel, read }) => {
      const session = tunnel.edge.tunnels.get("shop")!.session!;
      await tunnel.relay.close();
      await eventually(() => session.isSuspended);
      const drained = tunnel.edge.drain();
      assert.equal((await session.closed).code, "resume_expired");
      await assert.rejects(read("never"));
      await drained;
    });
  });

  it("closes the session of a JSON agent that has nothing under way when idle visitors have gone", async () => {
    const { upstream } = service();
    const tunnel = await startTunnel(upstream, { protocol: "json", edge: { http: { drainIdleMs: 20 } } });
    const visitor = await tunnel.connect();
    // A head that has begun keeps the edge from ending.
    write(visitor, "GET / HTTP/1.1\r\n");
    await eventually(() => tunnel.edge.connections > 0);
    await eventually(() => tunnel.edge.bufferedBytes > 0);
    const { session } = tunnel.agent.tunnel!;
    const drained = tunnel.edge.drain();
    await session.closed;
    assert.equal(tunnel.edge.connections, 1);
    const next = await successorOf(tunnel);
    await eventually(() => next.tunnels.online === 1);
    visitor.socket.reset();
    await drained;
    await tunnel.close();
    await next.close();
  });
});

for (const protocol of protocols) {
  describe(`an agent whose edge has left, by ${protocol},`, () => {
    it("ends when it is told to, with an answer under way at the edge that leaves", async () => {
      await withStream({ protocol }, async ({ tunnel, fed, read, finish }) => {
        const drained = tunnel.edge.drain();
        await assert.rejects(tunnel.connect(), { code: "connection_refused" });
        const next = await successorOf(tunnel);
        if (protocol === "v2") await eventually(() => next.tunnels.online === 1);
        const left = tunnel.agent.drain();
        fed.push("second");
        await read("second");
        await finish();
        await Promise.all([left, drained]);
        await eventually(() => next.tunnels.online === 0);
        return next;
      });
    });
  });
}

describe("an agent whose link is lost", () => {
  it("leaves at once when it is told to, with nothing under way", async () => {
    const tunnel = await startTunnel(service().upstream, { protocol: "v2" });
    const { session } = tunnel.agent.tunnel!;
    // What was sent is acknowledged 50 ms later at most.
    await eventually(() => (session as V2AgentSession).keptBytes === 0);
    const lost = new Promise<void>((resolve) => {
      const events = session.linkEvents!;
      session.linkEvents = {
        onRedial: (...redial) => events.onRedial(...redial),
        onResumed: (...resumed) => events.onResumed(...resumed),
        onSuspended: (reason) => {
          events.onSuspended(reason);
          resolve();
        },
      };
    });
    await tunnel.relay.close();
    await lost;
    await tunnel.agent.drain();
    assert.equal((await session.closed).code, "closed");
    tunnel.agent.close();
    await tunnel.edge.close();
  });

  it("comes back for what is under way when it is told to leave", async () => {
    await withStream({ protocol: "v2" }, async ({ tunnel, fed, read, finish }) => {
      const session = tunnel.edge.tunnels.get("shop")!.session!;
      tunnel.relay.cut();
      await eventually(() => session.isSuspended);
      const left = tunnel.agent.drain();
      fed.push("second");
      await read("second");
      await finish();
      await left;
      assert.equal((await session.closed).code, "closed");
    });
  });
});

describe("an agent of several tunnels whose edge leaves", () => {
  it("opens all of them at the edge that takes its place, and finishes what runs on the old one", async () => {
    const { fed, upstream } = service();
    const edge = await startTestEdge();
    const { host, port } = edge.address;
    const url = parseEdgeUrl(`http://127.0.0.1:${port}`);
    const keeper = new TunnelKeeper({
      connect: (hooks, signal) =>
        TunnelSession.connect({ edge: url, token, version: "0.0.0", agentKey: newAgentKey(), ...hooks }, signal),
      makeUpstream: () => ({ handler: upstream, label: "http://upstream", active: 0, close() {} }),
      drainMs: 1_000,
      backoff: () => new Backoff(1, 20),
    });
    keeper.start(
      ["blog", "shop"].map((name): TunnelConfig => ({ name, kind: "http", upstream: "3000", hostnames: [] })),
    );
    const run = keeper.run();
    await eventually(() => edge.tunnels.online === 2);
    const side = publicSide(edge, "shop");
    const visitor = await send(side, getRequest(side, "/events"));
    fed.push("first");
    await visitor.readUntil("first");
    const drained = edge.drain();
    await assert.rejects(side.connect(), { code: "connection_refused" });
    const next = await startTestEdge({ listen: { kind: "tcp", host, port } });
    await eventually(() => next.tunnels.online === 2);
    for (const name of ["blog", "shop"]) assert.match(await get(publicSide(next, name)), /hello$/);
    fed.push("second");
    await visitor.readUntil("second");
    fed.end();
    await visitor.readUntil("0\r\n\r\n");
    visitor.socket.end();
    await drained;
    assert.equal(next.tunnels.online, 2);
    keeper.close();
    await run;
    await next.close();
  });
});
