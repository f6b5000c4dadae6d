/** Visitors who open requests and abort them, as fast as they can: what that costs the tunnel that they flood. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Dial } from "../../src/http1/mod.ts";
import { dial, type Socket } from "../../src/net/mod.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import { protocols, withTunnelTo } from "../support/tunnel.ts";

const MAX_SOCKETS = 4;
const ROUNDS = 10;
const VISITORS = 20;

for (const protocol of protocols) {
  describe(`a flood of opens and aborts by visitors, on ${protocol}`, () => {
    it("never costs the tunnel: no socket too many is open, others are served or told 503, a stream goes on", async () => {
      const events: ScriptedPeer[] = [];
      const upstream = await ScriptedServer.start(async (peer) => {
        for (;;) {
          const head = await peer.readHead();
          if (head.includes(" /ok ")) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          if (!head.includes(" /events ")) continue;
          events.push(peer);
          peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        }
      });
      const dialed: Socket[] = [];
      let most = 0;
      const counting: Dial = async (target, options, clock) => {
        const socket = await dial(target, options, clock);
        dialed.push(socket);
        most = Math.max(most, dialed.filter(({ closed }) => !closed).length);
        return socket;
      };
      const client = { dial: counting, maxSockets: MAX_SOCKETS, maxWaiting: MAX_SOCKETS };
      await withTunnelTo(upstream, { protocol, client }, async (tunnel) => {
        const watcher = await send(tunnel, getRequest(tunnel, "/events"));
        await watcher.readUntil("data: 1\n\n");
        const session = tunnel.edge.tunnels.get("shop")!.session!;
        for (let round = 0; round < ROUNDS; round++) {
          const open = () => send(tunnel, getRequest(tunnel, "/hang"));
          const hanging = await Promise.all(Array.from({ length: VISITORS }, open));
          // Full, or nearly so: the others of this round wait, or are told that too many do.
          await eventually(() => dialed.filter(({ closed }) => !closed).length === MAX_SOCKETS);
          const other = get(tunnel, "/ok");
          for (const { socket } of hanging) socket.reset();
          const answer = await other;
          if (!/^HTTP\/1\.1 200 /.test(answer)) {
            assertProblem(answer, 503, "overloaded");
            assert.match(answer, /^Retry-After: [1-9]\d*\r$/m);
          }
        }
        await eventually(() => session.active === 1 && tunnel.agent.tunnel!.session.active === 1);
        assert.ok(most <= MAX_SOCKETS, `${most} sockets were open`);
        assert.equal(tunnel.edge.tunnels.get("shop")!.session, session);
        events[0]!.send("data: 2\n\n");
        await watcher.readUntil("data: 2\n\n");
        assert.match(await get(tunnel, "/ok"), /ok$/);
        watcher.socket.reset();
      });
    });
  });
}
