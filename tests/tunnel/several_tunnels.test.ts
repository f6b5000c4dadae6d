/** Several tunnels on one session: `:tunnel` names that of a request, and each is opened, lost and given back by itself. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { TunnelSession } from "../../src/agent/managed/tunnel_session.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { ErrorCode, Flag, SettingId } from "../../src/httpstream/wire/mod.ts";
import { answering, endless } from "../support/control_stage.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { enterEdge, publicSide, startTestAgent, startTestEdge, token } from "../support/tunnel.ts";

const never = new AbortController().signal;

describe("a session with several tunnels", () => {
  let edge: Edge;
  let ended: [tunnel: string, code: string][];
  const sessions: TunnelSession[] = [];
  beforeEach(async () => {
    ended = [];
    const events = {
      onSessionEnd: (_: string, tunnel: string, code: string) => void ended.push([tunnel, code]),
    };
    edge = await startTestEdge({ events, tunnels: { challengeMs: 50 } });
  });
  afterEach(async () => {
    for (const { session } of sessions.splice(0)) session.close("The test is over");
    await edge.close();
  });

  async function connect(handlers: Record<string, Handler>, agentKey?: string) {
    const lost: [tunnel: string, code: string, reason: string][] = [];
    const asked: (string | undefined)[] = [];
    const session = await TunnelSession.connect({
      edge: parseEdgeUrl(`http://127.0.0.1:${edge.address.port}`),
      token,
      version: "0.0.0",
      agentKey,
      handlerOf: (name) => {
        const handler = handlers[name];
        return handler === undefined ? undefined : (head, body, signal) => {
          asked.push(head.tunnel);
          return handler(head, body, signal);
        };
      },
      onLost: (_, ...args) => void lost.push(args),
    }, never);
    sessions.push(session);
    return { session, lost, asked };
  }
  const visit = (name: string) => get(publicSide(edge, name));
  const open = ({ session }: { session: TunnelSession }, name: string) => session.open(name, "", undefined, never);

  it("serves each by its own upstream, and says which one is asked once there are two", async () => {
    const agent = await connect({ a: answering("of a"), b: answering("of b") });
    assert.equal((await open(agent, "a")).id, "a");
    assert.match(await visit("a"), /of a$/);
    await open(agent, "b");
    assert.match(await visit("b"), /of b$/);
    assert.match(await visit("a"), /of a$/);
    assert.deepEqual(agent.asked, [undefined, "b", "a"]);
    assert.equal(edge.sessions().length, 1);
    assert.deepEqual(edge.sessions()[0]!.tunnels, ["a", "b"]);
  });

  it("tells its agent which tunnel an upgrade is for", async () => {
    const upgrades: (string | undefined)[] = [];
    const upgrading: Handler = (head, body) => {
      upgrades.push(head.tunnel);
      return Promise.resolve({ status: 101, fields: [], upgrade: "echo", body });
    };
    const agent = await connect({ a: answering("a"), b: upgrading });
    for (const name of ["a", "b"]) await open(agent, name);
    const visitor = publicSide(edge, "b");
    const client = await send(visitor, getRequest(visitor, "/", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
    client.socket.write(new TextEncoder().encode("hello"));
    assert.match(await client.readUntil("hello"), /^HTTP\/1\.1 101 /);
    client.socket.reset();
    assert.deepEqual(upgrades, ["b"]);
  });

  it("gives one back, whose stream goes on, as do the others", async () => {
    const agent = await connect({ a: endless("a"), b: endless("b") });
    for (const name of ["a", "b"]) await open(agent, name);
    const clients = await Promise.all(["a", "b"].map((name) => {
      const visitor = publicSide(edge, name);
      return send(visitor, getRequest(visitor));
    }));
    for (const [index, client] of clients.entries()) await client.readUntil("ab"[index]!);
    await agent.session.giveBack("a", never);
    assertProblem(await visit("a"), 503, "tunnel_offline");
    assert.deepEqual(edge.sessions()[0]!.tunnels, ["b"]);
    assert.deepEqual(ended, [["a", "closed"]]);
    assert.equal(edge.active, 2);
    assert.ok(clients.every((client) => !client.sawEnd));
    for (const client of clients) client.socket.reset();
    // A second time, and what was never there, is no fault, and touches nothing.
    for (const name of ["a", "never", "x/y"]) await agent.session.giveBack(name, never);
    assert.equal(edge.tunnels.get("b")?.session?.isLeaving, false);
    // The name is there for its owner.
    await open(agent, "a");
    assert.deepEqual(edge.sessions()[0]!.tunnels, ["b", "a"]);
  });

  it("loses one to another agent that forces it, is told so, and keeps the others", async () => {
    const agent = await connect({ a: answering("old a"), b: answering("old b") });
    for (const name of ["a", "b"]) await open(agent, name);
    edge.tunnels.withdraw("a", "replaced", "Replaced: for the test");
    const other = await startTestAgent(edge, answering("new a"), "a", "v2");
    await eventually(() => agent.lost.length === 1);
    assert.deepEqual(agent.lost, [["a", "replaced", "Replaced: for the test"]]);
    assert.match(await visit("a"), /new a$/);
    assert.match(await visit("b"), /old b$/);
    assert.deepEqual(ended, [["a", "replaced"]]);
    other.close();
  });

  it("goes on where its only one is taken, since its agent is told", async () => {
    const agent = await connect({ a: answering("a"), b: answering("b") });
    await open(agent, "a");
    edge.tunnels.withdraw("a", "name_not_allowed", "It was removed");
    await eventually(() => agent.lost.length === 1);
    await open(agent, "b");
    assert.match(await visit("b"), /b$/);
  });

  it("gives a name over to a later session of the same agent, and keeps the others", async () => {
    const key = "k".repeat(22);
    const [first, second] = [
      await connect({ a: answering("first a"), b: answering("first b") }, key),
      await connect({ a: answering("second a") }, key),
    ];
    for (const name of ["a", "b"]) await open(first, name);
    await open(second, "a");
    assert.match(await visit("a"), /second a$/);
    assert.match(await visit("b"), /first b$/);
    assert.deepEqual(first.lost, []);
  });

  it("changes the timeouts of an open tunnel without a second opening", async () => {
    const agent = await connect({ a: answering("a") });
    await open(agent, "a");
    const { timeouts } = await agent.session.open("a", "", { firstByte: "5s", idle: "7s" }, never);
    assert.deepEqual(timeouts, { firstByte: "5s", idle: "7s" });
    assert.deepEqual(edge.tunnels.get("a")?.timeouts, { firstByteMs: 5_000, idleMs: 7_000, streamIdleMs: 7_000 });
    assert.deepEqual(edge.sessions()[0]!.tunnels, ["a"]);
    assert.match(await visit("a"), /a$/);
    assert.deepEqual(agent.asked, [undefined]);
  });

  it("opens more tunnels than an edge takes at once, without being taken for a flood", async () => {
    const agent = await connect({});
    const names = Array.from({ length: 150 }, (_, index) => `n${index}`);
    let opened = 0;
    // They are given back again, since the names of a token are limited.
    const work = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        await open(agent, name);
        await agent.session.giveBack(name, never);
        opened++;
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));
    assert.equal(opened, 150);
    assert.equal(edge.sessions().length, 1);
  });

  it("refuses DELETE on plain HTTP, and a tunnel of another session", async () => {
    const [one, two] = [await connect({ a: answering("a") }), await connect({ b: answering("b") })];
    await open(one, "a");
    await two.session.giveBack("a", never);
    assert.match(await visit("a"), /a$/);
    const answer = await fetch(`http://127.0.0.1:${edge.address.port}/api/agent/tunnels/a`, { method: "DELETE" });
    assert.deepEqual([answer.status, (await answer.json()).code], [403, "session_required"]);
  });
});

/** An agent as frames, which announces what `settings` says. */
async function scripted(edge: Edge, settings: readonly number[]) {
  const { socket, rest } = await enterEdge(edge);
  const agent = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
  await agent.greet(settings);
  let streamId = 1;
  return {
    agent,
    async open(name: string) {
      const id = streamId;
      streamId += 2;
      agent.send((m) => {
        m.headers(id, [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"], 0);
        m.data(id, new TextEncoder().encode(JSON.stringify({ name, kind: "http", upstream: "" })), true);
      });
      const isAnswer = (frame: (typeof agent.frames)[number]) => frame.type === "HEADERS" && frame.streamId === id;
      await agent.until(() => agent.frames.some(isAnswer), "the tunnel");
    },
  };
}

describe("an agent that announces nothing", () => {
  it("is sent no `:tunnel` with one tunnel, and its session ends with that", async () => {
    const edge = await startTestEdge();
    const { agent, open } = await scripted(edge, []);
    await open("a");
    const visit = get(publicSide(edge, "a"));
    const isVisit = (frame: (typeof agent.frames)[number]) => frame.type === "HEADERS" && frame.streamId % 2 === 0;
    await agent.until(() => agent.frames.some(isVisit), "the visit");
    const { streamId, fields } = agent.frames.find(isVisit) as { streamId: number; fields: string[] };
    assert.equal(fields.includes(":tunnel"), false);
    agent.send((m) => m.headers(streamId, [":status", "204"], Flag.END_STREAM));
    assert.match(await visit, /^HTTP\/1\.1 204 /);
    edge.tunnels.withdraw("a", "replaced", "Replaced");
    const goAway = () => agent.frames.find((frame) => frame.type === "GOAWAY");
    await agent.until(() => goAway() !== undefined, "the end");
    assert.equal((goAway() as { errorCode: number }).errorCode, ErrorCode.REPLACED);
    agent.abort();
    await edge.close();
  });

  it("keeps its session where it loses one of two, and is told nothing that it does not know", async () => {
    const edge = await startTestEdge();
    const { agent, open } = await scripted(edge, [SettingId.FEATURES, 3]);
    await open("a");
    await open("b");
    edge.tunnels.withdraw("a", "replaced", "Replaced");
    const visit = get(publicSide(edge, "b"));
    const opened = () =>
      agent.frames.flatMap((frame) => frame.type === "HEADERS" && frame.streamId % 2 === 0 ? [frame] : []);
    await agent.until(() => opened().length > 0, "the visit");
    const [{ streamId, fields }] = opened() as { streamId: number; fields: string[] }[];
    assert.equal(fields[fields.indexOf(":tunnel") + 1], "b");
    agent.send((m) => m.headers(streamId, [":status", "204"], Flag.END_STREAM));
    assert.match(await visit, /^HTTP\/1\.1 204 /);
    assert.equal(opened().length, 1);
    agent.abort();
    await edge.close();
  });
});
