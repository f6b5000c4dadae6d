/** What upstreams are told of the public host: `hostHeader` of the agent's client, which is `--host-header`. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { latin1, removeTemporaryFolders, temporaryPath } from "../support/net.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, startTunnel, type Tunnel } from "../support/tunnel.ts";
import { write } from "./stage.ts";

after(removeTemporaryFolders);

/** Answers each request with its own head, and redirects to `location`, `HOST` standing for the Host that it got. */
function mirror(location = "/"): Script {
  return async (peer) => {
    for (;;) {
      const head = await peer.readHead();
      const host = /^host: (.*)\r$/im.exec(head)?.[1] ?? "";
      peer.send(
        `HTTP/1.1 302 Found\r\nLocation: ${
          location.replace("HOST", host)
        }\r\nContent-Length: ${head.length}\r\n\r\n${head}`,
      );
    }
  };
}

/** The values of a field in a head, joined. */
function values(head: string, name: string): string {
  return [...head.matchAll(new RegExp(`^${name}: (.*)\\r$`, "gim"))].map((match) => match[1]).join(" | ");
}

for (const protocol of protocols) {
  describe(`the upstream of a tunnel on ${protocol}`, () => {
    /** The answer's head, and the request's head as the upstream got it. */
    async function visit(
      hostHeader: string | undefined,
      { location, fields = "", unixPath, https = false }: {
        location?: string;
        fields?: string;
        unixPath?: string;
        https?: boolean;
      } = {},
    ) {
      const upstream = await ScriptedServer.start(mirror(location), unixPath);
      const edge = https ? { publicUrl: new URL("https://localhost") } : {};
      const tunnel = await startTunnel(upstream.target, { protocol, edge, client: { hostHeader } });
      const request = `GET /a?b HTTP/1.1\r\nHost: shop.localhost:8080\r\n${fields}Connection: close\r\n\r\n`;
      const got = await exchange(tunnel, request);
      await tunnel.close();
      await upstream.close();
      const end = got.indexOf("\r\n\r\n") + 4;
      return { answer: got.slice(0, end), seen: got.slice(end), port: upstream.port };
    }

    const fields = "Origin: http://shop.localhost:8080\r\nReferer: http://shop.localhost:8080/x?y\r\n";

    it("gets the visitor's Host, Origin and Referer, and redirects as it likes, by default", async () => {
      for (const hostHeader of [undefined, "preserve"]) {
        const { answer, seen } = await visit(hostHeader, { fields, location: "http://HOST/login" });
        assert.equal(values(seen, "host"), "shop.localhost:8080");
        assert.equal(values(seen, "origin"), "http://shop.localhost:8080");
        assert.equal(values(seen, "referer"), "http://shop.localhost:8080/x?y");
        assert.equal(values(answer, "location"), "http://shop.localhost:8080/login");
      }
    });

    it("gets its own host and port, and its own origin in Origin and Referer, with rewrite", async () => {
      const { answer, seen, port } = await visit("rewrite", { fields, location: "http://HOST/login?x" });
      assert.equal(values(seen, "host"), `127.0.0.1:${port}`);
      assert.equal(values(seen, "origin"), `http://127.0.0.1:${port}`);
      assert.equal(values(seen, "referer"), `http://127.0.0.1:${port}/x?y`);
      assert.equal(values(answer, "location"), "http://shop.localhost:8080/login?x");
    });

    it("gets a Host that is given, and its origin in the same way", async () => {
      const { answer, seen } = await visit("app.local:99", { fields, location: "http://HOST/login" });
      assert.equal(values(seen, "host"), "app.local:99");
      assert.equal(values(seen, "origin"), "http://app.local:99");
      assert.equal(values(seen, "referer"), "http://app.local:99/x?y");
      assert.equal(values(answer, "location"), "http://shop.localhost:8080/login");
    });

    it("is still told the public host and scheme, in X-Forwarded-Host, X-Forwarded-Proto and Forwarded", async () => {
      for (const hostHeader of ["preserve", "rewrite", "app.local"]) {
        const forged = "X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n";
        const { seen } = await visit(hostHeader, { fields: forged, https: true });
        assert.equal(values(seen, "x-forwarded-host"), "shop.localhost:8080");
        assert.equal(values(seen, "x-forwarded-proto"), "https");
        assert.equal(values(seen, "forwarded"), 'for=127.0.0.1;host="shop.localhost:8080";proto=https');
      }
    });

    it("gets the origins of others as they are", async () => {
      for (const origin of ["null", "https://shop.localhost:8080", "http://shop.localhost", "http://evil.test"]) {
        const { seen } = await visit("rewrite", { fields: `Origin: ${origin}\r\nReferer: ${origin}/x\r\n` });
        assert.equal(values(seen, "origin"), origin);
        assert.equal(values(seen, "referer"), `${origin}/x`);
      }
    });

    it("gets its own origin for the public one of https, and redirects to that", async () => {
      const own = "Origin: https://shop.localhost:8080\r\n";
      for (const location of ["http://HOST/x", "https://HOST/x"]) {
        const { answer, seen, port } = await visit("rewrite", { https: true, fields: own, location });
        assert.equal(values(seen, "origin"), `http://127.0.0.1:${port}`);
        assert.equal(values(answer, "location"), "https://shop.localhost:8080/x");
      }
    });

    it("redirects by a path, or to others, as it likes with rewrite", async () => {
      for (const location of ["/login", "login", "//evil.test/", "https://evil.test/x", "http://HOST.evil.test/"]) {
        const { answer, seen } = await visit("rewrite", { location });
        assert.equal(values(answer, "location"), location.replace("HOST", values(seen, "host")));
      }
    });

    it("is localhost with rewrite when it is a unix socket", async () => {
      const unixPath = await temporaryPath("app.sock");
      const { answer, seen } = await visit("rewrite", { unixPath, fields, location: "http://HOST/x" });
      assert.equal(values(seen, "host"), "localhost");
      assert.equal(values(seen, "origin"), "http://localhost");
      assert.equal(values(answer, "location"), "http://shop.localhost:8080/x");
    });
  });
}

describe("a WebSocket through a tunnel with rewrite", () => {
  /** A development server that refuses WebSockets of other origins than its own, as they do. */
  const devServer: Script = async (peer) => {
    for (;;) {
      const head = await peer.readHead();
      if (values(head, "origin") === `http://${values(head, "host")}`) break;
      peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    }
    await peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    await peer.whenClosed();
  };
  const upgrade = (tunnel: Tunnel, origin: string) =>
    `GET /ws HTTP/1.1\r\nHost: ${tunnel.host}\r\nOrigin: ${origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

  it("is accepted by a server that checks Origin against Host, and refused when it comes from elsewhere", async () => {
    const upstream = await ScriptedServer.start(devServer);
    const tunnel = await startTunnel(upstream.target, { protocol: "v2", client: { hostHeader: "rewrite" } });
    const page = await tunnel.connect();
    write(page, upgrade(tunnel, `http://${tunnel.host}`));
    assert.match(await page.readUntil("\r\n\r\n"), /^HTTP\/1\.1 101 /);
    assert.equal(latin1(await page.read(5)), "hello");
    page.socket.reset();
    for (const origin of ["http://evil.test", "null"]) {
      const other = await tunnel.connect();
      write(other, upgrade(tunnel, origin));
      assert.match(await other.readUntil("\r\n\r\n"), /^HTTP\/1\.1 403 /, origin);
      other.socket.reset();
    }
    await tunnel.close();
    await upstream.close();
  });
});
