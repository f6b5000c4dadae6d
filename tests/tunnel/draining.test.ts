import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../support/net.ts";
import { withTunnel, write } from "./stage.ts";

describe("draining, with a request under way", () => {
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

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
