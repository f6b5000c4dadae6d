import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../support/net.ts";
import { get } from "../support/public_client.ts";
import { protocols, startForcedAgent, startTestAgent } from "../support/tunnel.ts";
import { withTunnel, write } from "./stage.ts";

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

describe("draining, with a request under way", () => {
  it("an edge lets it end, takes no others, and then tells the agent", async () => {
    await withTunnel(async (peer) => {
      await peer.readUntil("go on");
      await peer.send(answer);
    }, async ({ ask, tunnel }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n");
      await eventually(() => tunnel.agent.tunnel!.session.active === 1);
      const { session } = tunnel.agent.tunnel!;
      const drained = tunnel.edge.drain();
      await assert.rejects(tunnel.connect(), { code: "connection_refused" });
      write(client, "go on");
      assert.match(await client.readUntil("done"), /^HTTP\/1\.1 200 OK\r\n/);
      await client.ended;
      client.socket.end();
      await drained;
      const end = await session.closed;
      assert.equal(end.code, "closed");
    });
  });

  it("an agent lets it end, takes no others, and then leaves", async () => {
    await withTunnel(async (peer) => {
      if ((await peer.readHead()).startsWith("POST")) await peer.readUntil("go on");
      await peer.send(answer);
    }, async ({ ask, tunnel }) => {
      const client = await ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n");
      await eventually(() => tunnel.agent.tunnel!.session.active === 1);
      const drained = tunnel.agent.drain();
      await eventually(async () => {
        const late = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
        const got = await late.readUntil("\r\n\r\n").catch(() => "");
        late.socket.reset();
        return /^HTTP\/1\.1 503 [^]*^X-Runnel-Error: tunnel_offline\r$/m.test(got) && /^Retry-After: /m.test(got);
      });
      write(client, "go on");
      assert.match(await client.readUntil("done"), /^HTTP\/1\.1 200 OK\r\n/);
      client.socket.reset();
      await drained;
      await eventually(() => tunnel.edge.tunnels.get("shop")?.session === null);
    });
  });
});

for (const protocol of protocols) {
  describe(`an agent that drains with a stream open (${protocol})`, () => {
    const openStream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
    const newcomer = () => Promise.resolve({ status: 200, fields: [], body: new TextEncoder().encode("newcomer") });
    const isOffline = (answer: string) =>
      /^HTTP\/1\.1 503 [^]*^X-Runnel-Error: tunnel_offline\r$/m.test(answer) && /^Retry-After: /m.test(answer);

    it("gives its name to a newcomer at once, and keeps its own stream until that ends", async () => {
      await withTunnel(async (peer) => {
        if ((await peer.readHead()).startsWith("GET /events ")) await peer.send(openStream);
        else await peer.send(answer);
        await peer.gone();
        peer.end();
      }, async ({ ask, tunnel, upstream }) => {
        const client = await ask("GET /events HTTP/1.1\r\nHost: HOST\r\n\r\n");
        await client.readUntil("data: 1");
        const old = tunnel.edge.tunnels.get("shop")!.session!;
        let hasDrained = false;
        const drained = tunnel.agent.drain().then(() => hasDrained = true);
        await eventually(async () => isOffline(await get(tunnel)));
        assert.equal(tunnel.edge.tunnels.online, 0);

        const agent = await startTestAgent(tunnel.edge, newcomer, "shop", protocol);
        assert.match(await get(tunnel), /newcomer/);
        assert.deepEqual([hasDrained, old.active], [false, 1]);
        await (await upstream.peer(0)).send("data: 2\n\n");
        await client.readUntil("data: 2");

        client.socket.reset();
        await drained;
        assert.equal((await old.closed).code, protocol === "v2" ? "closed" : "link_closed");
        assert.match(await get(tunnel), /newcomer/, "the old session's end does not free the name");
        agent.close();
      }, { protocol });
    });

    it("loses no request that was under way when it began to drain", async () => {
      await withTunnel(async (peer) => {
        for (;;) {
          await peer.readHead();
          await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
      }, async ({ tunnel }) => {
        const asked = Array.from({ length: 20 }, () => get(tunnel));
        const drained = tunnel.agent.drain();
        for (const answer of await Promise.all(asked)) {
          assert.ok(/^HTTP\/1\.1 200 [^]*ok$/.test(answer) || isOffline(answer), answer);
        }
        await drained;
      }, { protocol });
    });

    it("ends in order when the edge drains, too", async () => {
      await withTunnel(async (peer) => {
        await peer.readUntil("go on");
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
      }, async ({ ask, tunnel }) => {
        const client = await ask(
          "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nConnection: close\r\n\r\ngo on",
        );
        await eventually(() => tunnel.agent.tunnel?.session.active === 1 || client.receivedBytes > 0);
        const drained = [tunnel.agent.drain(), tunnel.edge.drain()];
        assert.match(await client.readUntil("done"), /^HTTP\/1\.1 200 OK\r\n/);
        client.socket.end();
        await Promise.all(drained);
      }, { protocol });
    });
  });

  describe(`two agents that force the same name (${protocol})`, () => {
    it("the one that is replaced ends, and does not come back", async () => {
      await withTunnel(() => {}, async ({ tunnel }) => {
        const answering = (text: string) => () =>
          Promise.resolve({ status: 200, fields: [], body: new TextEncoder().encode(text) });
        const stage = (text: string) => startForcedAgent(tunnel.edge, answering(text), protocol);
        const first = await stage("first");
        assert.match(await get({ ...tunnel, host: "forced.localhost" }), /first/);
        const second = await stage("second");
        const error = await first.run.then(() => null, (error) => error);
        assert.equal(error?.code, "replaced");
        assert.match(error.reason, /another agent took over by force/);
        assert.deepEqual(first.told, ["ready", `disconnected: ${error.reason}`]);
        assert.match(await get({ ...tunnel, host: "forced.localhost" }), /second/);
        assert.deepEqual(second.told, ["ready"]);
        second.agent.close();
        await second.run;
      });
    });
  });
}
