/** A session with several tunnels before an edge of an earlier version, as frames. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../../src/agent/edge_url.ts";
import { TunnelSession } from "../../../src/agent/managed/tunnel_session.ts";
import { HttpServer } from "../../../src/http1/server/server.ts";
import { WebSocketUpgrader } from "../../../src/httpstream/upgrade.ts";
import type { Handler } from "../../../src/http/message.ts";
import { serveExchange } from "../../../src/session/v2/serve.ts";
import { listen } from "../../../src/net/mod.ts";

const never = new AbortController().signal;

/** An edge that announces no features of its own. `asked` has the bodies of the requests for tunnels. */
async function olderEdge(answerTo: (body: Record<string, unknown>) => number) {
  const asked: Record<string, unknown>[] = [];
  const routes: Handler = async (_, body) => {
    const json = JSON.parse(await new Response(body as BodyInit).text());
    asked.push(json);
    const status = answerTo(json);
    const { name, timeouts } = json;
    const answer = status === 201
      ? { id: name, name, url: `http://${name}`, timeouts }
      : { code: "bad_request", detail: "no" };
    const bytes = new TextEncoder().encode(JSON.stringify(answer));
    return { status, fields: ["Content-Length", String(bytes.length)], body: bytes };
  };
  const upgrader = new WebSocketUpgrader({ onStream: (stream) => serveExchange(stream, routes) });
  const server = new HttpServer((head) => Promise.resolve(upgrader.upgradeResponse(head, () => {})), {});
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => server.accept(socket));
  const edge = parseEdgeUrl(`http://127.0.0.1:${listener.address.port}`);
  const options = { edge, token: "t", version: "0.0.0", handlerOf: () => undefined, onLost() {} };
  const session = await TunnelSession.connect(options, never);
  return {
    session,
    asked,
    async close() {
      session.session.close("over");
      server.close();
      await listener.close();
    },
  };
}

describe("TunnelSession before an edge of an earlier version", () => {
  it("opens one tunnel, and says why a second one cannot be had", async () => {
    const { session, close } = await olderEdge(() => 201);
    assert.equal((await session.open("a", "", undefined, never)).id, "a");
    await assert.rejects(session.open("b", "", undefined, never), {
      code: "protocol_mismatch",
      message: /is older than this agent: it takes one tunnel of an agent/,
    });
    await close();
  });

  it("leaves out what the edge refuses, the newest key first", async () => {
    const knows = (keys: readonly string[]) => ({ timeouts = {} }: { timeouts?: object }) =>
      Object.keys(timeouts).every((key) => keys.includes(key)) ? 201 : 400;
    for (
      const [keys, sent] of [
        [["firstByte", "idle"], [["firstByte", "idle"]]],
        [["firstByte"], [["firstByte", "idle"], ["firstByte"]]],
        [[], [["firstByte", "idle"], ["firstByte"], []]],
      ] as const
    ) {
      const { session, asked, close } = await olderEdge(knows(keys));
      await session.open("a", "", { firstByte: "5s", idle: "6s" }, never);
      assert.deepEqual(asked.map(({ timeouts = {} }) => Object.keys(timeouts as object)), sent);
      await close();
    }
  });
});
