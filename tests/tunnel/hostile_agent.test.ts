import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { ErrorCode, Flag, type MessageBuilder } from "../../src/httpstream/wire/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { uncheckedBlock } from "../support/header_block.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { enterAsShop } from "../support/scripted_agent.ts";
import { startTestEdge } from "../support/tunnel.ts";

let edge: Edge;
let agent: FramePeer;

const target = () => ({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }) as const;

/** An agent, scripted frame by frame, that serves the tunnel `shop`. */
const enter = async (): Promise<FramePeer> => (await enterAsShop(edge)).peer;

/** A visitor asks; gives its connection and the id of the stream that the agent sees. */
async function visit(): Promise<{ client: SocketReader; id: number }> {
  const before = agent.frames.length;
  const client = new SocketReader(await dial(target()));
  client.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"));
  const isOpening = () => agent.frames.slice(before).find((frame) => frame.type === "HEADERS");
  await agent.until(() => isOpening() !== undefined, "the visit");
  return { client, id: (isOpening() as { streamId: number }).streamId };
}

async function answer(client: SocketReader): Promise<string> {
  const head = await client.readUntil("\r\n\r\n");
  client.socket.reset();
  return head;
}

describe("a hostile agent of runnel.v2", () => {
  before(async () => void (edge = await startTestEdge()));
  after(() => edge.close());
  beforeEach(async () => void (agent = await enter()));
  afterEach(async () => {
    agent.abort();
    await eventually(() => edge.tunnels.online === 0);
  });

  const badHeads: readonly [string, string[]][] = [
    ["no :status", ["X", "1"]],
    ["a :status of two digits", [":status", "20"]],
    ["a :status of letters", [":status", "abc"]],
    ["an interim :status for its answer", [":status", "103"]],
    ["a line break in a value", [":status", "200", "X", "1\r\nSet-Cookie: stolen=1\r\n\r\n<script>"]],
    ["a line break in a name", [":status", "200", "X: 1\r\nY", "1"]],
    ["a NUL", [":status", "200", "X", "\0"]],
    ["a Transfer-Encoding", [":status", "200", "Transfer-Encoding", "chunked"]],
    ["an unsolicited 101", [":status", "101"]],
    ["two Content-Lengths", [":status", "200", "Content-Length", "1", "Content-Length", "2"]],
    ["a pseudo-field behind a field", ["X", "1", ":status", "200"]],
  ];
  for (const [what, fields] of badHeads) {
    it(`that answers with ${what} makes a 502, and serves the next visitor`, async () => {
      const { client, id } = await visit();
      const flags = fields.includes("101") ? 0 : Flag.END_STREAM;
      agent.sendRaw({ type: "HEADERS", flags, streamId: id, payload: uncheckedBlock(fields) });
      const got = await answer(client);
      assert.match(got, /^HTTP\/1\.1 502 /);
      assert.match(got, /^X-Runnel-Error: upstream_/m);
      assert.doesNotMatch(got, /stolen|script/);
      const next = await visit();
      agent.send((m) => m.headers(next.id, [":status", "204"], Flag.END_STREAM));
      assert.match(await answer(next.client), /^HTTP\/1\.1 204 /);
    });
  }

  it("that makes up forwarding and error fields is not believed", async () => {
    const { client, id } = await visit();
    agent.send((m) => m.headers(id, [":status", "204", "X-Runnel-Error", "internal"], Flag.END_STREAM));
    assert.doesNotMatch(await answer(client), /x-runnel-error/i);
  });

  it("that sends more than its Content-Length breaks the answer off, whole bytes only", async () => {
    const { client, id } = await visit();
    agent.send((m) => {
      m.headers(id, [":status", "200", "Content-Length", "4"], 0);
      m.data(id, bytesOf("ab"), false);
    });
    await client.readUntil("ab");
    agent.send((m) => m.data(id, bytesOf("cdHTTP/1.1 200 OK\r\n\r\n"), true));
    assert.equal((await client.closed)?.code, "connection_reset");
    assert.equal(client.sawEnd, false);
  });

  const fatal: readonly [string, (id: number) => void, number | null][] = [
    ["overruns its credit", (id) => {
      agent.send((m) => m.headers(id, [":status", "200"], 0));
      for (let sent = 0; sent < 128; sent++) agent.send((m) => m.data(id, new Uint8Array(65_536), false));
    }, ErrorCode.FLOW_CONTROL_ERROR],
    ["sends a frame that ends within its header", () => {
      agent.sendRaw(Uint8Array.of(0, 0, 1, 0));
    }, ErrorCode.FRAME_SIZE_ERROR],
    ["sends a frame longer than its message", () => {
      agent.sendRaw({ type: "DATA", streamId: 2, payload: [1], length: 60_000 });
    }, ErrorCode.FRAME_SIZE_ERROR],
    ["sends a message over 256 KiB", () => {
      agent.sendRaw(new Uint8Array(300_000));
    }, null],
    ["uses a stream that was never opened", () => {
      agent.send((m) => m.data(1_000, Uint8Array.of(1), true));
    }, ErrorCode.PROTOCOL_ERROR],
    ["opens a stream with the edge's parity", () => {
      agent.send((m) => m.headers(1_000, [":method", "GET", ":path", "/"], Flag.END_STREAM));
    }, ErrorCode.PROTOCOL_ERROR],
    ["opens a stream twice", () => {
      const open = (m: MessageBuilder) => m.headers(3, [":method", "POST", ":path", "/api/agent/tunnels"], 0);
      agent.send((m) => {
        open(m);
        open(m);
      });
    }, null],
    ["acknowledges what was never sent", () => {
      agent.send((m) => m.ack(1_000_000));
    }, ErrorCode.PROTOCOL_ERROR],
    ["floods PINGs", () => {
      for (let sent = 0; sent < 20; sent++) {
        agent.send((m) => {
          for (let count = 0; count < 1_000; count++) m.ping(new Uint8Array(8), false);
        });
      }
    }, ErrorCode.ENHANCE_YOUR_CALM],
    ["floods window updates of one byte", (id) => {
      agent.send((m) => m.headers(id, [":status", "200"], 0));
      for (let sent = 0; sent < 20; sent++) {
        agent.send((m) => {
          for (let count = 0; count < 1_000; count++) m.windowUpdate(id, 1);
        });
      }
    }, ErrorCode.ENHANCE_YOUR_CALM],
    ["floods frames of an unknown type", () => {
      for (let sent = 0; sent < 20; sent++) agent.sendRaw(...Array.from({ length: 1_000 }, () => ({ type: 0xc3 })));
    }, ErrorCode.ENHANCE_YOUR_CALM],
    ["floods interim answers", (id) => {
      for (let sent = 0; sent < 20; sent++) {
        agent.send((m) => {
          for (let count = 0; count < 1_000; count++) m.headers(id, [":status", "103"], Flag.INFORMATIONAL);
        });
      }
    }, ErrorCode.ENHANCE_YOUR_CALM],
    ["sends SETTINGS twice", () => {
      agent.send((m) => m.settings([]));
    }, ErrorCode.PROTOCOL_ERROR],
  ];
  for (const [what, attack, code] of fatal) {
    it(`that ${what} loses its session alone: 502, then 503, and a new session serves`, async () => {
      const { client, id } = await visit();
      attack(id);
      if (code !== null) {
        await agent.until(() => agent.frames.some((frame) => frame.type === "GOAWAY"), "the goodbye");
        const goodbye = agent.frames.find((frame) => frame.type === "GOAWAY");
        assert.equal((goodbye as { errorCode: number }).errorCode, code);
      }
      await agent.closed();
      const head = await client.readUntil("\r\n\r\n").catch(() => null);
      // A client that had its head is reset, any other gets an answer.
      if (head === null) assert.equal((await client.closed)?.code, "connection_reset");
      else assert.match(head, /^HTTP\/1\.1 (?:502|200|103) /);
      client.socket.reset();
      await eventually(() => edge.tunnels.online === 0);
      const late = new SocketReader(await dial(target()));
      late.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"));
      assert.match(await answer(late), /^HTTP\/1\.1 503 /);
      agent = await enter();
      const next = await visit();
      agent.send((m) => m.headers(next.id, [":status", "204"], Flag.END_STREAM));
      assert.match(await answer(next.client), /^HTTP\/1\.1 204 /);
    });
  }

  it("that leaves 56 streams open still has 8 left for /api/agent/, and for nothing else", async () => {
    let last = 1;
    const opens = (path: string) => {
      last += 2;
      agent.send((m) => m.headers(last, [":method", "POST", ":path", path], 0));
      return last;
    };
    const statusOf = (id: number) => {
      const head = agent.frames.find((frame) => frame.type === "HEADERS" && frame.streamId === id);
      return head?.type === "HEADERS" ? head.fields[1] : undefined;
    };
    const codeOf = (id: number) => {
      const reset = agent.frames.find((frame) => frame.type === "RST_STREAM" && frame.streamId === id);
      return reset?.type === "RST_STREAM" ? reset.errorCode : undefined;
    };
    const refused = (id: number) => agent.until(() => codeOf(id) === ErrorCode.REFUSED_STREAM, `the refusal of ${id}`);

    // Each is answered, and stays open since its request does not end.
    const others = Array.from({ length: 56 }, () => opens("/elsewhere"));
    await agent.until(() => others.every((id) => statusOf(id) === "404"), "56 answers");
    await refused(opens("/elsewhere"));
    await refused(opens("/api/agents"));

    const calls = Array.from({ length: 8 }, () => opens("/api/agent/tunnels"));
    await refused(opens("/api/agent/tunnels"));
    const wanted = new TextEncoder().encode(JSON.stringify({ name: "late", kind: "http", upstream: "" }));
    for (const id of calls) agent.send((m) => m.data(id, wanted, true));
    await agent.until(() => calls.every((id) => statusOf(id) === "201"), "8 tunnels");

    await refused(opens("/elsewhere"));
    agent.send((m) => m.data(others[0]!, bytesOf("over"), true));
    const another = opens("/elsewhere");
    await agent.until(() => statusOf(another) === "404", "the slot of one that ended");
  });

  it("that floods opens and resets is closed", async () => {
    const open = [":method", "GET", ":path", "/api/agent/none"];
    for (let id = 3; id < 3_003 && agent.closeInfo === null; id += 2) {
      agent.send((m) => {
        m.headers(id, open, 0);
        m.rstStream(id, ErrorCode.CANCEL);
      });
    }
    await agent.closed();
    const goodbye = agent.frames.find((frame) => frame.type === "GOAWAY");
    assert.equal((goodbye as { errorCode: number }).errorCode, ErrorCode.ENHANCE_YOUR_CALM);
  });
});
