/** An agent of the version before, which announces no limits of header blocks and no features, before a real edge. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { Flag } from "../../src/httpstream/wire/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { SocketReader } from "../support/net.ts";
import { assertProblem, get } from "../support/public_client.ts";
import { enterEdge, startTestEdge } from "../support/tunnel.ts";

describe("an agent of the version before", () => {
  it("makes a 431 of a head that it does not take, and serves the next visitor on the same session", async () => {
    const edge = await startTestEdge();
    const { socket, rest } = await enterEdge(edge);
    const agent = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
    await agent.greet([1, 65_536, 2, 16_384, 3, 65_536]);
    agent.send((m) => {
      m.headers(1, [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"], 0);
      m.data(1, new TextEncoder().encode(JSON.stringify({ name: "shop", kind: "http", upstream: "" })), true);
    });
    const heads = () => agent.frames.filter((frame) => frame.type === "HEADERS");
    await agent.until(() => heads().some(({ fields }) => fields[1] === "201"), "the tunnel");
    const visitor = {
      host: "shop.localhost",
      connect: async () => {
        const { port } = edge.address;
        return new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
      },
    };

    assertProblem(await get(visitor, "/", "X: 1\r\n".repeat(140)), 431, "head_too_large");
    assertProblem(await get(visitor, "/", `X: ${"x".repeat(4_082)}\r\n`.repeat(16)), 431, "head_too_large");
    const before = heads().length;
    const answer = get(visitor, "/", "X: 1\r\n".repeat(100));
    await agent.until(() => heads().length > before, "the visit");
    const opening = heads().at(-1)!;
    assert.ok(opening.fields.length <= 2 * 128);
    agent.send((m) => m.headers(opening.streamId, [":status", "204", "X-By", "older"], Flag.END_STREAM));
    assert.match(await answer, /^HTTP\/1\.1 204 No Content\r\nX-By: older\r\n/);
    agent.abort();
    await edge.close();
  });
});
