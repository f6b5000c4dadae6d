import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openApiDocument } from "../../src/admin/mod.ts";
import { type AdminStage, onAdminStage as onStage, TOKEN } from "./stage.ts";

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
  ["PUT", "/api/v1/tunnels/shop", { nodes: ["web-1"], upstream: "http://127.0.0.1:3000" }],
  ["DELETE", "/api/v1/tunnels/shop"],
  ["POST", "/api/v1/apply", { project: "shop" }],
  ["POST", "/api/v1/rollback", { revision: 1 }],
  ["GET", "/api/v1/rollout?node=web-1:1"],
  ["GET", "/api/v1/audit"],
  ["GET", "/api/v1/backup"],
  ["GET", "/api/v1/openapi.json"],
];

/** Those that need no token. */
const openEndpoints = ["GET /healthz", "GET /readyz"];

/** A node and a tunnel, so that each endpoint has something to change. Resolves to the node's token. */
async function furnish({ ask }: AdminStage): Promise<string> {
  const { json } = await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
  await ask("/api/v1/tunnels", { method: "POST", body: { ...shop, hostnames: [] } });
  return String(json.token);
}

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
      assert.deepEqual((await ask("/healthz", { headers })).json, { status: "ok" });
      assert.equal((await ask("/readyz", { headers: { ...headers, host: "evil.test" } })).status, 403);
    });
    await onStage(async ({ ask }) => {
      const { status, json } = await ask("/readyz", { headers });
      assert.deepEqual([status, json.code], [503, "overloaded"]);
      assert.equal((await ask("/healthz", { headers })).status, 200);
    }, { isReady: () => false });
  });

  it("describes all of itself in its OpenAPI document", () =>
    onStage(async ({ ask, app }) => {
      const { json } = await ask("/api/v1/openapi.json");
      assert.deepEqual(json, JSON.parse(JSON.stringify(openApiDocument(app, "1.2.3"))));
      const described = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
      );
      const own = endpoints.map(([method, path]) => {
        const template = path.replace(/\?.*/, "").replace(/(nodes|tunnels)\/[^/]+/, "$1/{name}").replace(
          /tokens\/\w+/,
          "tokens/{id}",
        );
        return `${method} ${template}`;
      });
      assert.deepEqual(described.sort(), [...own, ...openEndpoints].sort());
    }));

  it("describes for every path what strangers are told, and for every change what conflicts are", () =>
    onStage(async ({ ask }) => {
      const { json } = await ask("/api/v1/openapi.json");
      for (const [path, methods] of Object.entries(json.paths as Record<string, Record<string, Described>>)) {
        for (const [method, { responses, security }] of Object.entries(methods)) {
          const statuses = Object.keys(responses);
          const wanted = security === undefined ? ["400", "401", "403", "500", "503"] : ["403", "500"];
          if (["put", "post", "delete"].includes(method)) wanted.push("404", "409", "412", "413", "415");
          const missing = wanted.filter((status) => !statuses.includes(status));
          assert.deepEqual(missing, [], `${method} ${path}`);
        }
      }
      const { components } = json as { components: { securitySchemes: unknown } };
      assert.deepEqual(components.securitySchemes, { bearer: { type: "http", scheme: "bearer" } });
    }));

  it("writes down who changed what, and from where", () =>
    onStage(async (stage) => {
      await furnish(stage);
      const { entries } = (await stage.ask("/api/v1/audit")).json as { entries: Record<string, unknown>[] };
      assert.deepEqual(entries.map(({ actor, address, action, subject }) => [actor, address, action, subject]), [
        ["admin", "127.0.0.1", "tunnel.add", "shop"],
        ["admin", "127.0.0.1", "node.add", "web-1"],
      ]);
    }));

  it("tells the audit log no address where it is not known", () =>
    onStage(async ({ ask, control }) => {
      await control.addNode("web-1", {}, "k3m9x2p7q4w8r5t6");
      const { entries } = (await ask("/api/v1/audit")).json as { entries: Record<string, unknown>[] };
      assert.deepEqual(entries.map(({ actor, address }) => [actor, address]), [["k3m9x2p7q4w8r5t6", null]]);
    }));
});

interface Described {
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: unknown;
}

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
    ["an empty Host", { host: "" }, 400, "bad_request"],
    ["no Host", { host: null }, 400, "bad_request"],
    ["a foreign Origin", { origin: "https://evil.test" }, 403, "origin_not_allowed"],
    ["an Origin of a file", { origin: "null" }, 403, "origin_not_allowed"],
  ];
  for (const [method, path, body] of endpoints) {
    it(`refuses strangers: ${method} ${path}`, () =>
      onStage(async (stage) => {
        const { ask, store } = stage;
        const token = await furnish(stage);
        const before = await store.revision();
        const ofNode: typeof refusals[number] = [
          "a node's token",
          { authorization: `Bearer ${token}` },
          401,
          "unauthorized",
        ];
        for (const [what, headers, status, code, query = ""] of [...refusals, ofNode]) {
          const asked = query === "" ? path : path.replace(/\?.*|$/, query);
          const answer = await ask(asked, { method, body, headers });
          assert.deepEqual([answer.status, answer.json.code], [status, code], what);
          assert.equal(answer.headers.get("x-runnel-error"), code);
          assert.equal(answer.headers.get("access-control-allow-origin"), null);
          if (status === 401) assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer /);
          assert.ok(!answer.text.includes(TOKEN) && !answer.text.includes(token.slice(-43)), what);
        }
        const preflight = { origin: "https://evil.test", "access-control-request-method": method };
        const answer = await ask(path, { method: "OPTIONS", headers: { authorization: null, ...preflight } });
        assert.deepEqual([answer.status, answer.headers.get("access-control-allow-origin")], [403, null]);
        assert.equal(await store.revision(), before);
      }));
  }

  it("tells a node that its token is not that of the admin", () =>
    onStage(async (stage) => {
      const headers = { authorization: `Bearer ${await furnish(stage)}` };
      const { json } = await stage.ask("/api/v1/nodes", { headers });
      assert.match(String(json.detail), /^The token is one of a node or of names, and not that of the admin$/);
    }));

  for (const [method, path, body] of endpoints.filter(([, , body]) => body !== undefined)) {
    it(`refuses bodies that it cannot use: ${method} ${path}`, () =>
      onStage(async (stage) => {
        const { ask, store } = stage;
        await furnish(stage);
        const before = await store.revision();
        const bodies: [what: string, body: unknown, status: number, code: string, type?: string][] = [
          ["no JSON", "junk", 400, "bad_request"],
          ["nothing", "", 400, "bad_request"],
          ["a list", [], 400, "bad_request"],
          ["null", null, 400, "bad_request"],
          ["an unknown key", { ...(body as object), extra: 1 }, 400, "bad_request"],
          ["deep", "[".repeat(100_000), 400, "bad_request"],
          ["over-long", `{"name":"${"x".repeat(overLong(path))}"}`, 413, "body_too_large"],
          ["a form", "name=a", 415, "unsupported_media_type", "application/x-www-form-urlencoded"],
          ["plain text", JSON.stringify(body), 415, "unsupported_media_type", "text/plain"],
        ];
        for (const [what, bad, status, code, type = "application/json"] of bodies) {
          const text = typeof bad === "string" ? bad : JSON.stringify(bad);
          const answer = await ask(path, { method, body: text, headers: { "content-type": type } });
          assert.deepEqual([answer.status, answer.json.code], [status, code], `${what}: ${answer.text}`);
        }
        const untyped = await ask(path, { method, body: JSON.stringify(body), headers: { "content-type": null } });
        assert.deepEqual([untyped.status, untyped.json.code], [415, "unsupported_media_type"]);
        assert.equal(await store.revision(), before);
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
        assert.equal((await ask(path, { method: "OPTIONS" })).status, 405);
      }
      for (const method of ["TRACE", "TRACK", "get", "Post"]) {
        const { status, headers, json } = await ask("/api/v1/nodes", { method });
        assert.deepEqual([status, json.code], [501, "not_implemented"], method);
        assert.equal(headers.get("x-runnel-error"), "not_implemented");
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
        [
          "/api/v1/nodes",
          { name: "a", labels: { "a b": "" } },
          400,
          "bad_request",
          /`labels`: has a key with other characters/,
        ],
        ["/api/v1/nodes", { name: "a", labels: { a: "x\ny" } }, 400, "bad_request", /has a control character$/],
        ["/api/v1/nodes", { name: "a", labels: { a: "x".repeat(254) } }, 400, "bad_request", /`labels\.a`/],
        ["/api/v1/nodes", { name: "a", labels: manyLabels(65) }, 400, "bad_request", /has over 64 labels$/],
        ["/api/v1/nodes/web-9/rotate", {}, 404, "node_not_found", /^There is no node web-9$/],
        ["/api/v1/nodes/web-1/rotate", { graceMs: -1 }, 400, "bad_request", /^Body key `graceMs`: /],
        ["/api/v1/tokens", { names: "*a" }, 400, "bad_name", /^The pattern "\*a" /],
        ["/api/v1/tunnels", { ...shop, nodes: [] }, 400, "bad_request", /^Body key `nodes`: /],
        ["/api/v1/tunnels", { ...shop, nodes: ["web-9"] }, 404, "node_not_found", /web-9/],
        ["/api/v1/tunnels", { ...shop, hostnames: ["a b"] }, 400, "bad_request", /^The hostname "a b" is no hostname/],
        ["/api/v1/tunnels", { ...shop, port: 70_000 }, 400, "bad_request", /^Body key `port`: /],
        ["/api/v1/tunnels", { ...shop, port: 20_001 }, 400, "bad_request", /^A port is for tcp tunnels/],
        ["/api/v1/tunnels", { ...shop, kind: "tcp" }, 400, "bad_request", /^A tcp tunnel is reached by its port/],
        ["/api/v1/tunnels", { ...shop, upstream: "a b" }, 400, "bad_request", /^Body key `upstream`: has white space/],
        ["/api/v1/tunnels", { ...shop, nodes: Array(17).fill("web-1") }, 400, "bad_request", /^Body key `nodes`: /],
        ["/api/v1/tunnels", { ...shop, hostnames: Array(101).fill("a.test") }, 400, "bad_request", /`hostnames`/],
        ["/api/v1/tunnels", { ...shop, requires: Array(33).fill("x") }, 400, "bad_request", /`requires`/],
        ["/api/v1/tunnels", { ...shop, upstream: "http://u:p@a.test" }, 400, "bad_request", /`upstream`: has a user/],
        ["/api/v1/tunnels", { ...shop, upstream: "u:p@a.test:80" }, 400, "bad_request", /`upstream`: has a user/],
        ["/api/v1/tunnels", { ...shop, requires: ["X_Y"] }, 400, "bad_request", /is no name of a feature$/],
        ["/api/v1/tunnels", { ...shop, requires: ["a b"] }, 400, "bad_request", /is no name of a feature$/],
        ["/api/v1/tunnels", { ...shop, name: "www", hostnames: [] }, 400, "bad_name", /^The name www is reserved/],
      ];
      for (const [path, body, status, code, detail] of cases) {
        const answer = await ask(path, { method: "POST", body });
        assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
        assert.match(String(answer.json.detail), detail);
      }
      for (const query of ["?limit=0", "?limit=x", "?limit=1001", "?limit=1e2", "?limit=1&limit=2", "?other=1"]) {
        assert.equal((await ask(`/api/v1/nodes${query}`)).json.code, "bad_request", query);
      }
    }));

  it("takes as many as its limits say", () =>
    onStage(async ({ ask }) => {
      const node = await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1", labels: manyLabels(64) } });
      assert.equal(node.status, 201);
      const hostnames = Array.from({ length: 100 }, (_, index) => `h${index}.test`);
      const requires = Array.from({ length: 32 }, (_, index) => `feature-${index}`);
      const body = { ...shop, hostnames, requires, nodes: Array(16).fill("web-1") };
      const added = await ask("/api/v1/tunnels", { method: "POST", body });
      assert.equal(added.status, 201, added.text);
      // Of a node that is named more than once, one is meant.
      assert.deepEqual(added.json.nodes, ["web-1"]);
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

/** More characters than a body may have. */
function overLong(path: string): number {
  return path.endsWith("/apply") ? 2_100_000 : 300_000;
}

/** A label for each number. */
function manyLabels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, "x"]));
}
