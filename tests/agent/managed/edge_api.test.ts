import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { AgentToken } from "../../../src/agent/agent_token.ts";
import { parseEdgeUrl } from "../../../src/agent/edge_url.ts";
import { EdgeApi } from "../../../src/agent/managed/edge_api.ts";
import { CancelSource } from "../../../src/base/mod.ts";

const never = new AbortController().signal;

async function withApi(answer: RequestListener, use: (api: EdgeApi, url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = new EdgeApi({
    edge: parseEdgeUrl(url),
    token: new AgentToken("t"),
    instance: "i",
    headTimeoutMs: 20_000,
  });
  try {
    await use(api, url);
  } finally {
    api.close();
    server.closeAllConnections();
    server.close();
  }
}

describe("EdgeApi", () => {
  it("shows its token, and nothing else of its own", () =>
    withApi((request, response) => {
      const names = Object.keys(request.headers).filter((name) => !["host", "connection", "te"].includes(name));
      assert.deepEqual(names.sort(), ["authorization", "if-none-match"]);
      assert.equal(request.headers.authorization, "Bearer t");
      response.writeHead(304).end();
    }, async (api) => assert.equal(await api.config('"e-1"', never), null)));

  it("reads a large config, and refuses one that is too large", async () => {
    let size = 15 * 1024 * 1024;
    const answer: RequestListener = (_, response) => {
      const config = {
        nodeId: "n",
        version: 1,
        checksum: "c",
        pushUrl: "/p",
        pollIntervalMs: 1,
        tunnels: [],
        more: "x".repeat(size),
      };
      response.end(JSON.stringify(config));
    };
    await withApi(answer, async (api) => {
      assert.equal((await api.config(null, never))!.config.version, 1);
      size = 17 * 1024 * 1024;
      await assert.rejects(api.config(null, never), { code: "edge_unreachable", message: /is over 16777216 bytes/ });
    });
  });

  for (
    const [status, code, retryable] of [
      [400, "refused", false],
      [401, "unauthorized", true],
      [403, "refused", true],
      [409, "refused", false],
      [429, "refused", true],
      [503, "refused", true],
    ] as const
  ) {
    it(`rejects with what an edge says by ${status}`, () =>
      withApi((_, response) => {
        response.writeHead(status).end(JSON.stringify({ code: code === "refused" ? "x" : code, detail: "why" }));
      }, async (api, url) => {
        const ack = { version: 1, checksum: "c", error: null };
        await assert.rejects(api.acknowledge(ack, never), {
          code,
          retryable,
          message: `The edge ${url} answered POST /api/agent/ack with ${status}: why`,
        });
      }));
  }

  it("takes no other answer for a stream of events", () =>
    withApi((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>"), async (api) => {
      await assert.rejects(api.push("/api/agent/push", "", new CancelSource()), /is no stream of events/);
    }));

  it("asks for events at the edge alone, with the path of its own URL", () =>
    withApi((_, response) => response.end(), (api, url) => {
      const usual = "/api/agent/push";
      for (
        const [pushUrl, path, isForeign] of [
          [`${url}/x/push?a=b`, "/x/push?a=b", false],
          ["/p", "/p", false],
          [`${url.replace("127.0.0.1", "localhost")}/p`, "/p", false],
          [`${url.replace("127.0.0.1", "[::1]")}/p`, "/p", false],
          [`${url.replace("127.0.0.1", "10.0.0.1")}/p`, usual, true],
          [`${url.replace("http", "https")}/p`, usual, true],
          ["http://evil.example/p", usual, true],
          ["http://127.0.0.1:1/p", usual, true],
          ["//evil.example/p", usual, true],
          ["javascript:1", usual, true],
          ["http://[", usual, true],
        ] as const
      ) {
        assert.deepEqual(api.pushPathOf(pushUrl), { path, isForeign }, pushUrl);
      }
      return Promise.resolve();
    }));
});
