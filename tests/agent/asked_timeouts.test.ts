/** What an agent asks for its tunnel's timeouts, and what it says where the edge gives less, or knows none. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { askedTimeouts, timeoutWarnings } from "../../src/agent/asked_timeouts.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import type { EdgeOptions } from "../../src/edge/edge.ts";
import { problemAnswer } from "../../src/http/problem_answer.ts";
import type { Answer, Handler } from "../../src/http/message.ts";
import { WebSocketUpgrader } from "../../src/httpstream/mod.ts";
import { HttpServer } from "../../src/http1/mod.ts";
import { listen } from "../../src/net/mod.ts";
import { serveExchange } from "../../src/session/mod.ts";
import { WebSocketConnection } from "../../src/websocket/connection.ts";
import { checkUpgrade } from "../../src/websocket/mod.ts";
import { bodyText, never } from "../support/client_requests.ts";
import { bytesOf } from "../support/net.ts";
import { type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

const unasked: Handler = () => Promise.reject(new Error("not asked"));

function open(protocol: Protocol, port: number, firstByteMs?: number): Promise<OpenTunnel> {
  const options = {
    edge: parseEdgeUrl(`http://127.0.0.1:${port}`),
    token,
    name: "shop",
    upstream: unasked,
    firstByteMs,
  };
  return protocol === "json" ? openJsonTunnel(options, never) : openV2Tunnel({ ...options, version: "0.0.0" }, never);
}

async function warningsAt(protocol: Protocol, edge: Partial<EdgeOptions>, firstByteMs?: number): Promise<unknown> {
  const running = await startTestEdge(edge);
  try {
    const { session, warnings } = await open(protocol, running.address.port, firstByteMs);
    const granted = running.tunnels.get("shop")?.timeouts?.firstByteMs;
    session.close("done");
    await session.closed;
    return { warnings, granted };
  } finally {
    await running.close();
  }
}

for (const protocol of protocols) {
  describe(`the timeouts of a tunnel, asked over ${protocol}`, () => {
    it("are the agent's where the edge sets no bound", async () => {
      assert.deepEqual(await warningsAt(protocol, {}, 90_000), { warnings: [], granted: 90_000 });
      assert.deepEqual(await warningsAt(protocol, {}, Infinity), { warnings: [], granted: Infinity });
    });

    it("are the edge's, without a word, where the agent asks for none", async () => {
      assert.deepEqual(await warningsAt(protocol, { maxFirstByteMs: 5_000 }), { warnings: [], granted: 5_000 });
      const timeouts = { firstByteMs: 7_000 };
      assert.deepEqual(await warningsAt(protocol, { timeouts }), { warnings: [], granted: 7_000 });
    });

    it("are bounded by the edge, and the agent says so", async () => {
      const warnings = [
        "The edge waits 90s for an answer, its --max-first-byte-timeout, not --first-byte-timeout off",
      ];
      const edge = { maxFirstByteMs: 90_000 };
      assert.deepEqual(await warningsAt(protocol, edge, Infinity), { warnings, granted: 90_000 });
      assert.deepEqual(await warningsAt(protocol, edge, 90_000), { warnings: [], granted: 90_000 });
    });
  });
}

describe("timeoutWarnings", () => {
  it("says nothing where nothing was asked for or more is had, and takes no text for a duration that is none", () => {
    assert.deepEqual(timeoutWarnings(undefined, undefined), []);
    assert.deepEqual(timeoutWarnings(1_000, { firstByte: "off" }), []);
    for (const told of [undefined, {}, { firstByte: "soon" }]) assert.equal(timeoutWarnings(1_000, told).length, 1);
    assert.equal(askedTimeouts(undefined), undefined);
    assert.deepEqual(askedTimeouts(2 ** 40), { firstByte: "1099511627776ms" });
  });
});

/** An edge of the previous version on one path, scripted: `onHandshake` answers what asks for `/agent`. */
async function withOldEdge(onHandshake: Handler, act: (port: number) => Promise<void>): Promise<void> {
  const server = new HttpServer(onHandshake);
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => server.accept(socket));
  try {
    await act(listener.address.port);
  } finally {
    await listener.close();
    server.close();
  }
}

const unknown = "The edge does not know --first-byte-timeout, since it is older than this agent: " +
  "it waits for an answer as long as its own setting says";

describe("an agent with timeouts at an edge of the previous version", () => {
  it("opens its tunnel without them over v2, where the edge refuses the key, and says so", async () => {
    const asked: string[] = [];
    // As that version answers: its keys are strict.
    const routes: Handler = async (_head, body): Promise<Answer> => {
      const text = await bodyText(body);
      asked.push(text);
      if ("timeouts" in JSON.parse(text)) {
        return problemAnswer("bad_request", 'Key ``: Unrecognized key: "timeouts"');
      }
      const answer = bytesOf(JSON.stringify({ id: "shop", name: "shop", url: "http://shop.localhost" }));
      return { status: 201, fields: ["Content-Length", String(answer.length)], body: answer };
    };
    const upgrader = new WebSocketUpgrader({ onStream: (stream) => serveExchange(stream, routes) });
    const onHandshake: Handler = (head) => Promise.resolve(upgrader.upgradeResponse(head, () => {}));
    await withOldEdge(onHandshake, async (port) => {
      const { session, url, warnings } = await open("v2", port, Infinity);
      assert.deepEqual([url, warnings], ["http://shop.localhost", [unknown]]);
      const request = { kind: "http", upstream: "", name: "shop" };
      assert.deepEqual(asked.map((text) => JSON.parse(text)), [
        { ...request, timeouts: { firstByte: "off" } },
        request,
      ]);
      session.close("done");
      asked.length = 0;
      const plain = await open("v2", port);
      assert.deepEqual([plain.warnings, asked.length], [[], 1]);
      plain.session.close("done");
    });
  });

  it("tells the edge's refusal where that has another reason", async () => {
    const routes: Handler = () => Promise.resolve(problemAnswer("bad_request", "Key `upstream`: too long"));
    const upgrader = new WebSocketUpgrader({ onStream: (stream) => serveExchange(stream, routes) });
    await withOldEdge((head) => Promise.resolve(upgrader.upgradeResponse(head, () => {})), async (port) => {
      await assert.rejects(open("v2", port, 1_000), { code: "refused", reason: "Key `upstream`: too long" });
    });
  });

  it("opens its tunnel over JSON, where the edge drops the key, and says so", async () => {
    const frames: Record<string, unknown>[] = [];
    const onHandshake: Handler = (head) => {
      const check = checkUpgrade(head, { protocols: [] });
      assert.ok(check.accepted);
      return Promise.resolve({
        status: 101,
        fields: check.fields,
        body: null,
        upgrade: "websocket",
        takeSocket(socket, rest) {
          const handlers = { onMessage() {}, onDrain() {}, onClose() {} };
          const link = new WebSocketConnection(socket, { role: "server", accept: "text", rest, handlers });
          link.handlers = {
            ...handlers,
            onMessage(data) {
              frames.push(JSON.parse(data as string));
              // As that version answers: it takes no notice of keys that it does not know.
              link.sendText(JSON.stringify({ type: "registered", url: "http://shop.localhost", features: [] }));
            },
          };
        },
      });
    };
    await withOldEdge(onHandshake, async (port) => {
      const { session, warnings } = await open("json", port, 90_000);
      assert.deepEqual(warnings, [unknown]);
      assert.deepEqual(frames[0]?.timeouts, { firstByte: "90s" });
      session.close("done");
      const plain = await open("json", port);
      assert.deepEqual(plain.warnings, []);
      assert.equal("timeouts" in frames[1]!, false);
      plain.session.close("done");
    });
  });
});
