/** Programs that run out of descriptors: who is refused, how, and who is not. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { descriptorsOf } from "../support/processes.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import {
  connectTo,
  isReady,
  killAll,
  spawnAgent,
  spawnEdge,
  spawnLimitedAgent,
  spawnLimitedEdge,
} from "../support/processes.ts";
import { assertProblem, get, getRequest, type PublicTunnel, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { latin1 } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";

/** More than there are descriptors, and at once less than the kernel holds for a listener. */
const SURPLUS_VISITORS = 200;
const deadlineMs = 30_000;

let servers: ScriptedServer[] = [];
afterEach(async () => {
  await killAll();
  for (const server of servers) await server.close();
  servers = [];
});

/** Answers each request with `ok`, but never one for `/never`. */
async function startUpstream(): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(async (peer) => {
    for (;;) {
      const head = await peer.readHead();
      if (!head.startsWith("GET /never ")) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  servers.push(server);
  return server;
}

/** A visitor who asks for a page that is not there, and stays; null where the edge refused the connection itself. */
async function visit(tunnel: PublicTunnel): Promise<SocketReader | null> {
  return await send(tunnel, getRequest(tunnel)).catch(() => null);
}

/** What a visitor was told: the status, or `reset`. Rejects where nothing comes. */
async function outcome(visitor: SocketReader | null): Promise<string> {
  if (visitor === null) return "reset";
  return await visitor.readUntil("\r\n\r\n").then((head) => head.slice(9, 12), () => "reset");
}

const expected = new Set(["404", "503", "reset"]);

function countsOf(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

for (const descriptors of [256, 1024]) {
  describe(`An edge with ${descriptors} descriptors`, () => {
    it(`answers each of ${descriptors + SURPLUS_VISITORS} visitors at once, and serves all once the first have gone`, async () => {
      const upstream = await startUpstream();
      const edge = await spawnLimitedEdge(descriptors);
      const agent = spawnAgent(edge.port, upstream.port);
      await agent.next(isReady);
      const tunnel: PublicTunnel = { host: "shop.localhost", connect: () => connectTo(edge.port) };
      // What it answers by itself, so that no upstream must bear as many connections.
      const edgeItself = { ...tunnel, host: "localhost" };

      for (let round = 0; round < 2; round++) {
        const visitors = await Promise.all(
          Array.from({ length: descriptors + SURPLUS_VISITORS }, () => visit(edgeItself)),
        );
        const outcomes: string[] = [];
        for (const visitor of visitors) void outcome(visitor).then((told) => outcomes.push(told));
        // Fails where one of them hears nothing.
        await eventually(() => outcomes.length === visitors.length, { deadlineMs, message: "some wait for ever" });
        const counts = countsOf(outcomes);
        assert.deepEqual(Object.keys(counts).filter((told) => !expected.has(told)), [], JSON.stringify(counts));
        assert.ok(counts["404"] >= descriptors / 2, JSON.stringify(counts));
        assert.ok((counts["503"] ?? 0) + (counts.reset ?? 0) > 0, JSON.stringify(counts));

        // Those that were there are served on, agents and probes get in, and files can be opened.
        const kept = visitors.find((visitor) => visitor !== null && !visitor.sawEnd && !visitor.sawClose)!;
        kept.socket.write(bytesOf(getRequest(tunnel, "/")));
        assert.match(await kept.readUntil("\r\n\r\nok"), /200 OK/);
        const more = spawnAgent(edge.port, upstream.port, "--name", `more${round}`);
        await more.next(isReady);
        // The few that are told more than a reset may still be there.
        let refusal = "";
        await eventually(async () => (refusal = await get(tunnel).catch(() => "")) !== "", { deadlineMs });
        assertProblem(refusal, 503, "overloaded");
        const open = descriptorsOf(edge.program);
        assert.ok(open === null || open < descriptors, `${open} descriptors are open`);

        for (const visitor of visitors) visitor?.socket.reset();
        await eventually(async () => (await get(tunnel).catch(() => "")).startsWith("HTTP/1.1 200"), { deadlineMs });
      }
      const said = edge.program.stderr.match(/raise the limit of open files \(ulimit -n\)/g) ?? [];
      assert.ok(said.length >= 1 && said.length <= 3, edge.program.stderr);
    });
  });
}

for (const protocol of protocols) {
  describe(`An agent without descriptors (${protocol})`, () => {
    it("answers overloaded to those whose upstream it cannot dial, and serves again afterwards", async () => {
      const upstream = await startUpstream();
      const edge = await spawnEdge();
      const agent = spawnLimitedAgent(100, edge.port, upstream.port, "--protocol", protocol);
      await agent.next(isReady);
      const tunnel: PublicTunnel = { host: "shop.localhost", connect: () => connectTo(edge.port) };
      const visitors: SocketReader[] = [];
      let told = "";
      while (told === "" && visitors.length < 200) {
        const visitor = await send(tunnel, getRequest(tunnel, "/never", "Connection: close\r\n"));
        visitors.push(visitor);
        void visitor.readAll().then((answer) => told ||= latin1(answer), () => {});
        const asked = visitors.length;
        await eventually(() => told !== "" || upstream.peers.length === asked, { deadlineMs });
      }
      assertProblem(told, 503, "overloaded");
      for (const visitor of visitors) visitor.socket.reset();
      await eventually(async () => (await get(tunnel)).startsWith("HTTP/1.1 200"), { deadlineMs });
    });
  });
}
