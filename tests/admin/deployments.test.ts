/** `/api/v1/apply`, `/api/v1/rollback`, `/api/v1/rollout`, and the settings of tunnels. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AdminOptions, StatusSession } from "../../src/admin/mod.ts";
import type { Store } from "../../src/store/mod.ts";
import { type AdminStage, onAdminStage } from "./stage.ts";

const upstream = "http://127.0.0.1:3000";
const shop = { nodes: ["web-1"], upstream };

async function enroll({ ask }: AdminStage, ...names: string[]): Promise<void> {
  for (const name of names) await ask("/api/v1/nodes", { method: "POST", body: { name } });
}

const post = ({ ask }: AdminStage, path: string, body: unknown) => ask(`/api/v1/${path}`, { method: "POST", body });

describe("/api/v1/apply", () => {
  it("applies a project, tells what it did, and does nothing the second time", () =>
    onAdminStage(async (stage) => {
      await enroll(stage, "web-1");
      const tunnel = {
        ...shop,
        hostnames: ["shop.test"],
        hostHeader: "rewrite",
        timeouts: { idle: "5m" },
        compress: true,
      };
      const nodes = { "web-1": { labels: { site: "fra" } } };
      const body = { project: "shop", nodes, tunnels: { shop: tunnel } };
      const dry = await post(stage, "apply", { ...body, dryRun: true });
      assert.deepEqual([dry.json.revision, dry.json.changed], [0, true]);
      const { status, json } = await post(stage, "apply", body);
      assert.equal(status, 200);
      const added = { nodes: ["web-1"], upstream, hostnames: ["shop.test"], hostHeader: "rewrite" };
      const settings = { timeouts: { idle: "5m" }, compress: true };
      assert.deepEqual(json, {
        revision: 2,
        changed: true,
        plan: [
          {
            action: "change",
            kind: "node",
            name: "web-1",
            changes: [{ key: "labels", before: {}, after: { site: "fra" } }],
          },
          {
            action: "add",
            kind: "tunnel",
            name: "shop",
            changes: Object.entries({ ...added, ...settings }).map(([key, after]) => ({ key, before: null, after })),
          },
        ],
        nodes: [{ name: "web-1", version: 2 }],
      });
      assert.deepEqual(json.plan, dry.json.plan);
      const again = await post(stage, "apply", { ...body, prune: true });
      assert.deepEqual([again.json.revision, again.json.changed], [2, false]);
      const shown = (await stage.ask("/api/v1/tunnels/shop")).json;
      assert.deepEqual([shown.project, shown.hostHeader, shown.timeouts, shown.compress], [
        "shop",
        "rewrite",
        { idle: "5m" },
        true,
      ]);
      const { entries } = (await stage.ask("/api/v1/audit?limit=1")).json as { entries: Record<string, unknown>[] };
      assert.deepEqual([entries[0]!.action, entries[0]!.subject, entries[0]!.address], [
        "deploy.apply",
        "shop",
        "127.0.0.1",
      ]);
    }));

  it("names the key of what is wrong, and writes nothing", () =>
    onAdminStage(async (stage) => {
      await enroll(stage, "web-1");
      const cases: [body: unknown, status: number, code: string, detail: RegExp][] = [
        [{}, 400, "bad_request", /^Body key `project`: /],
        [{ project: "A" }, 400, "bad_name", /^The project name "A" must be/],
        [{ project: "a", tunnels: { b: {} } }, 400, "bad_request", /^Body key `tunnels\.b\.nodes`: /],
        [
          { project: "a", tunnels: { b: { ...shop, extra: 1 } } },
          400,
          "bad_request",
          /^Body key `tunnels\.b`: .*"extra"/,
        ],
        [
          { project: "a", tunnels: { b: { ...shop, timeouts: { firstByte: "soon" } } } },
          400,
          "bad_request",
          /^Body key `tunnels\.b\.timeouts\.firstByte`: is neither off nor a duration/,
        ],
        [{ project: "a", nodes: { "web-1": { labels: { "a b": "" } } } }, 400, "bad_request", /`nodes\.web-1\.labels`/],
        [
          { project: "a", tunnels: { b: { ...shop, nodes: ["web-9"] } } },
          404,
          "node_not_found",
          /edge node add web-9$/,
        ],
        [{ project: "a", tunnels: { www: shop } }, 400, "bad_name", /^The name www is reserved/],
        [{ project: "a", tunnels: many(1_001, shop) }, 400, "bad_request", /`tunnels`: has over 1000 tunnels$/],
        [{ project: "a", nodes: many(1_001, {}) }, 400, "bad_request", /`nodes`: has over 1000 nodes$/],
      ];
      for (const [body, status, code, detail] of cases) {
        const answer = await post(stage, "apply", body);
        assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
        assert.match(String(answer.json.detail), detail);
      }
      assert.equal(await stage.store.revision(), 1);
    }));

  it("takes 1,000 tunnels, and a body of 2 MiB, and no more", () =>
    onAdminStage(async (stage) => {
      await enroll(stage, "web-1");
      const { status, json } = await post(stage, "apply", { project: "a", tunnels: many(1_000, shop) });
      assert.equal(status, 200, JSON.stringify(json).slice(0, 500));
      assert.equal((json.plan as unknown[]).length, 1_000);
      const text = JSON.stringify({ project: "b" });
      const padded = (bytes: number) => text + " ".repeat(bytes - text.length);
      assert.equal((await post(stage, "apply", padded(2 * 1024 * 1024))).status, 200);
      const refused = await post(stage, "apply", padded(2 * 1024 * 1024 + 1));
      assert.deepEqual([refused.status, refused.json.code], [413, "body_too_large"]);
    }));
});

describe("/api/v1/rollback", () => {
  it("makes a project what it was, and says which revisions cannot be", () =>
    onAdminStage(async (stage) => {
      await enroll(stage, "web-1");
      const first = await post(stage, "apply", { project: "shop", tunnels: { shop } });
      const changed = { ...shop, upstream: "http://127.0.0.1:4000" };
      await post(stage, "apply", { project: "shop", tunnels: { shop: changed } });
      const { revision } = first.json;
      const dry = await post(stage, "rollback", { revision, dryRun: true });
      assert.deepEqual([dry.status, dry.json.changed, dry.json.revision], [200, true, 3]);
      const { json } = await post(stage, "rollback", { revision });
      assert.deepEqual([json.revision, json.nodes], [4, [{ name: "web-1", version: 4 }]]);
      assert.equal((await stage.ask("/api/v1/tunnels/shop")).json.upstream, upstream);
      const cases: [body: unknown, status: number, code: string][] = [
        [{ revision: 0 }, 400, "bad_request"],
        [{ revision: 1.5 }, 400, "bad_request"],
        [{ revision: 99 }, 404, "revision_not_found"],
        [{ revision: 1 }, 404, "revision_not_found"],
        [{ revision, project: "other" }, 404, "project_not_found"],
      ];
      for (const [body, status, code] of cases) {
        const answer = await post(stage, "rollback", body);
        assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
      }
    }));
});

describe("The settings of a tunnel", () => {
  it("are declared, shown where they are set, and back at their defaults where PUT leaves them out", () =>
    onAdminStage(async (stage) => {
      await enroll(stage, "web-1");
      const settings = { hostHeader: "app.internal", timeouts: { firstByte: "off" }, compress: true };
      const added = await post(stage, "tunnels", { name: "shop", ...shop, ...settings });
      assert.equal(added.status, 201, added.text);
      const pick = ({ hostHeader, timeouts, compress }: Record<string, unknown>) => ({
        hostHeader,
        timeouts,
        compress,
      });
      assert.deepEqual(pick(added.json), settings);
      const { tunnels } = (await stage.ask("/api/v1/tunnels")).json as { tunnels: Record<string, unknown>[] };
      assert.deepEqual(pick(tunnels[0]!), settings);
      const put = (body: object) => stage.ask("/api/v1/tunnels/shop", { method: "PUT", body: { ...shop, ...body } });
      assert.equal((await put(settings)).json.revision, added.json.revision);
      const changed = await put({ compress: false });
      assert.deepEqual(pick(changed.json), { hostHeader: undefined, timeouts: undefined, compress: false });
      assert.ok(!("hostHeader" in (await put({})).json));
      for (
        const bad of [{ hostHeader: "a b" }, { timeouts: { other: "1s" } }, { timeouts: "1s" }, { compress: "yes" }]
      ) {
        assert.equal((await put(bad)).json.code, "bad_request", JSON.stringify(bad));
      }
    }));
});

/** What a test says of agents: instances with a push stream, nodes with a session. */
interface Agents {
  live: Record<string, string[]>;
  sessions: string[];
}

function withAgents(use: (stage: AdminStage, agents: Agents) => Promise<void>): Promise<void> {
  const agents: Agents = { live: {}, sessions: [] };
  const edge = {
    connections: 0,
    active: 0,
    bufferedBytes: 0,
    isDraining: false,
    sessions: () => agents.sessions.map(sessionOf),
    tunnels: { list: () => [] },
    urlOf: () => "https://example.com",
  };
  const options: Partial<AdminOptions> = { edge, instancesOf: (node) => agents.live[node] ?? [] };
  return onAdminStage((stage) => use(stage, agents), options);
}

function sessionOf(node: string): StatusSession {
  const peer = { address: "127.0.0.1", version: "1.0.0" };
  const counts = { streams: 0, bytesIn: 0, bytesOut: 0, bufferedBytes: 0 };
  const connectedAt = "2026-01-02T03:04:05.000Z";
  return {
    id: "s1",
    node,
    protocol: "v2",
    peer,
    connectedAt,
    isLeaving: false,
    isSuspended: false,
    rttMs: null,
    tunnels: [],
    ...counts,
  };
}

let acknowledgements = 0;

/** @param error null: the version was applied */
async function acknowledge(store: Store, version: number, instance = "", error: string | null = null): Promise<void> {
  // Each is later than the one before.
  const at = new Date(1e12 + ++acknowledgements).toISOString();
  await store.acknowledge({ node: "web-1", instance, version, checksum: "c", error, at });
}

describe("/api/v1/rollout", () => {
  const stateOf = async ({ ask }: AdminStage, version: number) => {
    const { json } = await ask(`/api/v1/rollout?node=web-1:${version}`);
    const [node] = json.nodes as { state: string; instances: unknown[] }[];
    return node!.state;
  };

  it("counts an agent without a push stream by what it has acknowledged", () =>
    withAgents(async (stage, agents) => {
      await enroll(stage, "web-1");
      assert.equal(await stateOf(stage, 5), "offline");
      agents.sessions.push("web-1");
      assert.equal(await stateOf(stage, 5), "pending");
      await acknowledge(stage.store, 4);
      assert.equal(await stateOf(stage, 5), "pending");
      assert.equal(await stateOf(stage, 4), "applied");
      await acknowledge(stage.store, 6);
      assert.equal(await stateOf(stage, 5), "applied");
      agents.sessions.pop();
      assert.equal(await stateOf(stage, 6), "applied");
      assert.equal(await stateOf(stage, 7), "offline");
    }));

  it("waits for each instance that has a push stream, and for none that has left", () =>
    withAgents(async (stage, agents) => {
      await enroll(stage, "web-1");
      agents.live["web-1"] = ["one", "two"];
      assert.equal(await stateOf(stage, 5), "pending");
      await acknowledge(stage.store, 5, "one");
      await acknowledge(stage.store, 4, "gone");
      assert.equal(await stateOf(stage, 5), "pending");
      await acknowledge(stage.store, 5, "two");
      assert.equal(await stateOf(stage, 5), "applied");
      const { json } = await stage.ask("/api/v1/rollout?node=web-1:5");
      assert.deepEqual(json.nodes, [{
        name: "web-1",
        version: 5,
        state: "applied",
        instances: [
          { instance: "gone", version: 4, ok: true, error: null, isLive: false },
          { instance: "one", version: 5, ok: true, error: null, isLive: true },
          { instance: "two", version: 5, ok: true, error: null, isLive: true },
        ],
      }]);
      agents.live["web-1"].push("three");
      assert.equal(await stateOf(stage, 5), "pending");
    }));

  it("has failed where one agent has, until another one has applied it behind that in its place", () =>
    withAgents(async (stage, agents) => {
      await enroll(stage, "web-1");
      agents.live["web-1"] = ["one"];
      await acknowledge(stage.store, 5, "old", "no upstream");
      assert.equal(await stateOf(stage, 5), "failed");
      assert.equal(await stateOf(stage, 6), "pending");
      await acknowledge(stage.store, 5, "one");
      assert.equal(await stateOf(stage, 5), "applied");
      await acknowledge(stage.store, 6, "one", "no upstream");
      assert.equal(await stateOf(stage, 5), "failed");
      await acknowledge(stage.store, 6, "old");
      assert.equal(await stateOf(stage, 6), "failed");
      await acknowledge(stage.store, 6, "one");
      assert.equal(await stateOf(stage, 6), "applied");
    }));

  it("answers as soon as something is acknowledged, or an agent comes, and at the end of the wait otherwise", () =>
    withAgents(async (stage, agents) => {
      const { ask, store } = stage;
      await enroll(stage, "web-1", "web-2");
      const path = "/api/v1/rollout?node=web-1:5&node=web-2:2";
      const first = (await ask(`${path}&waitMs=30000`)).json;
      assert.deepEqual((first.nodes as { name: string }[]).map(({ name }) => name), ["web-1", "web-2"]);
      const waiting = ask(`${path}&waitMs=30000&seen=${first.tag}`);
      // That of a version which nobody waits for is news, too.
      await acknowledge(store, 5);
      const second = (await waiting).json;
      assert.deepEqual((second.nodes as { state: string }[]).map(({ state }) => state), ["applied", "offline"]);
      const next = ask(`${path}&waitMs=30000&seen=${second.tag}`);
      agents.sessions.push("web-2");
      const third = (await next).json;
      assert.deepEqual((third.nodes as { state: string }[]).map(({ state }) => state), ["applied", "pending"]);
      assert.equal((await ask(`${path}&waitMs=1&seen=${third.tag}`)).json.tag, third.tag);
    }));

  it("refuses what is no node and version, and too many of them", () =>
    withAgents(async (stage) => {
      await enroll(stage, "web-1");
      const refused = async (query: string) => {
        const { status, json } = await stage.ask(`/api/v1/rollout${query}`);
        return [status, json.code];
      };
      const node = "node=web-1:1";
      for (
        const query of [
          ...["", "?node=web-1", "?node=:1", "?node=web-1:x", "?node=a:1&node=b"],
          ...[`?${node}&waitMs=30001`, `?${node}&waitMs=-1`, `?${node}&other=1`, `?${node}&seen=${"x".repeat(65)}`],
          `?${Array(65).fill(node).join("&")}`,
        ]
      ) assert.deepEqual(await refused(query), [400, "bad_request"], query.slice(0, 100));
      assert.deepEqual(await refused("?node=web-9:1"), [404, "node_not_found"]);
      assert.equal((await stage.ask(`/api/v1/rollout?${Array(64).fill(node).join("&")}`)).status, 200);
    }));
});

/** As many of the same, under names of their own. */
function many<T>(count: number, item: T): Record<string, T> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`name-${index}`, item]));
}
