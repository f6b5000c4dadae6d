/** ETags, If-Match and If-None-Match: what a script has seen is what it changes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Change, openSqliteStore, restoreBackup } from "../../src/store/mod.ts";
import { audit, tunnel } from "../store/records.ts";
import { type AdminStage, onAdminStage } from "./stage.ts";

const settings = { nodes: ["web-1"], upstream: "http://127.0.0.1:3000" };

function onStage(use: (stage: AdminStage) => Promise<void>): Promise<void> {
  return onAdminStage(async (stage) => {
    await stage.ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
    await use(stage);
  });
}

async function etagOf({ ask }: AdminStage, path: string): Promise<string> {
  const etag = (await ask(path)).headers.get("etag");
  assert.match(etag ?? "", /^"[0-9a-f]{16}-\d+(-[0-9a-f]{16})?"$/);
  return etag as string;
}

describe("PUT of a tunnel", () => {
  it("declares it, changes it as a whole, and writes nothing where nothing changes", () =>
    onStage(async (stage) => {
      const { ask, store } = stage;
      const put = (body: object) => ask("/api/v1/tunnels/shop", { method: "PUT", body });
      const first = await put({ ...settings, hostnames: ["a.test", "b.test"] });
      assert.equal(first.status, 201, first.text);
      const second = await put({ ...settings, upstream: "http://127.0.0.1:4000", hostnames: ["b.test", "c.test"] });
      assert.deepEqual([second.status, second.json.id], [200, first.json.id]);
      assert.deepEqual((await ask("/api/v1/tunnels/shop")).json, second.json);
      assert.deepEqual((await store.list("hostname")).map(({ key }) => key), ["b.test", "c.test"]);
      const again = await put({ ...settings, upstream: "http://127.0.0.1:4000", hostnames: ["b.test", "c.test"] });
      assert.deepEqual([again.status, again.json], [200, second.json]);
      assert.equal(again.headers.get("etag"), second.headers.get("etag"));
      const actions = (await store.audit()).map(({ action }) => action);
      assert.deepEqual(actions, ["tunnel.change", "tunnel.add", "node.add"]);
      assert.equal((await put(settings)).json.upstream, settings.upstream);
      assert.equal((await ask("/api/v1/tunnels", { method: "POST", body: { name: "x", ...settings } })).status, 201);
      const taken = await ask("/api/v1/tunnels/x", { method: "PUT", body: { ...settings, hostnames: ["a.test"] } });
      assert.equal(taken.status, 200);
      assert.equal((await put({ ...settings, hostnames: ["a.test"] })).json.code, "hostname_taken");
    }));

  it("with If-None-Match tells of one that another edge has declared meanwhile, and not of a node that is gone", () =>
    onStage(async ({ ask, folder }) => {
      const others = await openSqliteStore({ path: join(folder, "store.db") });
      const put = async (name: string) => {
        const init = { method: "PUT", body: settings, headers: { "if-none-match": "*" } };
        const { status, json } = await ask(`/api/v1/tunnels/${name}`, init);
        return [status, json.code];
      };
      await others.commit([{ kind: "tunnel", key: "shop", value: tunnel("shop", ["web-1"]) }], audit);
      assert.deepEqual(await put("shop"), [412, "precondition_failed"]);
      const gone: Change[] = [{ kind: "tunnel", key: "shop", value: null }, {
        kind: "node",
        key: "web-1",
        value: null,
      }];
      for (const { key } of await others.list("token")) gone.push({ kind: "token", key, value: null });
      await others.commit(gone, audit);
      assert.deepEqual(await put("blog"), [409, "conflict"]);
      await others.close();
    }));

  it("refuses what is a project's", () =>
    onStage(async ({ ask, control }) => {
      const rest = { kind: "http", hostnames: ["shop.test"], port: null, requires: [], settings: {} } as const;
      await control.addTunnel({ name: "shop", ...settings, ...rest, project: "eu" }, "admin");
      const put = await ask("/api/v1/tunnels/shop", { method: "PUT", body: settings });
      assert.deepEqual([put.status, put.json.code], [409, "name_taken"]);
      assert.equal(put.json.detail, "The tunnel shop belongs to the project eu: change it there, or remove it first");
      const post = await ask("/api/v1/tunnels", { method: "POST", body: { name: "shop", ...settings } });
      assert.equal(post.json.detail, "There is a tunnel shop already, which the project eu has applied");
      const body = { name: "b", ...settings, hostnames: ["shop.test"] };
      const taken = await ask("/api/v1/tunnels", { method: "POST", body });
      const detail = "The hostname shop.test belongs to the tunnel shop of web-1, which the project eu has applied";
      assert.deepEqual([taken.json.code, taken.json.detail], ["hostname_taken", detail]);
    }));
});

describe("An ETag", () => {
  it("changes with its record, and lets only who has seen the record change it", () =>
    onStage(async (stage) => {
      const { ask } = stage;
      const path = "/api/v1/tunnels/shop";
      const created = await ask(path, { method: "PUT", body: settings, headers: { "if-none-match": "*" } });
      assert.equal(created.status, 201);
      const etag = await etagOf(stage, path);
      assert.equal(created.headers.get("etag"), etag);
      const put = (headers: Record<string, string>, upstream: string) =>
        ask(path, { method: "PUT", body: { ...settings, upstream }, headers });
      assert.equal((await put({ "if-none-match": "*" }, "http://a.test")).json.code, "precondition_failed");
      assert.equal((await put({ "if-match": '"other-1"' }, "http://a.test")).status, 412);
      // If-Match is compared strongly (RFC 9110 §13.1.1).
      assert.equal((await put({ "if-match": `W/${etag}` }, "http://a.test")).status, 412);
      assert.equal((await put({ "if-match": `"other-1", ${etag}` }, "http://a.test")).status, 200);
      const next = await etagOf(stage, path);
      assert.notEqual(next, etag);
      assert.equal((await put({ "if-match": etag }, "http://b.test")).status, 412);
      assert.equal((await ask(path)).json.upstream, "http://a.test");
      const remove = (value: string) => ask(path, { method: "DELETE", headers: { "if-match": value } });
      assert.equal((await remove(etag)).status, 412);
      assert.equal((await remove(next)).status, 204);
      assert.equal((await put({ "if-match": "*" }, "http://a.test")).status, 412);
    }));

  it("of a node changes with its token and its tunnels", () =>
    onStage(async (stage) => {
      const { ask } = stage;
      const path = "/api/v1/nodes/web-1";
      const etags = [await etagOf(stage, path)];
      await ask("/api/v1/tunnels/shop", { method: "PUT", body: settings });
      etags.push(await etagOf(stage, path));
      const rotate = (etag: string) =>
        ask(`${path}/rotate`, { method: "POST", body: {}, headers: { "if-match": etag } });
      assert.equal((await rotate(etags[0]!)).json.code, "precondition_failed");
      assert.equal((await rotate(etags[1]!)).status, 200);
      etags.push(await etagOf(stage, path));
      assert.equal(new Set(etags).size, 3);
      const remove = (etag: string) => ask(path, { method: "DELETE", headers: { "if-match": etag } });
      assert.equal((await remove(etags[1]!)).status, 412);
      assert.equal((await remove(etags[2]!)).status, 200);
    }));

  it("spares the answer where the client has it", () =>
    onStage(async (stage) => {
      const { ask } = stage;
      const etag = await etagOf(stage, "/api/v1/nodes/web-1");
      const get = (value: string) => ask("/api/v1/nodes/web-1", { headers: { "if-none-match": value } });
      for (const value of [etag, "*", `"x", W/${etag}`]) {
        const { status, text, headers } = await get(value);
        assert.deepEqual([status, text, headers.get("etag")], [304, "", etag], value);
      }
      assert.equal((await get('"x"')).status, 200);
      for (const value of ["x", '"x', '"x" "y"', ""]) {
        assert.equal((await get(value)).json.code, "bad_request", JSON.stringify(value));
      }
    }));

  it("is another one behind a restored backup, although the revision is the same", () =>
    onStage(async (stage) => {
      const { store, folder } = stage;
      const etag = await etagOf(stage, "/api/v1/nodes/web-1");
      await store.backup(join(folder, "backup"));
      await restoreBackup(join(folder, "backup"), join(folder, "restored.db"));
      const restored = await openSqliteStore({ path: join(folder, "restored.db") });
      try {
        assert.equal(await restored.revision(), await store.revision());
        assert.ok(etag.startsWith(`"${store.epoch}-`) && restored.epoch !== store.epoch);
      } finally {
        await restored.close();
      }
    }));
});
