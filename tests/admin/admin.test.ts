import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createAdmin, openApiDocument } from "../../src/admin/mod.ts";
import { Control } from "../../src/control/mod.ts";
import { openSqliteStore, type Store } from "../../src/store/mod.ts";
import { withScratch } from "../support/scratch.ts";

const TOKEN = "the-token-of-the-admin";

interface Ask {
  method?: string;
  /** An object is sent as JSON. */
  body?: unknown;
  headers?: Record<string, string | null>;
}

interface Stage {
  ask(
    path: string,
    init?: Ask,
  ): Promise<{ status: number; headers: Headers; text: string; json: Record<string, unknown> }>;
  store: Store;
  app: ReturnType<typeof createAdmin>;
  errors: unknown[];
}

function onStage(use: (stage: Stage) => Promise<void>, isReady = true): Promise<void> {
  return withScratch(async (folder) => {
    const store = await openSqliteStore({ path: join(folder, "store.db") });
    const errors: unknown[] = [];
    const app = createAdmin({
      control: await Control.open({ store, domain: "example.com" }),
      version: "1.2.3",
      checkToken: (token) => token === TOKEN,
      hosts: ["edge.internal"],
      urlOf: (name) => `https://${name}.example.com`,
      isReady: () => isReady,
      onError: (error) => errors.push(error),
    });
    const ask: Stage["ask"] = async (path, { method = "GET", body, headers = {} } = {}) => {
      const fields = new Headers({ host: "127.0.0.1:4480", authorization: `Bearer ${TOKEN}` });
      if (body !== undefined) fields.set("content-type", "application/json");
      for (const [name, value] of Object.entries(headers)) {
        value === null ? fields.delete(name) : fields.set(name, value);
      }
      const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
      const request = new Request(`http://127.0.0.1:4480${path}`, { method, headers: fields, body: text });
      const response = await app.fetch(request);
      const answer = await response.text();
      const isJson = /json/.test(response.headers.get("content-type") ?? "") && method !== "HEAD";
      return {
        status: response.status,
        headers: response.headers,
        text: answer,
        json: isJson ? JSON.parse(answer) : {},
      };
    };
    try {
      await use({ ask, store, app, errors });
      assert.deepEqual(errors, []);
    } finally {
      await store.close();
    }
  });
}

const shop = {
  name: "shop",
  nodes: ["web-1"],
  upstream: "http://127.0.0.1:3000",
  hostnames: ["shop.test", "*.shop.test"],
};

/** Every endpoint: the method, a path, and a body where it takes one. */
const endpoints: [method: string, path: string, body?: unknown][] = [
  ["GET", "/api/v1/nodes"],
  ["POST", "/api/v1/nodes", { name: "new" }],
  ["GET", "/api/v1/nodes/web-1"],
  ["DELETE", "/api/v1/nodes/web-1"],
  ["POST", "/api/v1/nodes/web-1/rotate", {}],
  ["GET", "/api/v1/tokens"],
  ["POST", "/api/v1/tokens", { names: "pr-*" }],
  ["DELETE", "/api/v1/tokens/abc"],
  ["GET", "/api/v1/tunnels"],
  ["POST", "/api/v1/tunnels", { ...shop, name: "new", hostnames: [] }],
  ["GET", "/api/v1/tunnels/shop"],
  ["DELETE", "/api/v1/tunnels/shop"],
  ["GET", "/api/v1/audit"],
  ["GET", "/api/v1/openapi.json"],
];

describe("The admin API", () => {
  it("enrols nodes, gives them tokens and removes them", () =>
    onStage(async ({ ask }) => {
      const added = await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1", labels: { site: "fra" } } });
      assert.equal(added.status, 201);
      assert.deepEqual(Object.keys(added.json).sort(), ["id", "name", "token"]);
      assert.match(String(added.json.token), /^rnl_node_/);
      const { json: node } = await ask("/api/v1/nodes/web-1");
      const { createdAt, ...rest } = node;
      assert.ok(Math.abs(Date.parse(String(createdAt)) - Date.now()) < 60_000);
      assert.deepEqual(rest, { id: added.json.id, name: "web-1", labels: { site: "fra" }, revision: 1, tunnels: [] });
      const rotated = await ask("/api/v1/nodes/web-1/rotate", { method: "POST", body: { graceMs: 60_000 } });
      assert.deepEqual([rotated.status, rotated.json.id], [200, added.json.id]);
      const tokens = (await ask("/api/v1/tokens")).json.tokens as Record<string, unknown>[];
      assert.deepEqual(tokens.map((token) => [token.node, token.expiresAt === null]).sort(), [["web-1", false], [
        "web-1",
        true,
      ]]);
      assert.deepEqual((await ask("/api/v1/nodes/web-1", { method: "DELETE" })).json, { tunnelsWithoutNode: [] });
      assert.deepEqual((await ask("/api/v1/nodes")).json, { nodes: [] });
      const { entries } = (await ask("/api/v1/audit?limit=2")).json as { entries: Record<string, unknown>[] };
      assert.deepEqual(entries.map(({ actor, action }) => [actor, action]), [["admin", "node.remove"], [
        "admin",
        "node.rotate",
      ]]);
    }));

  it("declares tunnels, and gives their hostnames back with them", () =>
    onStage(async ({ ask }) => {
      await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      const added = await ask("/api/v1/tunnels", { method: "POST", body: shop });
      const { id, ...told } = added.json;
      assert.match(String(id), /^[a-z2-9]{10}$/);
      const rest = {
        kind: "http",
        port: null,
        requires: [],
        project: null,
        revision: 2,
        url: "https://shop.example.com",
      };
      assert.deepEqual([added.status, told], [201, { ...shop, ...rest }]);
      assert.deepEqual((await ask("/api/v1/tunnels/shop")).json, added.json);
      assert.deepEqual((await ask("/api/v1/tunnels")).json, { tunnels: [added.json] });
      assert.deepEqual((await ask("/api/v1/nodes/web-1")).json.tunnels, ["shop"]);
      const other = { ...shop, name: "other" };
      const refused = await ask("/api/v1/tunnels", { method: "POST", body: other });
      assert.deepEqual([refused.status, refused.json.code], [409, "hostname_taken"]);
      assert.equal(refused.json.detail, "The hostname shop.test belongs to the tunnel shop of web-1");
      assert.equal((await ask("/api/v1/tunnels/shop", { method: "DELETE" })).status, 204);
      assert.equal((await ask("/api/v1/tunnels", { method: "POST", body: other })).status, 201);
    }));

  it("makes tokens for names, which it shows once", () =>
    onStage(async ({ ask }) => {
      const added = await ask("/api/v1/tokens", { method: "POST", body: { names: "pr-*", expiresInMs: 60_000 } });
      assert.equal(added.status, 201);
      const { tokens } = (await ask("/api/v1/tokens")).json as { tokens: Record<string, unknown>[] };
      const { token, ...shown } = added.json;
      assert.deepEqual(tokens, [shown]);
      assert.match(String(token), /^rnl_name_/);
      assert.equal((await ask(`/api/v1/tokens/${shown.id}`, { method: "DELETE" })).status, 204);
      assert.deepEqual((await ask("/api/v1/tokens")).json, { tokens: [] });
    }));

  it("lists in pages", () =>
    onStage(async ({ ask }) => {
      for (const name of ["c", "a", "b"]) await ask("/api/v1/nodes", { method: "POST", body: { name } });
      const names = async (query: string) =>
        ((await ask(`/api/v1/nodes${query}`)).json.nodes as { name: string }[]).map(({ name }) => name);
      assert.deepEqual(await names("?limit=2"), ["a", "b"]);
      assert.deepEqual(await names("?after=b"), ["c"]);
      assert.deepEqual(await names("?after=c"), []);
    }));

  it("tells strangers nothing but whether it is ready", async () => {
    const headers = { authorization: null };
    await onStage(async ({ ask }) => {
      assert.deepEqual((await ask("/readyz", { headers })).json, { status: "ready" });
    });
    await onStage(async ({ ask }) => {
      assert.deepEqual((await ask("/readyz", { headers })).status, 503);
    }, false);
  });

  it("describes all of itself in its OpenAPI document", () =>
    onStage(async ({ ask, app }) => {
      const { json } = await ask("/api/v1/openapi.json");
      assert.deepEqual(json, JSON.parse(JSON.stringify(openApiDocument(app, "1.2.3"))));
      const described = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
      );
      const own = endpoints.filter(([, path]) => !path.endsWith("openapi.json")).map(([method, path]) => {
        const template = path.replace(/(nodes|tunnels)\/[^/]+/, "$1/{name}").replace(/tokens\/\w+/, "tokens/{id}");
        return `${method} ${template}`;
      });
      assert.deepEqual(described.sort(), own.sort());
    }));
});

describe("Each endpoint of the admin API", () => {
  const refusals: [
    what: string,
    headers: Record<string, string | null>,
    status: number,
    code: string,
    query?: string,
  ][] = [
    ["no token", { authorization: null }, 401, "unauthorized"],
    ["a wrong token", { authorization: "Bearer wrong" }, 401, "unauthorized"],
    ["another scheme", { authorization: `Basic ${TOKEN}` }, 401, "unauthorized"],
    ["a token in the query", { authorization: null }, 401, "unauthorized", `?token=${TOKEN}`],
    ["a foreign Host", { host: "evil.test" }, 403, "host_not_allowed"],
    ["no Host", { host: null }, 403, "host_not_allowed"],
    ["a foreign Origin", { origin: "https://evil.test" }, 403, "origin_not_allowed"],
    ["an Origin of a file", { origin: "null" }, 403, "origin_not_allowed"],
  ];
  for (const [method, path, body] of endpoints) {
    it(`refuses strangers: ${method} ${path}`, () =>
      onStage(async ({ ask, store }) => {
        for (const [what, headers, status, code, query = ""] of refusals) {
          const answer = await ask(path + query, { method, body, headers });
          assert.deepEqual([answer.status, answer.json.code], [status, code], what);
          assert.equal(answer.headers.get("access-control-allow-origin"), null);
          if (status === 401) assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer /);
        }
        assert.equal(await store.revision(), 0);
      }));
  }

  for (const [method, path, body] of endpoints.filter(([, , body]) => body !== undefined)) {
    it(`refuses bodies that it cannot use: ${method} ${path}`, () =>
      onStage(async ({ ask, store }) => {
        const bodies: [what: string, body: unknown, status: number, code: string, type?: string][] = [
          ["no JSON", "junk", 400, "bad_request"],
          ["nothing", "", 400, "bad_request"],
          ["a list", [], 400, "bad_request"],
          ["null", null, 400, "bad_request"],
          ["an unknown key", { ...(body as object), extra: 1 }, 400, "bad_request"],
          ["over-long", `{"name":"${"x".repeat(300_000)}"}`, 413, "body_too_large"],
          ["a form", "name=a", 415, "unsupported_media_type", "application/x-www-form-urlencoded"],
          ["plain text", JSON.stringify(body), 415, "unsupported_media_type", "text/plain"],
        ];
        for (const [what, bad, status, code, type = "application/json"] of bodies) {
          const text = typeof bad === "string" ? bad : JSON.stringify(bad);
          const answer = await ask(path, { method, body: text, headers: { "content-type": type } });
          assert.deepEqual([answer.status, answer.json.code], [status, code], `${what}: ${answer.text}`);
        }
        assert.equal(await store.revision(), 0);
      }));
  }

  it("refuses other methods, and says which there are", () =>
    onStage(async ({ ask }) => {
      for (const path of new Set(endpoints.map(([, path]) => path))) {
        const allowed = endpoints.filter((endpoint) => endpoint[1] === path).map(([method]) => method);
        const answer = await ask(path, { method: "PATCH", body: {} });
        assert.deepEqual([answer.status, answer.json.code], [405, "method_not_allowed"], path);
        const told = (answer.headers.get("allow") ?? "").split(", ");
        assert.deepEqual(told.filter((method) => method !== "HEAD").sort(), allowed.sort(), path);
      }
      const missing = await ask("/api/v1/nothing");
      assert.deepEqual([missing.status, missing.json.code], [404, "not_found"]);
    }));

  it("names what is wrong with a value", () =>
    onStage(async ({ ask }) => {
      await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      const cases: [path: string, body: unknown, status: number, code: string, detail: RegExp][] = [
        ["/api/v1/nodes", { name: "A b" }, 400, "bad_name", /^The node name "A b" must be/],
        ["/api/v1/nodes", { name: "web-1" }, 409, "name_taken", /^There is a node web-1 already$/],
        ["/api/v1/nodes", { name: "a", labels: { x: 1 } }, 400, "bad_request", /^Body key `labels\.x`: /],
        ["/api/v1/nodes/web-9/rotate", {}, 404, "node_not_found", /^There is no node web-9$/],
        ["/api/v1/nodes/web-1/rotate", { graceMs: -1 }, 400, "bad_request", /^Body key `graceMs`: /],
        ["/api/v1/tokens", { names: "*a" }, 400, "bad_name", /^The pattern "\*a" /],
        ["/api/v1/tunnels", { ...shop, nodes: [] }, 400, "bad_request", /^Body key `nodes`: /],
        ["/api/v1/tunnels", { ...shop, nodes: ["web-9"] }, 404, "node_not_found", /web-9/],
        ["/api/v1/tunnels", { ...shop, hostnames: ["a b"] }, 400, "bad_request", /^The hostname "a b" is no hostname/],
        ["/api/v1/tunnels", { ...shop, port: 70_000 }, 400, "bad_request", /^Body key `port`: /],
      ];
      for (const [path, body, status, code, detail] of cases) {
        const answer = await ask(path, { method: "POST", body });
        assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
        assert.match(String(answer.json.detail), detail);
      }
      for (const query of ["?limit=0", "?limit=x", "?other=1"]) {
        assert.equal((await ask(`/api/v1/nodes${query}`)).json.code, "bad_request", query);
      }
    }));

  it("answers 503 where the store cannot be used, and goes on to read", () =>
    onStage(async ({ ask, store }) => {
      await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      await store.close();
      const refused = await ask("/api/v1/nodes", { method: "POST", body: { name: "web-2" } });
      assert.deepEqual([refused.status, refused.json.code, refused.headers.get("retry-after")], [
        503,
        "store_unavailable",
        "5",
      ]);
      assert.equal((await ask("/api/v1/nodes/web-1")).status, 200);
      assert.equal((await ask("/api/v1/nodes/web-2")).status, 404);
    }));

  it("may be asked by other names that are allowed", () =>
    onStage(async ({ ask }) => {
      for (const host of ["localhost", "LOCALHOST:4480", "[::1]:4480", "10.0.0.7", "edge.internal:80"]) {
        assert.equal((await ask("/api/v1/nodes", { headers: { host } })).status, 200, host);
      }
      const origin = "http://edge.internal:80";
      assert.equal((await ask("/api/v1/nodes", { headers: { host: "edge.internal:81", origin } })).status, 403);
    }));
});
