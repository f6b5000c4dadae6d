import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TunnelConfig } from "../../../src/agent/managed/tunnel_config.ts";
import { upstreamOf } from "../../../src/agent/managed/upstreams.ts";
import { dial } from "../../../src/net/mod.ts";
import { never, requestHead } from "../../support/client_requests.ts";
import { ScriptedServer } from "../../support/scripted_server.ts";

const fields = [
  "Accept",
  "*/*",
  "X-Forwarded-For",
  "203.0.113.9",
  "Forwarded",
  "for=203.0.113.9",
  "X-Request-ID",
  "r-1",
];

/** The head that the upstream of such a tunnel gets. */
async function headFor(more: Partial<TunnelConfig>): Promise<string> {
  let head = "";
  const server = await ScriptedServer.start(async (peer) => {
    head = await peer.readHead();
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  const tunnel: TunnelConfig = { name: "a", kind: "http", upstream: String(server.port), hostnames: [], ...more };
  const limits = { headBytes: 65_536, fieldCount: 256 };
  const upstream = upstreamOf(tunnel, { allowed: null, tls: {}, dial, limits, connectionAuth: false });
  await upstream.handler(requestHead({ fields }), null, never);
  upstream.close();
  await server.close();
  return head;
}

describe("upstreamOf", () => {
  it("tells the upstream of visitors unless forwardedHeaders is false", async () => {
    for (const more of [{}, { forwardedHeaders: true }]) {
      const head = await headFor(more);
      assert.match(head, /^X-Forwarded-For: 203\.0\.113\.9\r$/m);
      assert.match(head, /^Forwarded: for=203\.0\.113\.9\r$/m);
    }
    const head = await headFor({ forwardedHeaders: false });
    assert.doesNotMatch(head, /forwarded/i);
    assert.match(head, /^X-Request-ID: r-1\r$/m);
    assert.match(head, /^Accept: \*\/\*\r$/m);
  });
});
