import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JsonEdgeSession } from "../../src/session/wsproto/edge_session.ts";
import { defaultBackpressureLimits } from "../../src/session/wsproto/backpressure.ts";
import { megabyte, readGreatSlowly, startBulkUpstream } from "../support/bulk.ts";
import { eventually } from "../support/net.ts";
import { get, getRequest, send } from "../support/public_client.ts";
import type { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";

for (const protocol of protocols) {
  const behind = async (
    act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
    options: TunnelOptions = {},
  ): Promise<void> => {
    await withTunnelTo(await startBulkUpstream(), { protocol, ...options }, act);
  };

  describe(`a slow client of a tunnel on ${protocol}`, () => {
    it("gets 64 MB whole when it reads steadily, while others on the same link go on", async () => {
      await behind(async (tunnel) => {
        let isOver = false;
        const whole = readGreatSlowly(tunnel).finally(() => isOver = true);
        let served = 0;
        for (; !isOver; served++) {
          assert.match(await get(tunnel), /ok$/);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        await whole;
        assert.ok(served >= 3, `others were served ${served} times`);
      });
    });

    it("holds back its own answer alone when it takes nothing, and the upstream stops being read", async () => {
      const options = protocol === "json" ? { edge: { json: stalling(400) } } : {};
      await behind(async (tunnel, upstream) => {
        const client = await send(tunnel, getRequest(tunnel, "/endless"));
        await client.readUntil("\r\n\r\n");
        client.socket.pause();
        const peer = await upstream.peer(0);
        await eventually(() => peer.unsentBytes > 0);
        for (let round = 0; round < 5; round++) assert.match(await get(tunnel), /ok$/);
        if (protocol === "json") {
          const session = tunnel.edge.tunnels.get("shop")?.session as JsonEdgeSession;
          await eventually(() => session.streaming.size === 0 && session.pending.size === 0);
          await peer.gone();
        }
        // Between them are the kernel buffers of four sockets, of several MB each, and 1 MiB at the edge.
        assert.ok(peer.sentBytes < 64 * megabyte, `the upstream could send ${peer.sentBytes} bytes`);
        client.socket.resume();
        if (protocol === "json") {
          await client.closed;
          assert.equal(client.sawEnd, false);
        } else client.socket.reset();
        await eventually(() => tunnel.edge.tunnels.get("shop")?.session?.active === 0);
        assert.match(await get(tunnel), /ok$/);
      }, options);
    });
  });
}

/** Limits under which a client may take nothing for less than the default of 4 s. */
function stalling(stallMs: number) {
  const backpressure = { ...defaultBackpressureLimits, stallMs };
  return { session: { backpressure } };
}
