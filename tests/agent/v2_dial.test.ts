/** Opening a tunnel by `runnel.v2` at an edge that does as the test says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { type Connection, type Stream, WebSocketUpgrader } from "../../src/httpstream/mod.ts";
import { HttpServer } from "../../src/http1/mod.ts";
import { never } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually, startTcpServer } from "../support/net.ts";

/** Gives `use` a dial of an edge that serves the agent's one stream by `serve`, and ends both. */
async function withEdge(
  serve: (stream: Stream, connection: Connection) => void,
  use: (open: (clock?: FakeClock) => ReturnType<typeof openV2Tunnel>) => Promise<void>,
): Promise<void> {
  let connection!: Connection;
  const upgrader = new WebSocketUpgrader({ onStream: (stream) => serve(stream, connection) });
  const server = new HttpServer((head) =>
    Promise.resolve(upgrader.upgradeResponse(head, (opened) => void (connection = opened)))
  );
  const listening = await startTcpServer((socket) => server.accept(socket));
  const edge = parseEdgeUrl(`http://127.0.0.1:${listening.port}`);
  const upstream = () => Promise.reject(new Error("not asked"));
  try {
    await use((clock) => openV2Tunnel({ edge, token: "t", upstream, version: "0.0.0", clock }, never));
  } finally {
    connection?.close();
    server.close();
    await listening.close();
  }
}

/** The head and the beginning of a whole answer to the agent. */
function begin(stream: Stream): void {
  stream.respond([":status", "201", "Content-Type", "application/json"]);
  stream.send(bytesOf('{"id":"a",'), false);
}

describe("openV2Tunnel", () => {
  it("rejects with edge_unreachable when the link is lost within the edge's answer", () =>
    withEdge((stream, connection) => {
      begin(stream);
      setImmediate(() => connection.close());
    }, async (open) => {
      await assert.rejects(open(), { name: "AgentError", code: "edge_unreachable" });
    }));

  it("rejects with edge_unreachable when the edge's answer does not end in time", () => {
    const clock = new FakeClock();
    let served: Stream | null = null;
    return withEdge((stream) => {
      begin(stream);
      // More than the window: all of it has left once the agent reads it.
      stream.send(bytesOf(" ".repeat(100_000)), false);
      served = stream;
    }, async (open) => {
      const failed = assert.rejects(open(clock), { name: "AgentError", code: "edge_unreachable" });
      await eventually(() => served?.unsentBytes === 0);
      clock.advance(10_000);
      await failed;
    });
  });
});
