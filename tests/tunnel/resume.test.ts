/** How an edge takes an agent that comes back to its session: whose it is, which dial counts, and what is refused. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { sharedOwner } from "../../src/edge/tokens.ts";
import { type Edge, type EdgeOptions } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { HandshakeError } from "../../src/websocket/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { Relay } from "../support/relay.ts";
import { enterEdge, startTestEdge, startTunnel, startV2Agent } from "../support/tunnel.ts";

const hello: Handler = () => Promise.resolve({ status: 200, fields: [], body: bytesOf("hello") });

let edge: Edge;
const told: string[] = [];

async function start(options: Partial<EdgeOptions> = {}): Promise<void> {
  told.length = 0;
  edge = await startTestEdge({
    events: {
      onConnected: ({ id }) => void told.push(`${id} connected`),
      onSuspended: ({ id }, streams) => void told.push(`${id} suspended with ${streams}`),
      onResumed: ({ id }, _suspendedMs, streams) => void told.push(`${id} resumed with ${streams}`),
      onDisconnected: ({ id }, { reason }) => void told.push(`${id} over: ${reason}`),
    },
    ...options,
  });
}

beforeEach(() => start());
afterEach(() => edge.close());

const valueOf = (fields: readonly string[], name: string) => {
  const at = fields.findIndex((item, index) => index % 2 === 0 && item.toLowerCase() === name.toLowerCase());
  return at < 0 ? null : fields[at + 1]!;
};

/** An agent that is connected, with a link that can be broken. */
async function enter(fields: readonly string[] = [], token?: string) {
  const { socket, rest, fields: answer } = await enterEdge(edge, fields, token);
  const peer = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
  return {
    peer,
    socket,
    session: valueOf(answer, "Runnel-Session")!,
    received: valueOf(answer, "Runnel-Received"),
    timeout: valueOf(answer, "Runnel-Resume-Timeout"),
  };
}

const enterAs = (token: string, fields: readonly string[] = []) => enter(fields, token);

const asked = (session: string, received: number | string, epoch: number | string) => [
  ...["Runnel-Session", session],
  ...["Runnel-Received", String(received)],
  ...["Runnel-Epoch", String(epoch)],
];

/** An agent whose link is lost, behind its SETTINGS and those of the edge. */
async function lost() {
  const agent = await enter();
  await agent.peer.greet();
  // Its answer says that the edge has the SETTINGS.
  agent.peer.send((message) => message.ping(new Uint8Array(8), false));
  await agent.peer.until(() => agent.peer.frames.some((frame) => frame.type === "PING"), "the answer to a PING");
  agent.socket.reset();
  await eventually(() => edge.sessions()[0]?.isSuspended === true);
  return agent;
}

async function refusal(fields: readonly string[]): Promise<[number | null, string]> {
  try {
    await enterEdge(edge, fields);
  } catch (error) {
    assert.ok(error instanceof HandshakeError);
    return [error.status, JSON.parse(new TextDecoder().decode(error.body)).code];
  }
  return assert.fail("the handshake was accepted");
}

describe("an edge whose agent lost its link", () => {
  it("goes on with the session when the agent names it, and says what it has received", async () => {
    const { session, timeout } = await lost();
    assert.equal(timeout, "30000");
    const back = await enter(asked(session, 1, 1));
    assert.deepEqual([back.session, back.received], [session, "1"]);
    await eventually(() => told.length === 3);
    assert.deepEqual(told, ["s1 connected", "s1 suspended with 0", "s1 resumed with 0"]);
    // SETTINGS are not sent again, by either side.
    back.peer.send((message) => message.ping(new Uint8Array(8), false));
    await back.peer.until(() => back.peer.frames.some((frame) => frame.type === "PING"), "the answer to a PING");
    assert.equal(back.peer.frames.some((frame) => frame.type === "SETTINGS"), false);
  });

  it("sends again what the agent lacks, which is all that it did not count", async () => {
    const { session } = await lost();
    const back = await enter(asked(session, 0, 1));
    await back.peer.until(() => back.peer.frames.length > 0, "SETTINGS");
    assert.equal(back.peer.frames[0]!.type, "SETTINGS");
  });

  it("refuses an epoch that is not above the last one, and takes the next", async () => {
    const { session } = await lost();
    const second = await enter(asked(session, 1, 7));
    assert.equal(second.session, session);
    assert.deepEqual(await refusal(asked(session, 1, 7)), [409, "stale_epoch"]);
    assert.deepEqual(await refusal(asked(session, 1, 6)), [409, "stale_epoch"]);
    assert.equal((await enter(asked(session, 1, 8))).session, session);
  });

  it("gives the old link up when the agent is back before that was noticed", async () => {
    const agent = await enter();
    await agent.peer.greet();
    const back = await enter(asked(agent.session, 1, 1));
    assert.deepEqual([back.session, back.received], [agent.session, "1"]);
    await agent.peer.until(() => agent.peer.closeInfo !== null, "the end of the old link");
    assert.equal(edge.sessions().length, 1);
    assert.equal(edge.sessions()[0]!.isSuspended, false);
  });

  it("begins a fresh session when it does not know the one that is named, or the count cannot be", async () => {
    const { session } = await lost();
    const other = await enter(asked("0123456789abcdef", 0, 1));
    assert.notEqual(other.session, session);
    assert.equal(other.received, null);
    assert.equal(edge.sessions().length, 2);
    const wrong = await enter(asked(session, 99, 1));
    assert.notEqual(wrong.session, session);
    await eventually(() => told.some((line) => line.startsWith("s1 over: Its agent came back with a count")));
  });

  it("answers 400 when the fields of a return cannot be understood", async () => {
    const { session } = await lost();
    for (
      const fields of [
        asked(session, "", 1),
        asked(session, "-1", 1),
        asked(session, "1.5", 1),
        asked(session, 2 ** 48, 1),
        asked(session, 1, "two"),
        asked("a b", 1, 1),
        asked("a".repeat(129), 1, 1),
        ["Runnel-Session", session],
      ]
    ) assert.deepEqual(await refusal(fields), [400, "bad_request"], fields.join(" "));
    assert.equal(edge.sessions()[0]!.isSuspended, true);
  });

  it("keeps a session to its owner: another one gets a fresh session", async () => {
    await edge.close();
    const owners = new Map(["a", "b"].map((id) => [`token-${id}`, { ...sharedOwner(), id, tokenId: id }]));
    await start({ checkToken: (token) => owners.get(token) ?? null });
    const { session, received, peer } = await enterAs("token-a");
    assert.equal(received, null);
    await peer.greet();
    assert.notEqual((await enterAs("token-b", asked(session, 0, 1))).session, session);
    assert.equal((await enterAs("token-a", asked(session, 0, 1))).session, session);
  });

  it("tells an agent that was replaced while it had no link that it must not come back by itself", async () => {
    const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port: edge.address.port });
    const first = await startV2Agent(edge, hello, { port: relay.port, force: true });
    const { session } = first.tunnel!;
    relay.block();
    await eventually(() => edge.sessions().some(({ isSuspended }) => isSuspended));
    const second = await startV2Agent(edge, hello, { force: true });
    relay.unblock();
    assert.equal((await session.closed).code, "replaced");
    await eventually(() => first.tunnel === null);
    assert.equal(second.tunnel!.session.active, 0);
    second.close();
    await relay.close();
  });

  it("keeps no session of an agent that never said anything", async () => {
    const { socket } = await enter();
    await eventually(() => edge.sessions().length === 1);
    socket.reset();
    await eventually(() => edge.sessions().length === 0);
  });

  it("ends the session at once with its link when it is not to outlive it", async () => {
    await edge.close();
    await start({ resumeTimeoutMs: 0 });
    const { socket, peer, timeout } = await enter();
    await peer.greet();
    assert.equal(timeout, "0");
    socket.reset();
    await eventually(() => edge.sessions().length === 0);
  });

  it("ends a session that nobody comes back to when the time is over", async () => {
    await edge.close();
    const clock = new FakeClock();
    await start({ clock, resumeTimeoutMs: 5_000 });
    const { session } = await lost();
    clock.advance(4_999);
    assert.equal(edge.sessions().length, 1);
    clock.advance(1);
    await eventually(() => edge.sessions().length === 0);
    assert.equal(told.at(-1), "s1 over: It was not resumed within 5000 ms");
    assert.notEqual((await enter(asked(session, 1, 1))).session, session);
  });

  it("takes 250 agents of a token at once, and answers 503 to the next one until a moment later", async () => {
    await edge.close();
    const clock = new FakeClock();
    await start({ clock, maxSessionsPerOwner: 1_000 });
    for (let count = 0; count < 5; count++) await Promise.all(Array.from({ length: 50 }, () => enterEdge(edge)));
    assert.deepEqual(await refusal([]), [503, "overloaded"]);
    clock.advance(5);
    await enterEdge(edge);
    assert.deepEqual(await refusal([]), [503, "overloaded"]);
  });
});

describe("a tunnel whose link is cut", () => {
  it("gives its visitor the whole answer, and the upstream the whole request", async () => {
    const sizeBytes = 3_000_000;
    const tunnel = await startTunnel(async (_head, body) => {
      const whole = new Uint8Array(await new Response(body as BodyInit).arrayBuffer());
      return { status: 200, fields: ["Content-Length", String(whole.length)], body: whole };
    }, { protocol: "v2" });
    const sent = new Uint8Array(sizeBytes).map((_, index) => index * 7);
    const client = await tunnel.connect();
    const head = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${sizeBytes}\r\nConnection: close\r\n\r\n`;
    client.socket.write(bytesOf(head));
    client.socket.write(sent.slice());
    const answer = client.readAll();
    for (let cut = 1; cut <= 4; cut++) {
      const session = tunnel.edge.sessions()[0]!;
      const moved = session.bytesIn + session.bytesOut;
      await eventually(() => {
        const now = tunnel.edge.sessions()[0]!;
        return !now.isSuspended && (now.bytesIn + now.bytesOut > moved || now.streams === 0);
      });
      tunnel.relay.cut();
    }
    const whole = await answer;
    const received = whole.subarray(Buffer.from(whole).indexOf("\r\n\r\n") + 4);
    const at = received.findIndex((byte, index) => byte !== sent[index]);
    assert.deepEqual([received.length, at], [sizeBytes, -1]);
    await tunnel.close();
  });
});
