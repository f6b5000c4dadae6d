/** What an agent of the JSON protocol gets wrong in one answer costs that answer, and nothing else on its link. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { SocketReader } from "../support/net.ts";
import { assertProblem, get, getRequest, type PublicTunnel, readUntilReset, send } from "../support/public_client.ts";
import { startTestEdge } from "../support/tunnel.ts";

type Frame = Record<string, unknown>;

for (const features of [[], ["http_response_abort", "http_request_cancel"]]) {
  describe(`an edge with an agent of features ${JSON.stringify(features)} that sends bad values`, () => {
    let edge: Edge;
    let agent: JsonAgent;
    let tunnel: PublicTunnel;
    let told: string[][];
    beforeEach(async () => {
      told = [];
      edge = await startTestEdge({ events: { onBadFrame: (...words) => void told.push(words) } });
      agent = await JsonAgent.register(edge, "old", features.length === 0 ? {} : { features });
      const { port } = edge.address;
      tunnel = {
        host: "old.localhost",
        connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
      };
    });
    afterEach(async () => {
      agent.close();
      await edge.close();
    });

    /** The next request; what the edge cancels meanwhile is passed over. */
    const nextId = async () => {
      for (;;) {
        const { type, request_id } = await agent.next();
        if (type === "http_request") return request_id;
      }
    };

    const heads: readonly [key: string, frame: Frame][] = [
      ["headers", { type: "http_response", status: 200, headers: { A: 1 } }],
      ["headers", { type: "http_response_start", status: 200, headers: ["b"] }],
      ["status", { type: "http_response", status: 101, headers: {} }],
      ["status", { type: "http_response_start", status: "200", headers: {} }],
      ["body_b64", { type: "http_response", status: 200, headers: {}, body_b64: "!" }],
    ];
    for (const [key, frame] of heads) {
      it(`answers with 502 and names ${key} when ${JSON.stringify(frame)} comes, while another answer goes on`, async () => {
        const other = await send(tunnel, getRequest(tunnel));
        const otherId = await nextId();
        agent.send({ type: "http_response_start", request_id: otherId, status: 200, headers: {} });
        agent.send({ type: "http_response_chunk", request_id: otherId, data_b64: btoa("before") });
        await other.readUntil("before");
        const answer = get(tunnel, "/a?b");
        agent.send({ ...frame, request_id: await nextId() });
        assertProblem(await answer, 502, "upstream_invalid");
        const session = edge.tunnels.get("old")!.session!.id;
        assert.equal(told.length, 1);
        assert.deepEqual(told[0]!.slice(0, 2), [session, "old"]);
        assert.ok(told[0]![2]!.startsWith(`Frame \`${frame.type}\`, key \`${key}\`: `), told[0]![2]);
        agent.send({ type: "http_response_chunk", request_id: otherId, data_b64: btoa("behind") });
        await other.readUntil("behind");
        other.socket.reset();
      });
    }

    it("breaks the answer off when a chunk is no base64", async () => {
      const client = await send(tunnel, getRequest(tunnel));
      const request_id = await nextId();
      agent.send({ type: "http_response_start", request_id, status: 200, headers: {} });
      agent.send({ type: "http_response_chunk", request_id, data_b64: btoa("begun") });
      await client.readUntil("begun");
      agent.send({ type: "http_response_chunk", request_id, data_b64: "AA=A" });
      await readUntilReset(client);
      const answer = get(tunnel);
      agent.send({ type: "http_response", request_id: await nextId(), status: 200, headers: {}, body_b64: btoa("ok") });
      assert.match(await answer, /ok$/);
    });
  });
}
