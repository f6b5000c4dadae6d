/** What agents of nodes ask of their edge: over plain HTTP, and on streams of their session. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import type { ConfigResult, NodeService, PushRequest } from "../../src/edge/node_service.ts";
import type { TokenOwner } from "../../src/edge/tokens.ts";
import { BodySource } from "../../src/http/body/mod.ts";
import type { Answer, Body, RequestHead } from "../../src/http/message.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { openExchange } from "../../src/session/v2/open.ts";
import { dialWebSocket } from "../../src/websocket/mod.ts";
import { eventually } from "../support/net.ts";
import { startTestEdge, token as sharedToken } from "../support/tunnel.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const never = new AbortController().signal;

/** Answers from what the test has put into it, and notes what it is asked. */
class FakeNodes implements NodeService {
  readonly epoch = "f0e1d2c3b4a59687";
  version: number | null = 7;
  refusal: string | null = null;
  problem: Awaited<ReturnType<NodeService["acknowledge"]>> = null;
  asked: (PushRequest & { readonly node: string })[] = [];
  acknowledged: (ConfigResult & { readonly node: string })[] = [];
  left = 0;
  hasEnded = false;
  source: BodySource | null = null;

  versionOf(): number | null {
    return this.version;
  }

  configOf(node: string) {
    const tunnels = [{ id: "t", name: "shop", kind: "http", upstream: "3000", hostnames: [] }];
    return this.version === null ? null : { nodeId: `id-of-${node}`, version: this.version, checksum: "c", tunnels };
  }

  listen(node: string, request: PushRequest): ReadableStream<Uint8Array> | string {
    this.asked.push({ node, ...request });
    if (this.refusal !== null) return this.refusal;
    this.source = new BodySource({ onPull() {}, onCancel: () => void this.left++ });
    this.source.push(encode(": connected\n\n"));
    return this.source.stream;
  }

  acknowledge(node: string, result: ConfigResult) {
    this.acknowledged.push({ node, ...result });
    return Promise.resolve(this.problem);
  }

  endStreams(): void {
    this.hasEnded = true;
    this.source?.end();
  }
}

function owner(node: string | null, more: Partial<TokenOwner> = {}): TokenOwner {
  const id = node === null ? "token:t" : `node:${node}`;
  return { id, tokenId: "t", node, isValid: () => true, ownerOf: () => id, refusalOf: () => null, ...more };
}

const owners: Readonly<Record<string, TokenOwner>> = {
  "of-web-1": owner("web-1"),
  "of-names": owner(null),
  "ended": owner("web-1", { isValid: () => false }),
};

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
}

describe("The API of nodes", () => {
  let nodes: FakeNodes;
  let edge: Edge;
  const connections: Connection[] = [];

  before(async () => {
    nodes = new FakeNodes();
    const checkToken = (token: string) => owners[token] ?? null;
    edge = await startTestEdge({ domain: "example.com", nodes, checkToken, pollIntervalMs: 5_000 });
  });
  after(() => edge.close());
  afterEach(async () => {
    for (const connection of connections.splice(0)) {
      connection.close();
      await connection.closed;
    }
    const fresh = new FakeNodes();
    const { version, refusal, problem } = fresh;
    Object.assign(nodes, { version, refusal, problem, asked: [], acknowledged: [], left: 0 });
  });

  const urlOf = (path: string) => `http://127.0.0.1:${edge.address.port}${path}`;
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

  async function ask(path: string, init: RequestInit = {}): Promise<Asked> {
    const response = await fetch(urlOf(path), { ...init, headers: { ...bearer("of-web-1"), ...init.headers } });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text === "" ? {} : JSON.parse(text) };
  }

  const acknowledge = (body: unknown, headers: Record<string, string> = {}) =>
    ask("/api/agent/ack", { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers });

  /** A session of `runnel.v2` with that token. */
  async function enter(token: string): Promise<Connection> {
    const { socket, rest } = await dialWebSocket({
      target: { kind: "tcp", host: "127.0.0.1", port: edge.address.port },
      authority: "127.0.0.1",
      path: "/agent",
      fields: ["Authorization", `Bearer ${token}`],
      protocols: ["runnel.v2"],
    });
    const connection = new Connection(new WebSocketLink(socket, { role: "client", rest }), { role: "agent" });
    connections.push(connection);
    await connection.ready;
    return connection;
  }

  function onStream(connection: Connection, target: string, more: Partial<RequestHead> = {}, body: Body = null) {
    const head: RequestHead = {
      ...{ method: "GET", target, scheme: "http", authority: "edge", fields: [], client: "", id: "1" },
      ...more,
    };
    return openExchange(connection, head, body, never);
  }

  async function told({ status, body }: Answer): Promise<[status: number, json: Record<string, unknown>]> {
    const text = await new Response(body as BodyInit).text();
    return [status, text === "" ? {} : JSON.parse(text)];
  }

  describe("GET /api/agent/config", () => {
    it("has the node's config, with where to listen and how often to ask", async () => {
      const { status, headers, json } = await ask("/api/agent/config");
      assert.equal(status, 200);
      assert.deepEqual(json, {
        nodeId: "id-of-web-1",
        version: 7,
        checksum: "c",
        pushUrl: `http://example.com:${edge.address.port}/api/agent/push`,
        pollIntervalMs: 5_000,
        tunnels: [{ id: "t", name: "shop", kind: "http", upstream: "3000", hostnames: [] }],
      });
      assert.deepEqual(
        [headers.get("etag"), headers.get("cache-control"), headers.get("content-type")],
        ['"f0e1d2c3b4a59687-7"', "no-store", "application/json"],
      );
    });

    for (
      const [field, status] of [
        ['"f0e1d2c3b4a59687-7"', 304],
        ['W/"f0e1d2c3b4a59687-7"', 304],
        ['"a", "f0e1d2c3b4a59687-7"', 304],
        ["*", 304],
        ['"f0e1d2c3b4a59687-6"', 200],
        ['"0000000000000000-7"', 200],
        ["f0e1d2c3b4a59687-7", 200],
        ["", 200],
      ] as const
    ) {
      it(`answers ${status} where If-None-Match is ${field}`, async () => {
        const { status: got, headers } = await ask("/api/agent/config", { headers: { "If-None-Match": field } });
        assert.deepEqual([got, headers.get("etag")], [status, '"f0e1d2c3b4a59687-7"']);
      });
    }

    it("has its head alone for HEAD", async () => {
      const response = await fetch(urlOf("/api/agent/config"), { method: "HEAD", headers: bearer("of-web-1") });
      assert.deepEqual([response.status, response.headers.get("etag")], [200, '"f0e1d2c3b4a59687-7"']);
      assert.equal(await response.text(), "");
    });

    it("is refused where the node was removed meanwhile", async () => {
      nodes.version = null;
      const { status, json } = await ask("/api/agent/config");
      assert.deepEqual([status, json.code], [403, "not_a_node"]);
    });
  });

  describe("GET /api/agent/push", () => {
    it("is a stream that no proxy keeps back, and ends when its reader leaves", async () => {
      const response = await fetch(urlOf("/api/agent/push?instance=A-z_0.9"), {
        headers: { ...bearer("of-web-1"), "Last-Event-ID": "k3m9-4" },
      });
      const fields = ["content-type", "cache-control", "x-accel-buffering"].map((name) => response.headers.get(name));
      assert.deepEqual([response.status, ...fields], [200, "text/event-stream", "no-cache, no-transform", "no"]);
      const reader = response.body!.getReader();
      const read = async () => new TextDecoder().decode((await reader.read()).value);
      assert.equal(await read(), ": connected\n\n");
      nodes.source!.push(encode("data: 1\n\n"));
      assert.equal(await read(), "data: 1\n\n");
      assert.deepEqual(nodes.asked, [{ node: "web-1", instance: "A-z_0.9", lastEventId: "k3m9-4", tokenId: "t" }]);
      await reader.cancel();
      await eventually(() => nodes.left === 1);
    });

    it("needs neither an instance nor the id of an event", async () => {
      const response = await fetch(urlOf("/api/agent/push"), { headers: bearer("of-web-1") });
      await response.body?.cancel();
      assert.deepEqual(nodes.asked, [{ node: "web-1", instance: "", lastEventId: "", tokenId: "t" }]);
    });

    for (const instance of ["", "a b", "a/b", "ä", "x".repeat(65)]) {
      it(`refuses ${JSON.stringify(instance)} as an instance: 400`, async () => {
        const { status, json } = await ask(`/api/agent/push?instance=${encodeURIComponent(instance)}`);
        assert.deepEqual([status, json.code], [400, "bad_request"]);
        assert.match(String(json.detail), /`instance`: is no name of 1 to 64/);
      });
    }

    it("takes an instance of 64 characters", async () => {
      const response = await fetch(urlOf(`/api/agent/push?instance=${"x".repeat(64)}`), {
        headers: bearer("of-web-1"),
      });
      assert.equal(response.status, 200);
      await response.body?.cancel();
    });

    it("has its head alone for HEAD, and does not listen for it", async () => {
      const response = await fetch(urlOf("/api/agent/push"), { method: "HEAD", headers: bearer("of-web-1") });
      assert.deepEqual([response.status, response.headers.get("content-type")], [200, "text/event-stream"]);
      assert.deepEqual(nodes.asked, []);
    });

    it("is refused with the sentence that says why, and when to try again", async () => {
      nodes.refusal = "The node has 64 push streams, as many as it may have";
      const { status, headers, json } = await ask("/api/agent/push");
      assert.deepEqual([status, json.code, json.detail], [503, "overloaded", nodes.refusal]);
      assert.ok(Number(headers.get("retry-after")) > 0);
    });
  });

  describe("POST /api/agent/ack", () => {
    it("passes on what became of a version, whatever the media type and the keys it does not know", async () => {
      const good = { version: 7, checksum: "c", ok: true };
      assert.equal((await acknowledge(good, { "Content-Type": "text/plain" })).status, 204);
      assert.equal((await acknowledge({ ...good, error: null, instance: null, later: 1 })).status, 204);
      assert.equal((await acknowledge({ ...good, ok: false, instance: "a" })).status, 204);
      const long = "x".repeat(1_024);
      assert.equal((await acknowledge({ ...good, ok: false, error: long, instance: "x".repeat(64) })).status, 204);
      assert.deepEqual(nodes.acknowledged, [
        { node: "web-1", instance: "", version: 7, checksum: "c", error: null },
        { node: "web-1", instance: "", version: 7, checksum: "c", error: null },
        { node: "web-1", instance: "a", version: 7, checksum: "c", error: "The agent gave no reason" },
        { node: "web-1", instance: "x".repeat(64), version: 7, checksum: "c", error: long },
      ]);
    });

    const good = { version: 7, checksum: "c", ok: true };
    const bad: readonly [what: string, body: unknown, key: RegExp][] = [
      ["no JSON", "{", /Key ``/],
      ["a list", [], /Key ``/],
      ["nothing", "", /Key ``/],
      ["a version in words", { ...good, version: "7" }, /`version`/],
      ["a version below 0", { ...good, version: -1 }, /`version`/],
      ["half a version", { ...good, version: 1.5 }, /`version`/],
      ["no checksum", { ...good, checksum: undefined }, /`checksum`/],
      ["a long checksum", { ...good, checksum: "c".repeat(129) }, /`checksum`/],
      ["ok in words", { ...good, ok: "yes" }, /`ok`/],
      ["an error beside ok", { ...good, error: "It failed" }, /`error`: says what failed, and `ok` is true/],
      ["a long error", { ...good, ok: false, error: "x".repeat(1_025) }, /`error`/],
      ["a bad instance", { ...good, instance: "a b" }, /`instance`: is no name of 1 to 64/],
    ];
    for (const [what, body, key] of bad) {
      it(`refuses ${what}: 400, which names the key`, async () => {
        const { status, json } = await acknowledge(body);
        assert.deepEqual([status, json.code], [400, "bad_request"]);
        assert.match(String(json.detail), key);
        assert.deepEqual(nodes.acknowledged, []);
      });
    }

    it("refuses a body of over 64 KiB: 413", async () => {
      const { status, json } = await acknowledge({ ...good, later: "x".repeat(64 * 1024) });
      assert.deepEqual([status, json.code], [413, "body_too_large"]);
    });

    it("tells the problem where it cannot be stored", async () => {
      nodes.problem = { code: "unknown_version", detail: "The newest version is 7, and not 8" };
      const { status, json } = await acknowledge({ ...good, version: 8 });
      assert.deepEqual([status, json.code, json.detail], [409, "unknown_version", nodes.problem.detail]);
    });
  });

  const paths: readonly [path: string, method: string, allowed: string][] = [
    ["/api/agent/config", "GET", "GET, HEAD"],
    ["/api/agent/push", "GET", "GET, HEAD"],
    ["/api/agent/ack", "POST", "POST"],
  ];
  for (const [path, method, allowed] of paths) {
    describe(`${method} ${path}`, () => {
      it("refuses a missing, wrong or ended token after a second: 401, and counts it", async () => {
        const before = edge.figures.refusals.tokens;
        const shown = ["", "Bearer wrong", "Bearer ended", "Basic b2Ytd2ViLTE=", "of-web-1"];
        const refused = shown.map(async (authorization) => {
          const headers: Record<string, string> = authorization === "" ? {} : { Authorization: authorization };
          // A token in a query would stand in logs.
          const response = await fetch(urlOf(`${path}?token=of-web-1`), { method, headers });
          const { code } = await response.json();
          return [response.status, code, response.headers.get("www-authenticate")];
        });
        for (const answer of await Promise.all(refused)) {
          assert.deepEqual(answer, [401, "unauthorized", 'Bearer realm="runnel"']);
        }
        assert.equal(edge.figures.refusals.tokens, before + shown.length);
      });

      for (const token of ["of-names", sharedToken]) {
        it(`refuses the valid token ${token}, which is that of no node: 403`, async () => {
          const response = await fetch(urlOf(path), { method, headers: bearer(token) });
          assert.deepEqual([response.status, (await response.json()).code], [403, "not_a_node"]);
        });
      }

      it("refuses other methods: 405 with Allow", async () => {
        for (const other of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].filter((name) => name !== method)) {
          const response = await fetch(urlOf(path), { method: other, headers: bearer("of-web-1") });
          const { code } = await response.json();
          assert.deepEqual([response.status, code, response.headers.get("allow")], [
            405,
            "method_not_allowed",
            allowed,
          ]);
        }
      });
    });
  }

  describe("a stream of a session", () => {
    it("has the same paths, and the session says who asks", async () => {
      const agent = await enter("of-web-1");
      const [status, config] = await told(await onStream(agent, "/api/agent/config"));
      assert.deepEqual([status, config.nodeId], [200, "id-of-web-1"]);
      const head = { method: "POST", fields: bearerFields("of-names") };
      const body = encode(JSON.stringify({ version: 7, checksum: "c", ok: true }));
      assert.equal((await onStream(agent, "/api/agent/ack", head, body)).status, 204);
      assert.equal(nodes.acknowledged[0]?.node, "web-1");
    });

    it("carries the stream of events until it is reset", async () => {
      const agent = await enter("of-web-1");
      const answer = await onStream(agent, "/api/agent/push?instance=a");
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      assert.equal(new TextDecoder().decode((await reader.read()).value), ": connected\n\n");
      assert.equal(nodes.asked[0]?.instance, "a");
      await reader.cancel();
      await eventually(() => nodes.left === 1);
    });

    it("is refused with the session of another token: 403", async () => {
      const agent = await enter(sharedToken);
      const head = { fields: bearerFields("of-web-1") };
      const [status, { code }] = await told(await onStream(agent, "/api/agent/config", head));
      assert.deepEqual([status, code], [403, "not_a_node"]);
    });
  });
});

function bearerFields(token: string): string[] {
  return ["Authorization", `Bearer ${token}`];
}

describe("An edge", () => {
  it("has nothing at these paths where it knows no nodes: 404", async () => {
    const edge = await startTestEdge();
    try {
      for (const path of ["config", "push", "ack"]) {
        const response = await fetch(`http://127.0.0.1:${edge.address.port}/api/agent/${path}`);
        assert.deepEqual([response.status, (await response.json()).code], [404, "not_found"]);
      }
    } finally {
      await edge.close();
    }
  });

  it("ends the streams of events when it drains, and does not wait for them", async () => {
    const nodes = new FakeNodes();
    const edge = await startTestEdge({ nodes, checkToken: (token) => owners[token] ?? null });
    const response = await fetch(`http://127.0.0.1:${edge.address.port}/api/agent/push`, {
      headers: { Authorization: "Bearer of-web-1" },
    });
    const text = response.text();
    await edge.drain();
    assert.deepEqual([nodes.hasEnded, await text], [true, ": connected\n\n"]);
  });
});
