/** Reason phrases through a whole tunnel, where docs/http.md has no row for them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fetchHandler } from "../../src/http/mod.ts";
import { latin1 } from "../support/net.ts";
import { get } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, startTunnel, withTunnelTo } from "../support/tunnel.ts";
import { withTunnel } from "./stage.ts";

const lineOf = (answer: string) => answer.slice(0, answer.indexOf("\r\n"));

for (const protocol of protocols) {
  describe(`a reason phrase on ${protocol}`, () => {
    it("passes with an answer without a body, and with one that is streamed", async () => {
      const script = async (peer: { readHead(): Promise<string>; send(text: string): Promise<void> }) => {
        for (;;) {
          const line = await peer.readHead();
          if (line.startsWith("GET /none ")) await peer.send("HTTP/1.1 304 Same As Before\r\n\r\n");
          else await peer.send("HTTP/1.1 200 Here It Comes\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
        }
      };
      await withTunnelTo(await ScriptedServer.start(script), { protocol }, async (tunnel) => {
        assert.equal(lineOf(await get(tunnel, "/none")), "HTTP/1.1 304 Same As Before");
        assert.equal(lineOf(await get(tunnel, "/some")), "HTTP/1.1 200 Here It Comes");
      });
    });

    it("is that of a function's Response, and the standard one where it has none", async () => {
      const upstream = fetchHandler((request) => {
        const statusText = new URL(request.url).pathname === "/own" ? "Payload Too Large" : "";
        return new Response("ok", { status: 413, statusText });
      }, "http://localhost");
      const tunnel = await startTunnel(upstream, { protocol });
      const lines = [lineOf(await get(tunnel, "/own")), lineOf(await get(tunnel, "/"))];
      await tunnel.close();
      assert.deepEqual(lines, ["HTTP/1.1 413 Payload Too Large", "HTTP/1.1 413 Content Too Large"]);
    });
  });
}

describe("a reason phrase on v2", () => {
  it("passes with a 101", async () => {
    await withTunnel(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 101 Web Socket Protocol Handshake\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi");
    }, async ({ ask }) => {
      const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      assert.equal(lineOf(await client.readUntil("\r\n\r\n")), "HTTP/1.1 101 Web Socket Protocol Handshake");
      assert.equal(latin1(await client.read(2)), "hi");
      client.socket.reset();
    });
  });
});
