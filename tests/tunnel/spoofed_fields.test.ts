/** Fields by which a visitor says that it is somebody else: in heads, in trailers, and by way of Connection. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../support/net.ts";
import { getRequest, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { exchange, type Protocol, protocols, type Tunnel, withTunnelTo } from "../support/tunnel.ts";

/** What the upstream gets of one request: the head, and of chunks what is behind it. */
async function seenOf(protocol: Protocol, ask: (tunnel: Tunnel) => Promise<unknown>): Promise<string> {
  let seen = "";
  const upstream = await ScriptedServer.start(async (peer) => {
    seen = await peer.readHead();
    if (/^transfer-encoding: chunked\r$/im.test(seen)) seen += await peer.readUntil("\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
  });
  const edge = { clientAddressFields: ["X-Visitor"] };
  await withTunnelTo(upstream, { protocol, edge }, async (tunnel) => void await ask(tunnel));
  return seen;
}

/** The values of a field, whatever the case of its name. */
const valuesOf = (head: string, name: string) =>
  Array.from(head.matchAll(new RegExp(`^${name}: (.*)\r$`, "gim")), ([, value]) => value);

function assertOurs(seen: string): void {
  assert.doesNotMatch(seen, /6\.6\.6\.6|evil/);
  assert.deepEqual(valuesOf(seen, "X-Forwarded-For"), ["127.0.0.1"]);
  assert.deepEqual(valuesOf(seen, "X-Forwarded-Proto"), ["http"]);
  assert.deepEqual(valuesOf(seen, "X-Forwarded-Host"), ["shop.localhost"]);
  assert.deepEqual(valuesOf(seen, "Forwarded"), ["for=127.0.0.1;host=shop.localhost;proto=http"]);
}

const spoofed = [
  ...["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 6.6.6.6, 127.0.0.1", "X-FORWARDED-PROTO: https-evil"],
  ...["X-Forwarded-Host: evil.test", "X-Forwarded-Port: 6.6.6.6", "X-Forwarded-Prefix: /evil"],
  ...["Forwarded: for=6.6.6.6;proto=https", "X-Real-IP: 6.6.6.6"],
].map((line) => `${line}\r\n`).join("");

for (const protocol of protocols) {
  describe(`spoofed X-Forwarded-* on ${protocol}`, () => {
    it("are overwritten when a visitor sends them, however often and in whatever case", async () => {
      const seen = await seenOf(
        protocol,
        (tunnel) => exchange(tunnel, getRequest(tunnel, "/", `${spoofed}Connection: close\r\n`)),
      );
      assertOurs(seen);
    });

    it("do not make the edge's own ones fall away when Connection nominates those", async () => {
      const nominated = "X-Forwarded-For, X-Forwarded-Proto, x-forwarded-host, Forwarded, close";
      const seen = await seenOf(
        protocol,
        (tunnel) => exchange(tunnel, getRequest(tunnel, "/", `Connection: ${nominated}\r\n`)),
      );
      assertOurs(seen);
    });
  });
}

describe("spoofed X-Forwarded-* on v2", () => {
  it("are dropped when they come in trailers, which some servers join to the head", async () => {
    const trailers =
      "X-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-host: evil.test\r\nX-Forwarded-Proto: evil\r\n" +
      "Forwarded: for=6.6.6.6\r\nX-Request-ID: evil\r\nDO-Connecting-IP: 6.6.6.6\r\nX_Visitor: 6.6.6.6\r\n" +
      "X-Visitor: 6.6.6.6\r\n";
    const seen = await seenOf("v2", (tunnel) =>
      exchange(
        tunnel,
        `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n` +
          `2\r\nok\r\n0\r\n${trailers}\r\n`,
      ));
    assertOurs(seen);
    assert.match(seen, /\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });

  it("are overwritten in the handshake of an upgrade, too", async () => {
    const seen = await seenOf("v2", async (tunnel) => {
      const visitor = await send(
        tunnel,
        getRequest(tunnel, "/", `${spoofed}Connection: Upgrade, X-Forwarded-For\r\nUpgrade: chat\r\n`),
      );
      await eventually(() => visitor.receivedBytes > 0);
      visitor.socket.reset();
    });
    assertOurs(seen);
    assert.match(seen, /^Upgrade: chat\r$/m);
  });
});
