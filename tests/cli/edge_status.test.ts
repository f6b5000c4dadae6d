/** `edge status`, of an edge with nodes and agents of both protocols. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { version } from "../../src/config/version.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";
import { type OperatedEdge, withOperatedEdge, withUpstream } from "./operated_edge.ts";
import { runToEnd } from "./program_run.ts";

/** Sends ten bytes through the tunnel `shop`, and gets five. */
async function post(edge: OperatedEdge): Promise<void> {
  const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: Number(new URL(edge.url).port) }));
  client.socket.write(
    bytesOf("POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"),
  );
  client.socket.write(bytesOf("0123456789"));
  await client.readAll();
}

describe("edge status", () => {
  it("says that nothing is there on an edge without nodes and agents, and exits 0 with --check", () =>
    withOperatedEdge(async (edge) => {
      const { exitCode, stdout } = await edge.command("status", "--check");
      assert.deepEqual([exitCode, stdout], [0, "No node is enrolled, and no agent is connected.\n"]);
      const [status] = (await edge.command("status", "--json")).events;
      const { startedAt, connections, requests, bufferedBytes, ...rest } = status!;
      assert.ok(Math.abs(Date.parse(String(startedAt)) - Date.now()) < 60_000);
      assert.deepEqual([connections, requests, bufferedBytes], [0, 0, 0]);
      assert.deepEqual(rest, {
        version,
        state: "ready",
        url: edge.ready.publicUrl,
        revision: 0,
        nodes: [],
        sessions: [],
        tunnels: [],
      });
    }));

  for (const protocol of protocols) {
    it(`shows nodes and tunnels, and --check exits 1 while one is offline, by ${protocol}`, () =>
      withUpstream((upstream) =>
        withOperatedEdge(async (edge) => {
          const { token } = (await edge.command("node", "add", "web-1", "--json")).events[0]!;
          await edge.command("node", "add", "web-2");
          await edge.command("tunnel", "add", "shop", "--node", "web-1", "--upstream", "3000");
          await edge.command("tunnel", "add", "docs", "--node", "web-2", "--upstream", "3000");
          const url = (name: string) => `http://${name}.localhost:${new URL(edge.url).port}`;
          const before = await edge.command("status");
          assert.deepEqual(before.stdout.split("\n"), [
            "NODE   STATE    VERSION  PROTOCOL  RTT  TUNNELS  STREAMS  IN   OUT  CONFIG",
            "web-1  offline  -        -         -    0        0        0 B  0 B  -/3",
            "web-2  offline  -        -         -    0        0        0 B  0 B  -/4",
            "",
            `TUNNEL  URL${" ".repeat(url("docs").length - 3)}  NODE   STATE`,
            `docs    ${url("docs")}  web-2  offline`,
            `shop    ${url("shop")}  web-1  offline`,
            "",
          ]);
          assert.equal(before.exitCode, 0);
          const agent = await edge.agent(
            upstream.port,
            "--name",
            "shop",
            "--token",
            String(token),
            "--protocol",
            protocol,
          );
          const other = await edge.agent(upstream.port, "--name", "free", "--protocol", protocol);
          await post(edge);

          const [status] = (await edge.command("status", "--json")).events as [
            Record<string, Record<string, unknown>[]>,
          ];
          const node = status.nodes!.find(({ name }) => name === "web-1")!;
          const { rttMs, ...facts } = node;
          assert.ok(rttMs === null || Number(rttMs) > 0);
          const isV2 = protocol === "v2";
          // The agent's question for its tunnel is a body, too.
          assert.ok(Number(facts.bytesIn) >= 10 && Number(facts.bytesOut) >= 5, JSON.stringify(facts));
          assert.deepEqual({ ...facts, bytesIn: 0, bytesOut: 0 }, {
            name: "web-1",
            state: "online",
            version: isV2 ? version : facts.version,
            protocol,
            tunnels: ["shop"],
            streams: 0,
            bytesIn: 0,
            bytesOut: 0,
            config: { acknowledged: null, wanted: 3 },
          });
          const session = status.sessions!.find((item) => item.node === "web-1")!;
          assert.deepEqual([session.state, session.address, session.tunnels], ["online", "127.0.0.1", ["shop"]]);
          assert.deepEqual([session.bytesIn, session.bytesOut], [node.bytesIn, node.bytesOut]);
          const shop = status.tunnels!.find(({ name }) => name === "shop")!;
          assert.deepEqual(shop, {
            name: "shop",
            url: url("shop"),
            node: "web-1",
            nodes: ["web-1"],
            state: "online",
            session: session.id,
            sessions: [session.id],
            isDeclared: true,
          });
          const free = status.tunnels!.find(({ name }) => name === "free")!;
          assert.deepEqual([free.node, free.nodes, free.state, free.isDeclared], [null, [], "online", false]);

          const checked = await edge.command("status", "--check");
          assert.equal(checked.exitCode, 1);
          assert.match(checked.stdout, new RegExp(`^web-1 +online +\\S+ +${protocol} .* -/3$`, "m"));
          assert.match(checked.stdout, new RegExp(`^- +online +\\S+ +${protocol} .* -$`, "m"));
          assert.match(checked.stderr, /Offline: \W?node web-2, tunnel docs\W?$/m);
          await edge.command("tunnel", "remove", "docs");
          await edge.command("node", "remove", "web-2");
          assert.equal((await edge.command("status", "--check")).exitCode, 0);
          await agent.stop();
          await eventually(async () => (await edge.command("status", "--check", "--json")).exitCode === 1);
          await other.stop();
        })
      ));
  }

  it("exits 4 where no edge answers, and 2 for an argument", async () => {
    let admin = "";
    await withOperatedEdge(async (edge) => {
      admin = edge.admin;
      assert.equal((await edge.command("status", "web-1")).exitCode, 2);
    });
    const options = { environment: { RUNNEL_ADMIN_TOKEN: "any" } };
    assert.equal((await runToEnd(edgeProgram, ["status", "--admin", admin], options)).exitCode, 4);
  });
});
