/** Agents of nodes beside an edge with its control plane: what they are told, when, and until when. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_MAX_STREAMS_PER_NODE } from "../../src/push/registry.ts";
import { type ControlStage, withControl } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";
import { PushClient } from "../support/push_client.ts";
import { withScratch } from "../support/scratch.ts";

const urlOf = ({ edge }: Pick<ControlStage, "edge">, path: string) => `http://127.0.0.1:${edge.address.port}${path}`;
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

interface Told {
  readonly version: number;
  readonly pushUrl: string;
  readonly checksum: string;
  readonly tunnels: readonly Record<string, unknown>[];
}

async function configOf(stage: ControlStage, token: string): Promise<Told> {
  return await (await fetch(urlOf(stage, "/api/agent/config"), { headers: bearer(token) })).json();
}

/** A client that listens. */
async function listen(stage: ControlStage, token: string, query = ""): Promise<PushClient> {
  const client = new PushClient();
  assert.equal(await client.connect(urlOf(stage, `/api/agent/push${query}`), token), 200);
  return client;
}

function acknowledge(stage: ControlStage, token: string, body: object): Promise<Response> {
  const json = JSON.stringify({ checksum: "c", ok: true, ...body });
  return fetch(urlOf(stage, "/api/agent/ack"), { method: "POST", headers: bearer(token), body: json });
}

async function metric(stage: ControlStage, name: string): Promise<number> {
  const { status, text } = await stage.admin.read("/metrics");
  assert.equal(status, 200);
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

async function nodeConfig({ admin }: ControlStage, name = "web-1"): Promise<unknown> {
  const { nodes } = await admin.do("GET", "status") as { nodes: { name: string; config: unknown }[] };
  return nodes.find((node) => node.name === name)?.config;
}

describe("An agent of a node", () => {
  it("is told of each change of its config, with the reason, and of no other node's", () =>
    withControl(async (stage) => {
      const { admin } = stage;
      const tokens = [await admin.addNode("web-1"), await admin.addNode("web-2")];
      const [one, two] = [await listen(stage, tokens[0]!), await listen(stage, tokens[1]!)];
      await admin.addTunnel("shop", ["web-1"]);
      await admin.do("PUT", "tunnels/shop", { nodes: ["web-2"], upstream: "http://127.0.0.1:4000" });
      await admin.do("DELETE", "tunnels/shop");
      await admin.do("POST", "nodes/web-1/rotate", { graceMs: 60_000 });
      await eventually(() => one.events.length === 3 && two.events.length === 2);
      const told = (client: PushClient) => client.events.map(({ type, data }) => [type, data.version, data.reason]);
      assert.deepEqual(told(one), [
        ["config_changed", 3, "tunnel"],
        ["config_changed", 4, "tunnel"],
        ["config_changed", 6, "fleet"],
      ]);
      assert.deepEqual(told(two), [["config_changed", 4, "tunnel"], ["config_changed", 5, "tunnel"]]);
      assert.equal((await configOf(stage, tokens[0]!)).version, 6);
      one.close();
      two.close();
    }));

  it("gets a config that is new once it was told of it, and can listen where that says", () =>
    withControl(async (stage) => {
      const token = await stage.admin.addNode("web-1");
      const { version, pushUrl, checksum, tunnels } = await configOf(stage, token);
      assert.deepEqual([version, tunnels], [1, []]);
      assert.equal(pushUrl, `http://example.com:${stage.edge.address.port}/api/agent/push`);
      const client = await listen(stage, token);
      await stage.admin.addTunnel("shop", ["web-1"], { hostnames: ["shop.test"], requires: ["http"] });
      await eventually(() => client.events.length === 1);
      const next = await configOf(stage, token);
      assert.equal(next.version, client.events[0]!.data.version);
      assert.notEqual(next.checksum, checksum);
      const [{ id: _, ...tunnel } = {}] = next.tunnels;
      assert.deepEqual(tunnel, {
        name: "shop",
        kind: "http",
        upstream: "http://127.0.0.1:3000",
        hostnames: ["shop.test"],
        requires: ["http"],
      });
      client.close();
    }));

  it("is told to look again where the edge was started anew", () =>
    withScratch(async (folder) => {
      const client = new PushClient();
      let token = "";
      await withControl(async (stage) => {
        token = await stage.admin.addNode("web-1");
        await client.connect(urlOf(stage, "/api/agent/push"), token);
        await stage.admin.addTunnel("shop", ["web-1"]);
        await eventually(() => client.events.length === 1);
      }, { folder });
      await eventually(() => !client.isOpen);
      await withControl(async (stage) => {
        await client.connect(urlOf(stage, "/api/agent/push"), token);
        await eventually(() => client.events.length === 2);
        assert.deepEqual(client.events[1]!.data, { type: "config_changed", version: 2, reason: "resync" });
        client.close();
      }, { folder });
    }));

  it("is told of what another edge on the same folder has changed", () =>
    withScratch((folder) =>
      withControl((stage) =>
        withControl(async (other) => {
          const token = await stage.admin.addNode("web-1");
          other.clock.advance(1_000);
          const client = new PushClient();
          await eventually(async () => await client.connect(urlOf(other, "/api/agent/push"), token) === 200);
          await stage.admin.addTunnel("shop", ["web-1"]);
          await eventually(() => {
            other.clock.advance(1_000);
            return client.events.length > 0;
          });
          assert.deepEqual(client.events.map(({ data }) => data), [
            { type: "config_changed", version: 2, reason: "resync" },
          ]);
          client.close();
        }, { folder }), { folder })
    ));

  it("loses its stream at once where its token is replaced or its node removed", () =>
    withControl(async (stage) => {
      const { admin } = stage;
      const old = await admin.addNode("web-1");
      const client = await listen(stage, old);
      const { token } = await admin.do("POST", "nodes/web-1/rotate", {}) as { token: string };
      await eventually(() => !client.isOpen);
      assert.equal(await new PushClient().connect(urlOf(stage, "/api/agent/config"), old), 401);
      const next = await listen(stage, token);
      await admin.do("DELETE", "nodes/web-1");
      await eventually(() => !next.isOpen);
      assert.equal(await metric(stage, "runnel_push_subscribers"), 0);
    }));

  it("loses its stream when the grace of its token is over, and not before", () =>
    withControl(async (stage) => {
      const { admin, clock } = stage;
      const old = await admin.addNode("web-1");
      const client = await listen(stage, old, "?instance=old");
      const { token } = await admin.do("POST", "nodes/web-1/rotate", { graceMs: 60_000 }) as { token: string };
      const next = await listen(stage, token, "?instance=new");
      clock.advance(59_000);
      await admin.addTunnel("shop", ["web-1"]);
      await eventually(() => client.events.length === 2);
      assert.equal(client.isOpen, true);
      clock.advance(5_000);
      await eventually(() => !client.isOpen);
      await admin.do("DELETE", "tunnels/shop");
      await eventually(() => next.events.length === 2);
      assert.equal(next.isOpen, true);
      next.close();
    }));

  it("ends the stream that it had before, and those of other instances go on", () =>
    withControl(async (stage) => {
      const token = await stage.admin.addNode("web-1");
      const older = await listen(stage, token, "?instance=a");
      const other = await listen(stage, token, "?instance=b");
      const newer = await listen(stage, token, "?instance=a");
      await eventually(() => !older.isOpen);
      await stage.admin.addTunnel("shop", ["web-1"]);
      await eventually(() => newer.events.length === 1 && other.events.length === 1);
      assert.deepEqual([older.events.length, await metric(stage, "runnel_push_subscribers")], [0, 2]);
      newer.close();
      other.close();
      await eventually(async () => await metric(stage, "runnel_push_subscribers") === 0);
    }));

  it("is refused where its node has as many streams as it may have", () =>
    withControl(async (stage) => {
      const token = await stage.admin.addNode("web-1");
      const clients = await Promise.all(
        Array.from({ length: DEFAULT_MAX_STREAMS_PER_NODE }, (_, index) => listen(stage, token, `?instance=${index}`)),
      );
      const url = urlOf(stage, "/api/agent/push?instance=more");
      const response = await fetch(url, { headers: bearer(token) });
      assert.deepEqual([response.status, (await response.json()).code], [503, "overloaded"]);
      clients.pop()!.close();
      await eventually(async () => {
        const again = new PushClient();
        const status = await again.connect(url, token);
        again.close();
        return status === 200;
      });
      for (const client of clients) client.close();
    }));

  it("gets signs of life each 30 s", () =>
    withControl(async (stage) => {
      const token = await stage.admin.addNode("web-1");
      const response = await fetch(urlOf(stage, "/api/agent/push"), { headers: bearer(token) });
      const reader = response.body!.getReader();
      let text = "";
      const until = async (end: string) => {
        while (!text.endsWith(end)) text += new TextDecoder().decode((await reader.read()).value);
      };
      await until(": connected\n\n");
      stage.clock.advance(30_000);
      await until(": keepalive\n\n");
      stage.clock.advance(30_000);
      await until(": keepalive\n\n: keepalive\n\n");
      assert.equal(text, ": connected\n\n: keepalive\n\n: keepalive\n\n");
      await reader.cancel();
    }));
});

describe("POST /api/agent/ack", () => {
  it("is stored for each instance, told in the feed, and shown as the node's config", () =>
    withControl(async (stage) => {
      const { admin } = stage;
      const token = await admin.addNode("web-1");
      await admin.addTunnel("shop", ["web-1"]);
      assert.deepEqual(await nodeConfig(stage), { acknowledged: null, wanted: 2 });
      const client = await listen(stage, token, "?instance=a");
      const feed = (await admin.open("/api/v1/events", "application/x-ndjson")).getReader();
      let text = "";
      const told = async () => {
        const lines = () => text.split("\n").filter((line) => line.includes("config_acknowledged"));
        while (lines().length === 0) text += new TextDecoder().decode((await feed.read()).value);
        const [line = ""] = lines();
        text = "";
        const { event: _, eventId: __, time: ___, ...fields } = JSON.parse(line);
        return fields;
      };
      assert.equal((await acknowledge(stage, token, { version: 2, instance: "a" })).status, 204);
      assert.deepEqual(await told(), { node: "web-1", instance: "a", version: 2, ok: true });
      assert.deepEqual(await nodeConfig(stage), { acknowledged: 2, wanted: 2 });

      await admin.do("DELETE", "tunnels/shop");
      const failed = { version: 3, ok: false, error: "It cannot be", instance: "a" };
      assert.equal((await acknowledge(stage, token, failed)).status, 204);
      assert.deepEqual(await told(), { node: "web-1", instance: "a", version: 3, ok: false, error: "It cannot be" });
      assert.deepEqual(await nodeConfig(stage), { acknowledged: 2, wanted: 3 }, "it goes on with what it had");

      const second = await listen(stage, token, "?instance=b");
      assert.deepEqual(await nodeConfig(stage), { acknowledged: 0, wanted: 3 }, "one has said nothing yet");
      stage.clock.advance(1_000);
      await acknowledge(stage, token, { version: 3, instance: "b" });
      assert.deepEqual(await nodeConfig(stage), { acknowledged: 2, wanted: 3 });
      client.close();
      await eventually(async () => {
        const { acknowledged } = await nodeConfig(stage) as { acknowledged: number };
        return acknowledged === 3;
      });
      second.close();
      await eventually(async () => await metric(stage, "runnel_push_subscribers") === 0);
      assert.deepEqual(
        await nodeConfig(stage),
        { acknowledged: 3, wanted: 3 },
        "nobody listens: the last one that spoke",
      );
      await feed.cancel();
    }));

  it("is refused for a version that there is not yet, and with a token that is no node's", () =>
    withControl(async (stage) => {
      const token = await stage.admin.addNode("web-1");
      const refused = await acknowledge(stage, token, { version: 2 });
      assert.deepEqual([refused.status, (await refused.json()).code], [409, "unknown_version"]);
      const { token: names } = await stage.admin.do("POST", "tokens", { names: "pr-*" }) as { token: string };
      const foreign = await acknowledge(stage, names, { version: 1 });
      assert.deepEqual([foreign.status, (await foreign.json()).code], [403, "not_a_node"]);
      assert.deepEqual(await nodeConfig(stage), { acknowledged: null, wanted: 1 });
    }));

  it("takes a node off those that are behind, which the metrics count while they listen", () =>
    withControl(async (stage) => {
      const { admin, clock } = stage;
      const tokens = [await admin.addNode("web-1"), await admin.addNode("web-2")];
      const behind = async () => [
        await metric(stage, "runnel_config_behind_nodes"),
        await metric(stage, "runnel_config_lag_seconds"),
      ];
      await admin.addTunnel("shop", ["web-1", "web-2"]);
      assert.deepEqual(await behind(), [0, 0], "nobody listens");
      for (const token of tokens) await acknowledge(stage, token, { version: 3 });
      const clients = [await listen(stage, tokens[0]!), await listen(stage, tokens[1]!)];
      assert.deepEqual(await behind(), [0, 0]);
      await admin.do("DELETE", "tunnels/shop");
      clock.advance(7_000);
      assert.deepEqual(await behind(), [2, 7]);
      await acknowledge(stage, tokens[0]!, { version: 4 });
      await acknowledge(stage, tokens[1]!, { version: 4, ok: false });
      clock.advance(1_000);
      assert.deepEqual(await behind(), [1, 8]);
      await acknowledge(stage, tokens[1]!, { version: 4 });
      assert.deepEqual(await behind(), [0, 0]);
      clock.advance(9_000);
      await admin.addTunnel("shop", ["web-1"]);
      clock.advance(2_000);
      assert.deepEqual(await behind(), [1, 2], "it counts from the last change on");
      for (const client of clients) client.close();
      await eventually(async () => (await behind())[0] === 0);
    }));
});
