import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxyFor } from "../../src/agent/proxy.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { dialThrough } from "../../src/agent/proxy_dial.ts";
import type { Dial } from "../../src/http1/client/options.ts";
import { type DialTarget, SocketError } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { type ConnectProxy, type ConnectProxyOptions, startConnectProxy } from "../support/connect_proxy.ts";
import { bytesOf, eventually, latin1, SocketReader, startTcpServer } from "../support/net.ts";
import { startTlsServer, trusted } from "../support/tls.ts";

const edge: DialTarget = { kind: "tcp", host: "edge.test", port: 443 };

/** A dial through that proxy, with the credentials of `userinfo`. */
function through(proxy: ConnectProxy, scheme = "http", userinfo = "", clock?: FakeClock): Dial {
  const flag = `${scheme}://${userinfo}127.0.0.1:${proxy.port}`;
  const target = proxyFor(parseEdgeUrl("https://edge.test"), { flag, environment: () => undefined, tls: trusted });
  return dialThrough(target!, clock);
}

async function failure(dialing: Promise<unknown>): Promise<SocketError> {
  const error = await dialing.then(() => null, (error) => error);
  assert.ok(error instanceof SocketError, String(error));
  return error;
}

/** Runs `use` with a proxy, and closes the proxy. */
async function withProxy(options: ConnectProxyOptions, use: (proxy: ConnectProxy) => Promise<void>): Promise<void> {
  const proxy = await startConnectProxy(options);
  try {
    await use(proxy);
  } finally {
    await proxy.close();
  }
}

describe("dialThrough", () => {
  for (const scheme of ["http", "https"]) {
    it(`reaches a plain target by CONNECT through an ${scheme} proxy`, async () => {
      const server = await startTcpServer((socket) => {
        socket.write(bytesOf("hello"));
        socket.end();
      });
      const options = { isSecure: scheme === "https", routes: { "edge.test:80": server.port } };
      await withProxy(options, async (proxy) => {
        const socket = await through(proxy, scheme)({ ...edge, port: 80 }, {});
        const reader = new SocketReader(socket);
        assert.equal(latin1(await reader.readAll()), "hello");
        socket.end();
        assert.equal(await reader.closed, null);
        assert.deepEqual(proxy.heads, ["CONNECT edge.test:80 HTTP/1.1\r\nHost: edge.test:80\r\n\r\n"]);
      });
      await server.close();
    });

    it(`speaks TLS with the target inside the tunnel of an ${scheme} proxy`, async () => {
      const names: string[] = [];
      const server = await startTlsServer((socket) => {
        socket.write(bytesOf("hello"));
        socket.end();
      }, { onName: (name) => names.push(name) });
      const options = { isSecure: scheme === "https", routes: { "edge.test:443": server.port } };
      await withProxy(options, async (proxy) => {
        const reader = new SocketReader(await through(proxy, scheme)({ ...edge, tls: trusted }, {}));
        assert.equal(latin1(await reader.readAll()), "hello");
        assert.equal(await reader.closed, null);
        assert.deepEqual(names, ["edge.test"]);
        const error = await failure(through(proxy, scheme)({ ...edge, tls: {} }, {}));
        assert.equal(error.code, "tls_failed");
        assert.match(error.reason, /^Cannot connect to edge\.test:443: its certificate is signed by an unknown/);
      });
      await server.close();
    });
  }

  it("sends the credentials as Basic, to the proxy alone", async () => {
    const server = await startTcpServer((socket) => {
      socket.write(bytesOf("hello"));
      socket.end();
    });
    await withProxy({ routes: { "edge.test:443": server.port } }, async (proxy) => {
      const reader = new SocketReader(await through(proxy, "http", "user:p%40ss@")(edge, {}));
      assert.equal(latin1(await reader.readAll()), "hello");
      reader.socket.reset();
      assert.match(proxy.heads[0], /\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n/);
      assert.equal(new SocketReader(server.sockets[0]).receivedBytes, 0);
    });
    await server.close();
  });

  it("writes an IPv6 target in brackets", async () => {
    await withProxy({ answer: "HTTP/1.1 502 No\r\n\r\n" }, async (proxy) => {
      await failure(through(proxy)({ kind: "tcp", host: "fd00::1", port: 443 }, {}));
      assert.equal(proxy.heads[0].split("\r\n")[0], "CONNECT [fd00::1]:443 HTTP/1.1");
    });
  });

  it("waits for the final head when interim ones come before it", async () => {
    const answer = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    await withProxy({ answer }, async (proxy) => {
      const socket = await through(proxy)(edge, {});
      assert.equal(socket.closed, false);
      socket.reset();
    });
  });

  const refusals: [answer: string, reason: RegExp, retryable: boolean][] = [
    ["HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n", /: it wants a user and a password \(407\)$/, false],
    ["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", /: it answered CONNECT with 403$/, false],
    ["HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", /: it answered CONNECT with 302$/, false],
    ["HTTP/1.1 503 Busy\r\n\r\n", /: it answered CONNECT with 503$/, true],
    ["HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", /: it answered CONNECT with 101$/, false],
    ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17), /: it answered CONNECT with 103$/, false],
    ["HTTP/1.1 200 OK\r\n\r\nboo", /: it sent bytes of its own behind its answer$/, false],
    ["SSH-2.0-OpenSSH_9.6\r\n\r\n", /: its answer to CONNECT is no HTTP: /, false],
    [`HTTP/1.1 200 OK\r\nA: ${"b".repeat(70_000)}`, /: its answer to CONNECT is no HTTP: /, false],
  ];
  for (const [answer, reason, retryable] of refusals) {
    it(`rejects with proxy_failed when the proxy says ${JSON.stringify(answer.slice(0, 30))}`, async () => {
      await withProxy({ answer }, async (proxy) => {
        const error = await failure(through(proxy)({ ...edge, tls: trusted }, {}));
        assert.equal(error.code, "proxy_failed");
        assert.match(error.reason, /^The proxy http:\/\/127\.0\.0\.1:\d+ gave no tunnel to edge\.test:443: /);
        assert.match(error.reason, reason);
        assert.equal(error.retryable, retryable);
        assert.equal((await proxy.readers[0].closed)?.code, "connection_reset");
      });
    });
  }

  it("says so when the credentials are not the right ones, and does not show them", async () => {
    await withProxy({ answer: "HTTP/1.1 407 Auth\r\n\r\n" }, async (proxy) => {
      const error = await failure(through(proxy, "http", "user:secret@")(edge, {}));
      assert.match(error.reason, /: it wants another user or password \(407\)$/);
      assert.doesNotMatch(error.reason, /secret|user:/);
    });
  });

  it("rejects with proxy_failed when the proxy hangs up before its answer", async () => {
    const server = await startTcpServer((socket) => {
      const reader = new SocketReader(socket);
      void reader.readUntil("\r\n\r\n").then(() => socket.end());
    });
    const proxy = { ...server, heads: [], readers: [] };
    const error = await failure(through(proxy)(edge, {}));
    assert.equal(error.code, "proxy_failed");
    assert.match(error.reason, /: it ended the connection before its answer$/);
    await server.close();
  });

  it("names the proxy when it cannot be reached", async () => {
    const gone = await startConnectProxy();
    await gone.close();
    const error = await failure(through(gone)(edge, {}));
    assert.equal(error.code, "connection_refused");
    assert.match(error.reason, /^Cannot reach the proxy http:\/\/127\.0\.0\.1:\d+: .*connection refused$/);

    await withProxy({ isSecure: false, answer: "HTTP/1.1 400 Bad Request\r\n\r\n" }, async (proxy) => {
      const notTls = await failure(through(proxy, "https")(edge, { timeoutMs: 200 }));
      assert.match(notTls.reason, /^Cannot reach the proxy https:/);
    });
  });

  it("rejects with connect_timeout when the proxy does not answer in the time of the dial", async () => {
    const clock = new FakeClock();
    await withProxy({ answer: null }, async (proxy) => {
      const dialing = failure(through(proxy, "http", "", clock)(edge, { timeoutMs: 1_000 }));
      await eventually(() => proxy.heads.length === 1);
      clock.advance(1_000);
      const error = await dialing;
      assert.equal(error.code, "connect_timeout");
      assert.match(error.reason, /^Cannot connect to edge\.test:443 through the proxy .*: no answer within 1000 ms$/);
      assert.equal(clock.pending, 0);
      assert.equal((await proxy.readers[0].closed)?.code, "connection_reset");
    });
  });

  it("rejects with aborted when its signal aborts while the proxy thinks", async () => {
    await withProxy({ answer: null }, async (proxy) => {
      const abort = new AbortController();
      const dialing = failure(through(proxy)(edge, { signal: abort.signal }));
      await eventually(() => proxy.heads.length === 1);
      abort.abort();
      assert.equal((await dialing).code, "aborted");
      assert.equal((await proxy.readers[0].closed)?.code, "connection_reset");
    });
  });
});
