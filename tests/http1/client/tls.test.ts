import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HttpClient } from "../../../src/http1/client/client.ts";
import { dial, type Socket, type TlsOptions } from "../../../src/net/mod.ts";
import { bodyText, never, rejectsWith, requestHead } from "../../support/client_requests.ts";
import { NO_CONTENT } from "../../support/client_stage.ts";
import { bytesOf, eventually, SocketReader, startTcpServer } from "../../support/net.ts";
import { startTlsServer, type TlsServer, type TlsServerOptions, trusted } from "../../support/tls.ts";

interface SecureUpstream {
  readonly server: TlsServer;
  readonly readers: readonly SocketReader[];
  /** The heads that came. */
  readonly heads: readonly string[];
}

/** Answers each request on each connection with `answer`; `act` has the connection afterwards. */
async function startUpstream(
  answer: string,
  options: TlsServerOptions = {},
  act: (reader: SocketReader, raw: Socket) => void = () => {},
): Promise<SecureUpstream> {
  const readers: SocketReader[] = [];
  const heads: string[] = [];
  const server = await startTlsServer(async (socket, raw) => {
    const reader = new SocketReader(socket);
    readers.push(reader);
    while (!reader.sawClose) {
      const head = await reader.readUntil("\r\n\r\n").catch(() => null);
      if (head === null) return;
      heads.push(head);
      socket.write(bytesOf(answer));
      act(reader, raw);
    }
  }, options);
  return { server, readers, heads };
}

function clientOf({ server }: SecureUpstream, tls: TlsOptions, options: { hostHeader?: string } = {}): HttpClient {
  return new HttpClient({ target: { ...server.target, tls }, ...options });
}

describe("HttpClient with an https upstream", () => {
  it("asks it and keeps the connection when the certificate is trusted", async () => {
    const upstream = await startUpstream("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    const client = clientOf(upstream, trusted);
    for (let round = 0; round < 3; round++) {
      const answer = await client.request(requestHead(), null, never);
      assert.equal(await bodyText(answer.body), "hello");
    }
    assert.equal(upstream.readers.length, 1);
    assert.match(upstream.heads[0], /\r\nHost: a\.test\r\n/);
    client.close();
    await upstream.server.close();
  });

  it("fails with upstream_refused and the reason when the certificate is not trusted", async () => {
    const upstream = await startUpstream(NO_CONTENT, { certificate: "self_signed" });
    const client = clientOf(upstream, {});
    const error = await rejectsWith(client.request(requestHead(), null, never), "upstream_refused");
    assert.equal(error.status, 502);
    assert.equal(
      error.reason,
      `Cannot connect to 127.0.0.1:${upstream.server.port}: its certificate is self-signed`,
    );
    assert.equal(upstream.heads.length, 0);
    assert.equal(client.active, 0);
    client.close();
    await upstream.server.close();
  });

  it("asks it all the same when it is told to be insecure", async () => {
    const upstream = await startUpstream(NO_CONTENT, { certificate: "self_signed" });
    const client = clientOf(upstream, { insecure: true });
    assert.equal((await client.request(requestHead(), null, never)).status, 204);
    client.close();
    await upstream.server.close();
  });

  it("asks TLS for the target, and the upstream for the public host, unless Host is rewritten", async () => {
    const names: string[] = [];
    const upstream = await startUpstream(NO_CONTENT, { onName: (name) => names.push(name) });
    for (const hostHeader of ["preserve", "rewrite", "inner.test"]) {
      const target = { ...upstream.server.target, host: "localhost", tls: trusted };
      const client = new HttpClient({ target, hostHeader });
      await client.request(requestHead({ authority: "public.test" }), null, never);
      client.close();
    }
    const hosts = upstream.heads.map((head) => /\r\nHost: (.*)\r\n/.exec(head)?.[1]);
    assert.deepEqual(hosts, ["public.test", `localhost:${upstream.server.port}`, "inner.test"]);
    assert.deepEqual(names, ["localhost", "localhost", "localhost"]);
    await upstream.server.close();
  });

  it("leaves the default port of the scheme out of a rewritten Host", async () => {
    const upstream = await startUpstream(NO_CONTENT);
    const cases: [port: number, tls: TlsOptions | undefined, host: string][] = [
      [443, trusted, "app.test"],
      [80, trusted, "app.test:80"],
      [80, undefined, "app.test"],
      [443, undefined, "app.test:443"],
    ];
    for (const [port, tls, host] of cases) {
      const client = new HttpClient({
        target: { kind: "tcp", host: "app.test", port, ...(tls === undefined ? {} : { tls }) },
        hostHeader: "rewrite",
        // The bytes matter here, not where they go: nobody answers at app.test.
        dial: (_target, options) => dial({ ...upstream.server.target, tls: trusted }, options),
      });
      await client.request(requestHead(), null, never);
      assert.match(upstream.heads.at(-1)!, new RegExp(`\\r\\nHost: ${host}\\r\\n`));
      client.close();
    }
    await upstream.server.close();
  });

  it("ends a body that goes until the close when close_notify came, and fails one that was cut short", async () => {
    const head = "HTTP/1.1 200 OK\r\n\r\nall of it";
    const whole = await startUpstream(head, {}, (reader) => reader.socket.end());
    const client = clientOf(whole, trusted);
    const answer = await client.request(requestHead(), null, never);
    assert.equal(await bodyText(answer.body), "all of it");
    client.close();
    await whole.server.close();

    const cut = await startUpstream(head, {}, (reader, raw) => {
      void eventually(() => reader.socket.bufferedBytes === 0).then(() => raw.end());
    });
    const second = clientOf(cut, trusted);
    const broken = await second.request(requestHead(), null, never);
    await rejectsWith(bodyText(broken.body), "upstream_reset");
    second.close();
    await cut.server.close();
  });

  it("dials anew when the upstream broke the idle connection", async () => {
    const upstream = await startUpstream(NO_CONTENT);
    const client = clientOf(upstream, trusted);
    await client.request(requestHead(), null, never);
    assert.equal(client.idle, 1);
    upstream.readers[0].socket.reset();
    await eventually(() => client.idle === 0);
    assert.equal((await client.request(requestHead(), null, never)).status, 204);
    assert.equal(upstream.readers.length, 2);
    client.close();
    await upstream.server.close();
  });

  it("fails with upstream_timeout when the handshake takes too long", async () => {
    const silent = await startTcpServer((socket) => new SocketReader(socket));
    const client = new HttpClient({ target: { ...silent.target, tls: trusted }, connectTimeoutMs: 50 });
    await rejectsWith(client.request(requestHead(), null, never), "upstream_timeout");
    client.close();
    await silent.close();
  });
});
