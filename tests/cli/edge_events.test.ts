/** `edge events` and the feed behind it, of an edge with agents of both protocols. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, freePort, SocketReader } from "../support/net.ts";
import { Relay } from "../support/relay.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols } from "../support/tunnel.ts";
import { type OperatedEdge, sharedToken, withOperatedEdge, withUpstream } from "./operated_edge.ts";
import { type Event, ProgramRun, runToEnd } from "./program_run.ts";

async function visit(edge: OperatedEdge, path: string, host = "shop.localhost"): Promise<SocketReader> {
  const port = Number(new URL(edge.url).port);
  const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  client.socket.write(
    bytesOf(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: tester/1\r\nConnection: close\r\n\r\n`),
  );
  return client;
}

/** The first event of this name for which `isWanted` is true. */
function eventOf(run: ProgramRun, name: string, isWanted: (event: Event) => boolean = () => true): Promise<Event> {
  return run.waitFor(() => run.events.find((item) => item.event === name && isWanted(item)));
}

const namesOf = (events: readonly Event[]) => events.map(({ event }) => event);

for (const protocol of protocols) {
  describe(`edge events, by ${protocol}`, () => {
    it("prints agents, tunnels and requests as they begin and end", () =>
      withUpstream((upstream) =>
        withOperatedEdge(async (edge) => {
          const events = edge.start("events", "--json");
          await events.event("connected");
          const agent = await edge.agent(upstream.port, "--name", "shop", "--protocol", protocol);
          const started = await eventOf(events, "session_started");
          assert.deepEqual([started.protocol, started.address, started.node], [protocol, "127.0.0.1", undefined]);
          const opened = await eventOf(events, "tunnel_opened");
          assert.deepEqual([opened.tunnel, opened.session], ["shop", started.session]);

          const visitor = await visit(edge, "/late?secret=1");
          const isLate = ({ path }: Event) => path === "/late";
          const { event: _, eventId: __, time: ___, ...begun } = await eventOf(events, "request_started", isLate);
          assert.equal(events.events.some(({ event, path }) => event === "request" && path === "/late"), false);
          assert.deepEqual(begun, {
            id: begun.id,
            client: "127.0.0.1",
            method: "GET",
            host: "shop.localhost",
            path: "/late",
            httpVersion: "1.1",
            tunnel: "shop",
            session: started.session,
            userAgent: "tester/1",
          });
          upstream.answerLate();
          await visitor.readAll();
          const { event: ____, eventId: _____, time: ______, ...over } = await eventOf(events, "request", isLate);
          const { status, bytesIn, bytesOut, durationMs, ...same } = over;
          assert.deepEqual(same, begun);
          assert.deepEqual([status, bytesIn, bytesOut, Number.isInteger(durationMs)], [200, 0, 5, true]);

          assert.equal(await agent.stop(), 0);
          const gone = await eventOf(events, "session_ended");
          assert.deepEqual([gone.session, gone.tunnels], [started.session, ["shop"]]);
          assert.ok(String(gone.reason) !== "" && String(gone.code) !== "");
          await (await visit(edge, "/off")).readAll();
          const offline = await eventOf(events, "request", ({ path }) => path === "/off");
          assert.deepEqual([offline.status, offline.code, offline.tunnel], [503, "tunnel_offline", "shop"]);
          assert.ok(!events.stdout.includes("secret"));
          assert.equal(await events.stop(), 0);
        })
      ));

    it("makes nothing of requests while nobody listens", () =>
      withUpstream((upstream) =>
        withOperatedEdge(async (edge) => {
          const agent = await edge.agent(upstream.port, "--name", "shop", "--protocol", protocol);
          for (const path of ["/a", "/b", "/c"]) await (await visit(edge, path)).readAll();
          const events = edge.start("events", "--json");
          // Behind the agent and its tunnel.
          assert.match(String((await events.event("connected")).eventId), /-2$/);
          await (await visit(edge, "/d")).readAll();
          await eventOf(events, "request");
          const paths = events.events.filter(({ path }) => path !== undefined).map(({ path }) => path);
          assert.deepEqual(paths, ["/d", "/d"]);
          assert.equal(await events.stop(), 0);
          assert.equal(await agent.stop(), 0);
        })
      ));

    it("prints what was refused: tokens and tunnels", () =>
      withUpstream((upstream) =>
        withOperatedEdge(async (edge) => {
          const events = edge.start("events", "--json");
          await events.event("connected");
          const args = ["http", String(upstream.port), "--edge", edge.url, "--protocol", protocol, "--json"];
          await runToEnd(agentProgram, [...args, "--token", "wrong"]);
          const wrong = await eventOf(events, "refused", ({ what }) => what === "token");
          assert.deepEqual([wrong.count, wrong.address], [1, "127.0.0.1"]);

          const token = (await edge.command("token", "add", "--name", "pr-*", "--json")).events[0]!.token as string;
          await runToEnd(agentProgram, [...args, "--token", token, "--name", "shop"]);
          const refused = await eventOf(events, "refused", ({ what }) => what === "tunnel");
          assert.deepEqual([refused.count, refused.address], [1, "127.0.0.1"]);
          assert.match(String(refused.reason), /pr-\*/);
          assert.ok(!events.stdout.includes(token) && !events.stdout.includes(sharedToken));
          assert.equal(await events.stop(), 0);
        })
      ));
  });
}

describe("edge events", () => {
  it("prints changes of nodes, tokens and tunnels without a secret", () =>
    withOperatedEdge(async (edge) => {
      const events = edge.start("events", "--json");
      await events.event("connected");
      const added = (await edge.command("node", "add", "web-1", "--json")).events[0]!;
      await edge.command("tunnel", "add", "shop", "--node", "web-1", "--upstream", "3000", "--hostname", "shop.test");
      await edge.command("tunnel", "remove", "shop");
      await edge.command("node", "remove", "web-1");
      await eventOf(events, "config_changed", ({ kind, change }) => kind === "node" && change === "removed");
      const changes = events.events.filter(({ event }) => event === "config_changed");
      const told = changes.filter(({ kind }) => kind !== "token").map(({ kind, key, change }) => [kind, key, change]);
      assert.deepEqual(told, [
        ["node", "web-1", "added"],
        ["tunnel", "shop", "added"],
        ["tunnel", "shop", "removed"],
        ["node", "web-1", "removed"],
      ]);
      const revisions = changes.map(({ revision }) => Number(revision));
      assert.deepEqual(revisions, [...revisions].sort((a, b) => a - b));
      const token = String(added.token);
      for (const secret of [token, token.split("_").at(-1)!]) assert.ok(!events.stdout.includes(secret));
      assert.equal(await events.stop(), 0);
    }));

  it("goes on behind the last event where the connection was lost, and misses none", () =>
    withOperatedEdge(async (edge) => {
      const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port: Number(new URL(edge.admin).port) });
      const options = { environment: { RUNNEL_ADMIN_TOKEN: edge.adminToken } };
      const admin = `http://127.0.0.1:${relay.port}`;
      const events = new ProgramRun(edgeProgram, ["events", "--json", "--admin", admin], options);
      await events.event("connected");
      await edge.command("node", "add", "web-1");
      await eventOf(events, "config_changed", ({ key }) => key === "web-1");
      relay.cut();
      await edge.command("node", "add", "web-2");
      await (await visit(edge, "/while-lost")).readAll();
      await eventOf(events, "request", ({ path }) => path === "/while-lost");
      const names = events.events.filter(({ kind }) => kind === "node").map(({ key }) => key);
      assert.deepEqual(names, ["web-1", "web-2"]);
      assert.equal(namesOf(events.events).includes("gap"), false);
      const ids = events.events.filter(({ event }) => event !== "connected").map(({ eventId }) => eventId);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(await events.stop(), 0);
      await relay.close();
    }));

  it("begins behind the event that --since names, and says where events are missing", () =>
    withOperatedEdge(async (edge) => {
      const events = edge.start("events", "--json");
      await events.event("connected");
      for (const name of ["web-1", "web-2", "web-3"]) await edge.command("node", "add", name);
      const second = await eventOf(events, "config_changed", ({ key }) => key === "web-2");
      assert.equal(await events.stop(), 0);

      const later = edge.start("events", "--json", "--since", String(second.eventId));
      await eventOf(later, "config_changed", ({ key }) => key === "web-3");
      assert.deepEqual(later.events.filter(({ kind }) => kind === "node").map(({ key }) => key), ["web-3"]);
      assert.equal(await later.stop(), 0);

      const foreign = edge.start("events", "--json", "--since", "another-1");
      await eventOf(foreign, "config_changed", ({ key }) => key === "web-3");
      const gap = foreign.events.find(({ event }) => event === "gap");
      assert.deepEqual([gap?.since, namesOf(foreign.events).slice(0, 2)], ["another-1", ["connected", "gap"]]);
      assert.equal(await foreign.stop(), 0);
    }));

  it("prints a line for each event to people", () =>
    withUpstream((upstream) =>
      withOperatedEdge(async (edge) => {
        const environment = { RUNNEL_ADMIN_TOKEN: edge.adminToken, RUNNEL_LOG_LEVEL: "info" };
        const events = new ProgramRun(edgeProgram, ["events", "--admin", edge.admin], { environment });
        await events.waitFor(() => events.stderr.includes("Listening to what happens"));
        const agent = await edge.agent(upstream.port, "--name", "shop");
        await events.waitFor(() => events.stdout.includes("tunnel_opened"));
        await (await visit(edge, "/a")).readAll();
        await events.waitFor(() => events.stdout.includes("/a 200"));
        const line = (name: string, rest: RegExp) =>
          new RegExp(`^\\d\\d:\\d\\d:\\d\\d  ${name.padEnd(19)}  ${rest.source}$`, "m");
        assert.match(events.stdout, line("session_started", /s\d+: agent \S+ from 127\.0\.0\.1 \(v2\)/));
        assert.match(events.stdout, line("tunnel_opened", /shop by s\d+/));
        assert.match(events.stdout, line("request_started", /GET shop\.localhost\/a from 127\.0\.0\.1/));
        assert.match(events.stdout, line("request", /GET shop\.localhost\/a 200, 5 B in \d+ ms/));
        assert.ok(!/connected|keepalive/.test(events.stdout));
        assert.equal(await agent.stop(), 0);
        assert.equal(await events.stop(), 0);
      })
    ));

  it("exits 1 where what comes is no feed, and says what came", async () => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson; charset=utf-8\r\n\r\n";
    const cases: readonly [text: string, reason: RegExp][] = [
      ["<html>\n", /The line "<html>" is no JSON/],
      ["x".repeat(1024 ** 2 + 1), /A line of a stream is over 1048576 bytes/],
    ];
    for (const [text, reason] of cases) {
      const server = await ScriptedServer.start(async (peer) => {
        await peer.readHead();
        await peer.send(head + text);
      });
      const options = { environment: { RUNNEL_ADMIN_TOKEN: "token" } };
      const run = await runToEnd(edgeProgram, ["events", "--admin", `http://127.0.0.1:${server.port}`], options);
      await server.close();
      assert.equal(run.exitCode, 1);
      assert.match(run.stderr, reason);
    }
  });

  it("exits 4 where no edge is there, 3 with a wrong token, and 2 for an id that is none", async () => {
    const admin = `http://127.0.0.1:${await freePort()}`;
    const options = { environment: { RUNNEL_ADMIN_TOKEN: "wrong" } };
    const exitCodeOf = async (...args: string[]) =>
      (await runToEnd(edgeProgram, ["events", ...args], options)).exitCode;
    assert.equal(await exitCodeOf("--admin", admin), 4);
    assert.equal(await exitCodeOf("--admin", admin, "--since", "yesterday"), 2);
    await withOperatedEdge(async (edge) => assert.equal(await exitCodeOf("--admin", edge.admin), 3));
  });
});
