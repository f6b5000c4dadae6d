import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Handler } from "../../src/http/message.ts";
import { bytesOf } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, startTunnel, type Tunnel } from "../support/tunnel.ts";

/** The upstream gets the bytes that the client sent, and the client those that the upstream sent. */
for (const protocol of protocols) {
  describe(`a tunnel on ${protocol}`, () => {
    let upstream: ScriptedServer;
    let tunnel: Tunnel;
    /** The last head that the upstream got, and what it answers. */
    let seen = "";
    let answer = "";

    before(async () => {
      upstream = await ScriptedServer.start(async (peer) => {
        for (;;) {
          seen = await peer.readHead();
          const length = /^content-length: (\d+)\r$/im.exec(seen)?.[1];
          if (length !== undefined) seen += await peer.read(Number(length));
          peer.send(answer);
        }
      });
      tunnel = await startTunnel(upstream.target, { protocol });
    });
    after(async () => {
      await tunnel.close();
      await upstream.close();
    });

    const get = (target: string, more = "") =>
      exchange(tunnel, `GET ${target} HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n${more}\r\n`);
    const whole = (fields: string, body: string) =>
      `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

    for (const target of ["/a/../b", "//x", "/a%2Fb?x=%41", "/\xc3\xa9?q=\xff", "/x?", "/?a=b?c", "/x\\y", "*"]) {
      it(`passes the target ${JSON.stringify(target)} as it is`, async () => {
        answer = whole("", "ok");
        const method = target === "*" ? "OPTIONS" : "GET";
        await exchange(tunnel, `${method} ${target} HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
        assert.equal(seen.split("\r\n")[0], `${method} ${target} HTTP/1.1`);
      });
    }

    it("passes header values in Latin-1 both ways", async () => {
      answer = whole("X-Out: caf\xe9\r\n", "ok");
      const got = await get("/", "X-In: \xe9t\xe9\r\n");
      assert.match(seen, /^X-In: \xe9t\xe9\r$/m);
      assert.match(got, /^X-Out: caf\xe9\r$/m);
    });

    it("keeps several Set-Cookie fields apart", async () => {
      answer = whole("Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT\r\nSet-Cookie: b=2\r\n", "ok");
      const cookies = (await get("/")).match(/^set-cookie: .*(?=\r$)/gim);
      assert.deepEqual(cookies, ["Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Set-Cookie: b=2"]);
    });

    it("keeps several challenges apart", async () => {
      answer = whole('WWW-Authenticate: Basic realm="a, b"\r\nWWW-Authenticate: Negotiate\r\n', "no");
      const challenges = (await get("/")).match(/^www-authenticate: .*(?=\r$)/gim);
      assert.deepEqual(challenges, ['WWW-Authenticate: Basic realm="a, b"', "WWW-Authenticate: Negotiate"]);
    });

    it("leaves an encoded body and its Content-Encoding untouched", async () => {
      const body = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
      answer = whole("Content-Encoding: gzip\r\n", body);
      const got = await get("/", "Accept-Encoding: gzip\r\n");
      assert.match(got, /^Content-Encoding: gzip\r$/m);
      assert.equal(got.slice(got.indexOf("\r\n\r\n") + 4), body);
    });

    it("passes a binary request body", async () => {
      const body = Array.from({ length: 1024 }, (_, index) => String.fromCharCode(index & 255)).join("");
      answer = whole("", "ok");
      await exchange(
        tunnel,
        `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\nContent-Length: 1024\r\n\r\n${body}`,
      );
      assert.equal(seen.slice(seen.indexOf("\r\n\r\n") + 4), body);
    });

    it("passes a request body of 10 MiB", async () => {
      const lengthOf: Handler = async (_, body) => {
        const length = String(body === null ? 0 : (await new Response(body as BodyInit).arrayBuffer()).byteLength);
        return { status: 200, fields: ["Content-Length", String(length.length)], body: bytesOf(length) };
      };
      const bodyBytes = 10 * 1024 * 1024;
      const other = await startTunnel(lengthOf, { protocol });
      const client = await other.connect();
      const head =
        `POST / HTTP/1.1\r\nHost: ${other.host}\r\nConnection: close\r\nContent-Length: ${bodyBytes}\r\n\r\n`;
      client.socket.write(bytesOf(head));
      client.socket.write(new Uint8Array(bodyBytes));
      assert.match(await client.readUntil(String(bodyBytes)), /^HTTP\/1\.1 200 /);
      client.socket.reset();
      await other.close();
    });

    it("answers HEAD with the upstream's Content-Length and no body", async () => {
      answer = "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n";
      const got = await exchange(tunnel, `HEAD / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
      assert.match(got, /^Content-Length: 12345\r$/m);
      assert.ok(got.endsWith("\r\n\r\n"));
    });

    for (const status of ["204 No Content", "304 Not Modified"]) {
      it(`answers ${status} without a body`, async () => {
        answer = `HTTP/1.1 ${status}\r\nETag: "x"\r\n\r\n`;
        const got = await get("/");
        assert.ok(got.startsWith(`HTTP/1.1 ${status}\r\n`), got);
        assert.ok(got.endsWith("\r\n\r\n"));
        assert.doesNotMatch(got, /content-length|transfer-encoding/i);
      });
    }

    it("passes an empty body as an empty body", async () => {
      answer = whole("", "");
      assert.match(await get("/"), /^Content-Length: 0\r$/m);
    });

    it("answers an HTTP/1.0 client without chunks and closes", async () => {
      answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
      const got = await exchange(tunnel, `GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\n\r\n`);
      assert.ok(got.endsWith("\r\n\r\nabc"), got);
      assert.doesNotMatch(got, /chunked/i);
    });

    it("serves several requests on one connection", async () => {
      answer = whole("", "again");
      const client = await tunnel.connect();
      for (let round = 0; round < 3; round++) {
        client.socket.write(new TextEncoder().encode(`GET /${round} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`));
        assert.match(await client.readUntil("again"), /^HTTP\/1\.1 200 OK\r\n/);
      }
      client.socket.end();
    });

    it("overwrites forwarding fields that a client made up", async () => {
      answer = whole("", "ok");
      await get(
        "/",
        "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\n",
      );
      assert.doesNotMatch(seen, /6\.6\.6\.6|evil/);
      assert.match(seen, /^X-Forwarded-For: 127\.0\.0\.1\r$/m);
      assert.match(seen, /^X-Forwarded-Host: shop\.localhost\r$/m);
      assert.match(seen, /^Forwarded: for=127\.0\.0\.1;host=shop\.localhost;proto=http\r$/m);
    });

    it("strips an upstream's own X-Runnel-Error, and hop-by-hop fields both ways", async () => {
      answer = whole("X-Runnel-Error: fake\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n", "ok");
      const got = await get("/", "Keep-Alive: 3\r\n");
      assert.doesNotMatch(got, /x-runnel-error|x-hop|keep-alive/i);
      assert.doesNotMatch(seen, /keep-alive/i);
    });

    it("asks proxies in front not to hold events", async () => {
      answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
      const got = await get("/");
      assert.match(got, /^X-Accel-Buffering: no\r$/m);
      assert.match(got, /^Cache-Control: no-transform\r$/m);
    });

    it("passes a status and a body of the upstream's own failure", async () => {
      answer = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nabsent";
      const got = await get("/");
      assert.ok(got.startsWith("HTTP/1.1 404 Not Found\r\n"));
      assert.ok(got.endsWith("\r\n\r\nabsent"));
      assert.doesNotMatch(got, /x-runnel-error/i);
    });
  });
}
