/** Fields that end at a hop, or that only requests have, in what upstreams, functions and JSON agents answer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fetchHandler } from "../../src/http/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { latin1, SocketReader } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, startTestAgent, startTestEdge, startTunnel } from "../support/tunnel.ts";
import { withTunnel } from "./stage.ts";

const connectTo = async (port: number) => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
const request = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const hopFields = "Host: x\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: trailers\r\n";
const hopField = /^(host|keep-alive|proxy-connection|te|x-hop|upgrade):/im;

for (const protocol of protocols) {
  describe(`answers on ${protocol}`, () => {
    it("come without Host and hop-by-hop fields when an upstream sends them, as php -S does", async () => {
      const upstream = await ScriptedServer.start(async (peer) => {
        await peer.readHead();
        peer.send(
          `HTTP/1.1 200 OK\r\n${hopFields}Connection: X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok`,
        );
      });
      const tunnel = await startTunnel(upstream.target, { protocol });
      const got = await exchange(tunnel, request(tunnel.host));
      await tunnel.close();
      await upstream.close();
      assert.match(got, /^HTTP\/1\.1 200 OK\r\n[^]*X-End: 2\r\n[^]*\r\n\r\nok$/i);
      assert.doesNotMatch(got, hopField);
    });

    it("come without them when a function sets them", async () => {
      const answer = () =>
        new Response("ok", {
          headers: {
            ...{ host: "x", connection: "keep-alive, x-hop", "transfer-encoding": "chunked", upgrade: "h2c" },
            ...{ "keep-alive": "timeout=5", "x-hop": "1", "x-end": "2" },
          },
        });
      const edge = await startTestEdge();
      const agent = await startTestAgent(edge, fetchHandler(answer, "http://localhost"), "shop", protocol);
      const host = "shop.localhost";
      const got = await exchange({ connect: () => connectTo(edge.address.port) }, request(host));
      agent.close();
      await edge.close();
      assert.match(got, /^HTTP\/1\.1 200 OK\r\n[^]*x-end: 2\r\n/i);
      assert.match(got, /\r\n\r\n(2\r\nok\r\n0\r\n\r\n|ok)$/);
      assert.doesNotMatch(got, hopField);
    });
  });
}

describe("answers on v2", () => {
  it("come without Host in interim heads and trailers", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 103 Early Hints\r\nHost: x\r\nLink: </a>\r\n\r\n");
      peer.send(
        "HTTP/1.1 200 OK\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHost: x\r\nX-End: 2\r\n\r\n",
      );
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
      const interim = await client.readUntil("\r\n\r\n");
      assert.match(interim, /^HTTP\/1\.1 103 .*\r\nLink: <\/a>\r\n/);
      assert.doesNotMatch(interim, hopField);
      const final = await client.readUntil("\r\n\r\n");
      assert.match(final, /^HTTP\/1\.1 200 OK\r\n/);
      assert.doesNotMatch(final, hopField);
      assert.equal(
        await client.readUntil("0\r\nX-End: 2\r\n\r\n"),
        "2\r\nok\r\n0\r\nX-End: 2\r\n\r\n",
      );
      client.socket.reset();
    });
  });

  it("come without trailers that Connection nominates, in the head or among them", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.send(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n" +
          "2\r\nok\r\n0\r\nX-Hop: 1\r\nConnection: X-Hop2\r\nX-Hop2: 1\r\nX-End: 2\r\n\r\n",
      );
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
      assert.match(await client.readUntil("\r\n0\r\n"), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n2\r\nok\r\n0\r\n$/);
      assert.equal(await client.readUntil("\r\n\r\n"), "X-End: 2\r\n\r\n");
      client.socket.reset();
    });
  });

  it("come without Host when they switch protocols", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-End: 2\r\n\r\nhi",
      );
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      const final = await client.readUntil("\r\n\r\n");
      assert.match(final, /^HTTP\/1\.1 101 [^]*X-End: 2\r\n/);
      assert.doesNotMatch(final, /^host:/im);
      assert.equal(latin1(await client.read(2)), "hi");
      client.socket.reset();
    });
  });
});
