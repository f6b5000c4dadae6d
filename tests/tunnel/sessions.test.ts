/** What an edge tells of the agents that are connected, and of requests while somebody wants to know of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AccessRecord, AccessStart } from "../../src/edge/access.ts";
import type { AgentSession } from "../../src/edge/mod.ts";
import type { Handler } from "../../src/http/message.ts";
import { bodyText, FedBody } from "../support/client_requests.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import { exchange, protocols, startTestAgent, startTestEdge, startTunnel } from "../support/tunnel.ts";

const hello: Handler = async (_head, body) => {
  await bodyText(body);
  return { status: 200, fields: [], body: bytesOf("hello") };
};

for (const protocol of protocols) {
  describe(`Edge.sessions, by ${protocol}`, () => {
    it("tells of each agent, its tunnels and what passed through it, until it has gone", async () => {
      const told: [what: string, session: string, tunnels?: readonly string[]][] = [];
      const events = {
        onConnected: ({ id }: AgentSession) => void told.push(["connected", id]),
        onDisconnected: ({ id }: AgentSession, _: unknown, tunnels: readonly string[]) =>
          void told.push(["disconnected", id, tunnels]),
      };
      const tunnel = await startTunnel(hello, { protocol, edge: { events } });
      const [before] = tunnel.edge.sessions();
      await exchange(
        tunnel,
        `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789`,
      );
      const sessions = tunnel.edge.sessions();
      assert.equal(sessions.length, 1);
      const { connectedAt, rttMs, bytesIn, bytesOut, ...facts } = sessions[0]!;
      assert.ok(Math.abs(Date.parse(connectedAt) - Date.now()) < 60_000);
      assert.ok(rttMs === null || rttMs > 0, String(rttMs));
      assert.deepEqual([bytesIn - before!.bytesIn, bytesOut - before!.bytesOut], [10, 5]);
      assert.deepEqual(facts, {
        id: told[0]![1],
        node: null,
        protocol,
        peer: { address: "127.0.0.1", version: facts.peer.version },
        isLeaving: false,
        isSuspended: false,
        tunnels: ["shop"],
        streams: 0,
        bufferedBytes: 0,
      });
      tunnel.agent.close();
      await eventually(() => tunnel.edge.sessions().length === 0);
      assert.deepEqual(told, [["connected", facts.id], ["disconnected", facts.id, ["shop"]]]);
      await tunnel.close();
    });

    it("counts a streamed body as it passes, and the exchanges under way", async () => {
      const fed = new FedBody();
      const upstream: Handler = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      const tunnel = await startTunnel(upstream, { protocol });
      const before = tunnel.edge.sessions()[0]!.bytesOut;
      const visitor = await send(tunnel, getRequest(tunnel));
      fed.push("first");
      await visitor.readUntil("first");
      const { streams, bytesOut } = tunnel.edge.sessions()[0]!;
      assert.deepEqual([streams, bytesOut - before], [1, 5]);
      fed.end();
      await visitor.readUntil("0\r\n\r\n");
      await eventually(() => tunnel.edge.sessions()[0]!.streams === 0);
      visitor.socket.reset();
      await tunnel.close();
    });

    it("measures the round trip when the agent answers a ping", async () => {
      const tunnel = await startTunnel(hello, { protocol });
      const session = tunnel.edge.tunnels.get("shop")!.session!;
      assert.equal(await session.ping(20_000), true);
      assert.ok(tunnel.edge.sessions()[0]!.rttMs! > 0);
      await tunnel.close();
    });

    it("says that an agent leaves while it finishes what runs", async () => {
      const fed = new FedBody();
      const upstream: Handler = () => Promise.resolve({ status: 200, fields: [], body: fed.stream });
      const tunnel = await startTunnel(upstream, { protocol });
      const visitor = await send(tunnel, getRequest(tunnel));
      fed.push("first");
      await visitor.readUntil("first");
      const drained = tunnel.agent.drain();
      await eventually(() => tunnel.edge.sessions()[0]!.isLeaving);
      visitor.socket.reset();
      await drained;
      await eventually(() => tunnel.edge.sessions().length === 0);
      await tunnel.close();
    });

    it("tells who was refused a tunnel, the first time, and why", async () => {
      const refused: [address: string | null, reason: string, count: number][] = [];
      const onTunnelRefused = (...args: [string | null, string, number]) => void refused.push(args);
      const edge = await startTestEdge({ events: { onTunnelRefused } });
      for (const _ of [1, 2]) await assert.rejects(startTestAgent(edge, hello, "www", protocol));
      assert.equal(refused.length, 1);
      assert.deepEqual([refused[0]![0], refused[0]![2]], ["127.0.0.1", 1]);
      assert.match(refused[0]![1], /www is reserved/);
      // A longer reason than the log should have. The JSON protocol refuses such a frame itself.
      const isCut = protocol === "v2";
      if (isCut) await assert.rejects(startTestAgent(edge, hello, "x".repeat(2_000), protocol));
      assert.deepEqual(refused.slice(1).map(([, { length }, count]) => [length, count]), isCut ? [[300, 1]] : []);
      await edge.close();
      assert.deepEqual(refused[isCut ? 2 : 1], ["127.0.0.1", refused[0]![1], 1]);
    });
  });

  describe(`Edge.observeRequests, by ${protocol}`, () => {
    it("tells of requests that begin from then on, and of none after its end", async () => {
      const fed = new FedBody();
      const upstream: Handler = (head) =>
        head.target === "/open"
          ? Promise.resolve({ status: 200, fields: [], body: fed.stream })
          : hello(head, null, never);
      const tunnel = await startTunnel(upstream, { protocol });
      const early = await send(tunnel, getRequest(tunnel, "/open"));
      fed.push("first");
      await early.readUntil("first");

      const starts: AccessStart[] = [];
      const records: AccessRecord[] = [];
      const stop = tunnel.edge.observeRequests({
        onRequestStart: (start) => void starts.push(start),
        onRequest: (record) => void records.push(record),
      });
      await get(tunnel, "/seen");
      await eventually(() => records.length === 1);
      assert.deepEqual(starts.map(({ path, tunnel }) => [path, tunnel]), [["/seen", "shop"]]);
      const { status, bytesIn, bytesOut, durationMs: _, code, ...same } = records[0]!;
      assert.deepEqual(same, starts[0]);
      assert.deepEqual([status, bytesIn, bytesOut, code], [200, 0, 5, null]);

      // It began unobserved: neither its failure nor its end is told.
      fed.fail(new Error("gone"));
      await early.closed;
      await exchange(tunnel, "GARBAGE\r\n\r\n");
      await eventually(() => records.length === 2);
      assert.deepEqual([records[1]!.status, starts.length], [400, 1]);

      stop();
      await get(tunnel, "/unseen");
      assert.deepEqual([starts.length, records.length], [1, 2]);
      await tunnel.close();
    });
  });
}

const never = new AbortController().signal;
