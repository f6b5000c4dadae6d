import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { enterEdge, startTestEdge, token } from "../support/tunnel.ts";

interface Handshake {
  token?: string;
  version?: string;
  protocol?: string;
  authorization?: string;
}

const handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** Sends a handshake, and gives the connection with the head of the answer. */
async function sendHandshake(
  edge: Edge,
  how: Handshake,
  fields = handshake,
): Promise<{ head: string; client: SocketReader }> {
  const client = await writeHandshake(edge, how, fields);
  return { head: await client.readUntil("\r\n\r\n"), client };
}

async function writeHandshake(edge: Edge, how: Handshake, fields = handshake): Promise<SocketReader> {
  const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }));
  const { protocol = "runnel.v2", version, authorization = how.token && `Bearer ${how.token}` } = how;
  const more = [
    ...(protocol === "" ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
    ...(version === undefined ? [] : [`Runnel-Version: ${version}`]),
  ];
  const head = `GET /agent HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}${more.map((line) => `${line}\r\n`).join("")}\r\n`;
  client.socket.write(bytesOf(head));
  return client;
}

/** The code in a WebSocket's close frame (RFC 6455 §5.5.1). */
const CLOSE_1001 = "\x03\xe9";
const CLOSE_1002 = "\x03\xea";

/** A client's frame under a mask of zeros. */
function maskedFrame(first: number, ...payload: number[]): Uint8Array {
  return Uint8Array.of(first, 0x80 | payload.length, 0, 0, 0, 0, ...payload);
}

/** The whole text of a refusal. */
async function refusal(edge: Edge, how: Handshake): Promise<string> {
  const { head, client } = await sendHandshake(edge, how);
  const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1]);
  const body = latin1(await client.read(length));
  client.socket.reset();
  return head + body;
}

describe("AgentAcceptor with runnel.v2", () => {
  let edge: Edge;
  before(async () => void (edge = await startTestEdge({ version: "1.4.2" })));
  after(() => edge.close());

  it("accepts an agent by its token, and names the subprotocol and the edge's version", async () => {
    const { head, client } = await sendHandshake(edge, { token, version: "1.4.0" });
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.match(head, /^Sec-WebSocket-Protocol: runnel\.v2\r$/m);
    assert.match(head, /^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/m);
    assert.match(head, /^Runnel-Version: 1\.4\.2\r$/m);
    client.socket.reset();
  });

  it("answers every wrong token alike: 401", async () => {
    const wrong: Handshake[] = [
      {},
      { token: "x" },
      { token: `${token}x` },
      { token: token.slice(0, -1) },
      { authorization: `Basic ${token}` },
      { authorization: "Bearer" },
      { authorization: `Bearer ${token} more` },
    ];
    const answers = new Set(await Promise.all(wrong.map((how) => refusal(edge, how))));
    assert.equal(answers.size, 1);
    const [answer] = answers;
    assert.match(answer!, /^HTTP\/1\.1 401 /);
    assert.match(answer!, /^X-Runnel-Error: unauthorized\r$/m);
    assert.ok(!answer!.includes(token));
  });

  for (const version of ["1.4.99", "1.3.0", "1.4.0-beta.1"]) {
    it(`serves an agent of version ${version}`, async () => {
      const { head, client } = await sendHandshake(edge, { token, version });
      assert.match(head, /^HTTP\/1\.1 101 /);
      client.socket.reset();
    });
  }

  for (const version of ["1.5.0", "1.2.9", "2.4.2", "0.4.2", "nonsense"]) {
    it(`refuses an agent of version ${version} with both versions`, async () => {
      const answer = await refusal(edge, { token, version });
      assert.match(answer, /^HTTP\/1\.1 400 [^]*^X-Runnel-Error: version_mismatch\r$/m);
      assert.match(answer, /^Runnel-Version: 1\.4\.2\r$/m);
      const { detail } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
      assert.ok(detail.includes("1.4.2") && detail.includes(version), detail);
    });
  }

  it("asks for an upgrade where there is none: 426", async () => {
    const { head, client } = await sendHandshake(edge, { token }, "");
    assert.match(head, /^HTTP\/1\.1 426 [^]*^X-Runnel-Error: upgrade_required\r$/m);
    // RFC 9110 §15.5.22
    assert.match(head, /^Upgrade: websocket\r\nConnection: (?:.*, )?Upgrade\r$/m);
    client.socket.reset();
  });

  it("refuses a handshake without a key: 400", async () => {
    const fields = handshake.replace(/^Sec-WebSocket-Key.*\r\n/m, "");
    const { head, client } = await sendHandshake(edge, { token }, fields);
    assert.match(head, /^HTTP\/1\.1 400 [^]*^X-Runnel-Error: bad_request\r$/m);
    client.socket.reset();
  });

  it("ends a session that sends no frames of ours, and goes on", async () => {
    const { client } = await sendHandshake(edge, { token });
    client.socket.write(maskedFrame(0x82, 1, 2, 3));
    await client.readUntil(CLOSE_1002);
    const next = await sendHandshake(edge, { token });
    assert.match(next.head, /^HTTP\/1\.1 101 /);
    client.socket.reset();
    next.client.socket.reset();
  });
});

describe("wrong tokens", () => {
  let clock: FakeClock;
  let refused: string[];
  let edge: Edge;
  beforeEach(async () => {
    clock = new FakeClock();
    refused = [];
    const onTokensRefused = (address: string | null, count: number) => void refused.push(`${address}: ${count}`);
    edge = await startTestEdge({ clock, events: { onTokensRefused } });
  });
  afterEach(() => edge.close());

  const accepted = /^HTTP\/1\.1 101 /;
  const unauthorized = /^HTTP\/1\.1 401 [^]*^X-Runnel-Error: unauthorized\r$/m;
  const tooMany = /^HTTP\/1\.1 429 [^]*^X-Runnel-Error: too_many_attempts\r$/m;
  /** Handshakes with wrong tokens, each with the head of its answer as soon as it is there. */
  async function guess(count: number) {
    const heads: string[] = [];
    const clients = await Promise.all(
      Array.from({ length: count }, (_, at) => writeHandshake(edge, { token: `${at}` })),
    );
    for (const client of clients) void client.readUntil("\r\n\r\n").then((head) => heads.push(head), () => {});
    return { heads, reset: () => clients.forEach((client) => client.socket.reset()) };
  }

  it("are answered after 1 s", async () => {
    const { heads, reset } = await guess(1);
    await eventually(() => clock.untilNext <= 1_000);
    clock.advance(999);
    assert.deepEqual(heads, []);
    clock.advance(1);
    await eventually(() => heads.length === 1);
    assert.match(heads[0], unauthorized);
    reset();
  });

  it("never have the right one refused, however many there were, and however many wait", async () => {
    const { heads, reset } = await guess(200);
    await eventually(() => heads.length === 200 - 64);
    const during = await sendHandshake(edge, { token });
    assert.match(during.head, accepted);
    clock.advance(1_000);
    await eventually(() => heads.length === 200);
    const afterwards = await sendHandshake(edge, { token });
    assert.match(afterwards.head, accepted);
    for (const { client } of [during, afterwards]) client.socket.reset();
    reset();
  });

  it("are answered with 429 at once, and told to try again soon, while 64 wait", async () => {
    const { heads, reset } = await guess(66);
    await eventually(() => heads.length === 2);
    for (const head of heads) {
      assert.match(head, tooMany);
      assert.match(head, /^Retry-After: 1\r$/m);
    }
    clock.advance(1_000);
    await eventually(() => heads.length === 66);
    assert.equal(heads.filter((head) => unauthorized.test(head)).length, 64);
    reset();
  });

  it("take no room once their connections have ended", async () => {
    const first = await guess(65);
    await eventually(() => first.heads.length === 1);
    first.reset();
    await eventually(() => edge.connections === 0);
    const second = await guess(65);
    await eventually(() => second.heads.length === 1);
    clock.advance(1_000);
    await eventually(() => second.heads.length === 65);
    assert.equal(second.heads.filter((head) => unauthorized.test(head)).length, 64);
    second.reset();
  });

  it("do not hold up an edge that drains", async () => {
    const { heads, reset } = await guess(3);
    await eventually(() => refused.length > 0 && clock.untilNext <= 1_000);
    const drained = edge.drain();
    await eventually(() => heads.length === 3);
    for (const head of heads) assert.match(head, unauthorized);
    reset();
    await drained;
  });

  it("are told with address and count", async () => {
    const { heads, reset } = await guess(70);
    await eventually(() => heads.length === 6);
    assert.deepEqual(refused, ["127.0.0.1: 1"]);
    clock.advance(60_000);
    assert.deepEqual(refused, ["127.0.0.1: 1", "127.0.0.1: 69"]);
    reset();
  });
});

describe("a token that ends between its check and the session", () => {
  const owner = {
    id: "me",
    tokenId: "t",
    node: null,
    isValid: () => false,
    ownerOf: () => "me",
    refusalOf: () => null,
  };
  let edge: Edge;
  before(async () => {
    edge = await startTestEdge({ checkToken: (token) => token === "ended" ? owner : null });
  });
  after(() => edge.close());

  it("ends the session on runnel.v2", async () => {
    const { client } = await sendHandshake(edge, { token: "ended" });
    await client.readUntil(CLOSE_1001);
    client.socket.reset();
  });

  it("ends the session on the JSON protocol", async () => {
    const agent = await JsonAgent.register(edge, "shop", { agent_token: "ended" });
    const { code, reason } = await agent.closed;
    assert.deepEqual([code, reason], [1001, "The token was removed, replaced or has expired"]);
    await eventually(() => edge.tunnels.online === 0);
  });
});

describe("an edge's end", () => {
  it("closes sessions that never opened a tunnel, with 1001", async () => {
    const edge = await startTestEdge();
    const { client } = await sendHandshake(edge, { token });
    const closed = edge.close();
    await client.readUntil(CLOSE_1001);
    client.socket.write(maskedFrame(0x88, 0x03, 0xe9));
    await client.ended;
    client.socket.end();
    await closed;
  });

  it("drains sessions that never opened a tunnel", async () => {
    const edge = await startTestEdge();
    const { socket, rest } = await enterEdge(edge);
    const connection = new Connection(new WebSocketLink(socket, { role: "client", rest }), { role: "agent" });
    await connection.ready;
    await edge.drain();
    assert.deepEqual(await connection.closed, { code: 0, reason: "The link closed with 1001: drained", error: null });
  });
});
