import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { type Edge, startEdge } from "../../src/edge/edge.ts";
import { openExchange } from "../../src/session/v2/open.ts";
import type { Answer, Body, RequestHead } from "../../src/http/message.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { eventually } from "../support/net.ts";
import { enterEdge, startTestEdge, token } from "../support/tunnel.ts";

const never = new AbortController().signal;
const encode = (text: string) => new TextEncoder().encode(text);

let edge: Edge;
const connections: Connection[] = [];

/** An agent of `runnel.v2` that is connected and has no tunnel yet. */
async function enter(): Promise<Connection> {
  const { socket, rest } = await enterEdge(edge);
  const connection = new Connection(new WebSocketLink(socket, { role: "client", rest }), { role: "agent" });
  connections.push(connection);
  await connection.ready;
  return connection;
}

function request(more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "POST",
    target: "/api/agent/tunnels",
    scheme: "http",
    authority: "edge",
    fields: ["Content-Type", "application/json"],
    client: "",
    id: "1",
    ...more,
  };
}

async function told(answer: Answer): Promise<{ status: number; body: Record<string, unknown> }> {
  const text = await new Response(answer.body as BodyInit).text();
  return { status: answer.status, body: JSON.parse(text) };
}

async function ask(connection: Connection, wanted: unknown, head = request()) {
  return told(await openExchange(connection, head, encode(JSON.stringify(wanted)), never));
}

describe("POST /api/agent/tunnels", () => {
  before(async () => void (edge = await startTestEdge({ domain: "example.com", maxFirstByteMs: 120_000 })));
  after(() => edge.close());
  afterEach(async () => {
    for (const connection of connections.splice(0)) {
      connection.close();
      await connection.closed;
    }
    await eventually(() => edge.tunnels.online === 0);
  });

  it("opens a tunnel of the name that is asked for", async () => {
    const agent = await enter();
    const { status, body } = await ask(agent, { name: "shop", kind: "http", upstream: "http://localhost:3000" });
    assert.equal(status, 201);
    assert.deepEqual(body, { id: "shop", name: "shop", url: `http://shop.example.com:${edge.address.port}` });
    assert.notEqual(edge.tunnels.get("shop")?.session, null);
  });

  for (
    const [timeouts, firstByteMs, told] of [
      [{ firstByte: "90s" }, 90_000, "90s"],
      [{ firstByte: "off" }, 120_000, "2m"],
      [{ firstByte: "1000000h" }, 120_000, "2m"],
      [{ firstByte: "1ms" }, 1, "1ms"],
      [{}, 60_000, "1m"],
    ] as const
  ) {
    it(`gives a tunnel ${told} for an answer's head when it asks for ${JSON.stringify(timeouts)}`, async () => {
      const agent = await enter();
      const { status, body } = await ask(agent, { name: "llm", kind: "http", upstream: "", timeouts });
      assert.equal(status, 201);
      assert.deepEqual(body.timeouts, { firstByte: told });
      assert.equal(edge.tunnels.get("llm")?.timeouts?.firstByteMs, firstByteMs);
      assert.equal(edge.tunnels.get("llm")?.timeouts?.idleMs, 300_000);
    });
  }

  it("forgets a tunnel's timeouts when its name is claimed without", async () => {
    const wanted = { name: "llm", kind: "http", upstream: "" };
    const [first, second] = [await enter(), await enter()];
    await ask(first, { ...wanted, timeouts: { firstByte: "90s" } });
    assert.equal((await ask(second, { ...wanted, force: true })).status, 201);
    assert.equal(edge.tunnels.get("llm")?.timeouts?.firstByteMs, 60_000);
  });

  it("names the key and what may stand there when a timeout is wrong", async () => {
    const { body } = await ask(await enter(), { kind: "http", upstream: "", timeouts: { firstByte: "soon" } });
    assert.match(String(body.detail), /`timeouts\.firstByte`: is neither off nor a duration over 0 such as 90s/);
  });

  it("draws a name where none is asked for", async () => {
    const agent = await enter();
    const { status, body } = await ask(agent, { kind: "http", upstream: "" });
    assert.equal(status, 201);
    assert.match(String(body.name), /^[a-z0-9-]+$/);
    assert.notEqual(edge.tunnels.get(String(body.name))?.session, null);
  });

  it("opens several tunnels on one session, which end with it", async () => {
    const agent = await enter();
    for (const name of ["a", "b", "c"]) {
      assert.equal((await ask(agent, { name, kind: "http", upstream: "" })).status, 201);
    }
    assert.equal(edge.tunnels.online, 3);
    agent.close();
    await eventually(() => edge.tunnels.online === 0);
  });

  it("refuses a name that another session serves: 409; takes it over by force", async () => {
    const [first, second] = [await enter(), await enter()];
    const wanted = { name: "shop", kind: "http", upstream: "" };
    assert.equal((await ask(first, wanted)).status, 201);
    const { status, body } = await ask(second, wanted);
    assert.deepEqual([status, body.code], [409, "name_taken"]);
    assert.equal((await ask(second, { ...wanted, force: true })).status, 201);
    await first.closed;
  });

  it("gives a session its own name once more", async () => {
    const agent = await enter();
    const wanted = { name: "shop", kind: "http", upstream: "" };
    await ask(agent, wanted);
    assert.equal((await ask(agent, wanted)).status, 201);
  });

  it("takes a name again as soon as its session has gone", async () => {
    const first = await enter();
    const wanted = { name: "shop", kind: "http", upstream: "" };
    await ask(first, wanted);
    first.close();
    await first.closed;
    await eventually(() => edge.tunnels.get("shop")?.session === null);
    assert.equal((await ask(await enter(), wanted)).status, 201);
  });

  for (
    const [what, wanted, code] of [
      ["a name that is no label", { name: "a.b", kind: "http", upstream: "" }, "bad_name"],
      ["a name of __proto__", { name: "__proto__", kind: "http", upstream: "" }, "bad_name"],
      ["a kind that it does not know", { name: "a", kind: "udp", upstream: "" }, "bad_request"],
      ["no upstream", { name: "a", kind: "http" }, "bad_request"],
      ["an upstream of 2,000 characters", { name: "a", kind: "http", upstream: "x".repeat(2_000) }, "bad_request"],
      ["a key that it does not know", { name: "a", kind: "http", upstream: "", owner: "root" }, "bad_request"],
      ["timeouts that are no object", { name: "a", kind: "http", upstream: "", timeouts: "90s" }, "bad_request"],
      ["a timeout of 0", { name: "a", kind: "http", upstream: "", timeouts: { firstByte: "0s" } }, "bad_request"],
      ["a timeout in numbers", { name: "a", kind: "http", upstream: "", timeouts: { firstByte: 90 } }, "bad_request"],
      [
        "a timeout of another kind",
        { name: "a", kind: "http", upstream: "", timeouts: { total: "9s" } },
        "bad_request",
      ],
      ["a list", [], "bad_request"],
      ["nothing", null, "bad_request"],
    ] as const
  ) {
    it(`refuses ${what}: 400`, async () => {
      const { status, body } = await ask(await enter(), wanted);
      assert.deepEqual([status, body.code], [400, code]);
    });
  }

  it("refuses what is no JSON: 400", async () => {
    const answer = await openExchange(await enter(), request(), encode("{"), never);
    assert.deepEqual((await told(answer)).body.code, "bad_request");
  });

  it("reads no more than 64 KiB, announced or not: 413", async () => {
    const agent = await enter();
    const big = encode(JSON.stringify({ name: "a", kind: "http", upstream: "x".repeat(70_000) }));
    assert.equal((await told(await openExchange(agent, request(), big, never))).status, 413);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 16_384;
        controller.enqueue(new Uint8Array(16_384).fill(0x20));
      },
    }, { highWaterMark: 0 });
    assert.equal((await told(await openExchange(agent, request(), endless as Body, never))).status, 413);
    await eventually(() => agent.streams === 0);
    assert.ok(sent < 1_048_576, `${sent} bytes were taken`);
  });

  it("is refused outside a session: 403", async () => {
    const answer = await fetch(`http://127.0.0.1:${edge.address.port}/api/agent/tunnels`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: "a", kind: "http", upstream: "" }),
    });
    assert.equal(answer.status, 403);
    assert.equal((await answer.json()).code, "session_required");
    assert.equal(edge.tunnels.online, 0);
  });
});

describe("a stream that an agent opens", () => {
  before(async () => void (edge = await startEdge({ listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, token })));
  after(() => edge.close());

  for (
    const head of [
      { method: "GET", target: "/healthz" },
      { method: "GET", target: "/agent" },
      { method: "GET", target: "/" },
      { method: "GET", target: "/api/agent/../../healthz" },
      { method: "GET", target: "//api/agent/tunnels" },
      { method: "GET", target: "/api/agent/tunnels" },
      { method: "GET", target: "/", authority: "shop.localhost" },
      { method: "OPTIONS", target: "*" },
    ]
  ) {
    it(`reaches nothing at ${head.method} ${head.authority ?? ""}${head.target}`, async () => {
      const agent = await enter();
      const answer = await openExchange(agent, request({ fields: [], ...head }), null, never);
      assert.equal(answer.status, 404);
      agent.close();
      await agent.closed;
    });
  }

  it("does not reach another agent's upstream by its host", async () => {
    const [owner, other] = [await enter(), await enter()];
    await ask(owner, { name: "shop", kind: "http", upstream: "" });
    const head = request({ method: "GET", target: "/", authority: "shop.localhost", fields: [] });
    assert.equal((await openExchange(other, head, null, never)).status, 404);
    assert.equal(owner.acceptedStreams, 0);
  });

  it("is refused as an upgrade and as a CONNECT", async () => {
    const agent = await enter();
    const upgrade = request({ method: "GET", target: "/agent", upgrade: "websocket", fields: [] });
    assert.equal((await openExchange(agent, upgrade, null, never)).status, 404);
    const connect = request({ method: "CONNECT", target: "/", fields: [] });
    assert.equal((await openExchange(agent, connect, null, never)).status, 501);
  });
});
