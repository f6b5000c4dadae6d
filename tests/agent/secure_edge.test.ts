import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { EdgeUrlError, parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { AgentError } from "../../src/agent/errors.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { proxyFor } from "../../src/agent/proxy.ts";
import { dialThrough } from "../../src/agent/proxy_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { parseTarget, TargetError } from "../../src/agent/target.ts";
import type { Dial } from "../../src/http1/client/options.ts";
import type { Handler } from "../../src/http/message.ts";
import { dial } from "../../src/net/mod.ts";
import { never } from "../support/client_requests.ts";
import { startConnectProxy } from "../support/connect_proxy.ts";
import { bytesOf, SocketReader, startTcpServer } from "../support/net.ts";
import { pem, startTlsServer } from "../support/tls.ts";
import { startTlsTerminator } from "../support/tls_terminator.ts";
import { type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

const ca = pem("authority");
const upstream: Handler = () => Promise.resolve({ status: 200, fields: [], body: bytesOf("through TLS") });

function open(edgeUrl: string, protocol: Protocol, trust: { ca?: string; insecure?: boolean; dial?: Dial } = { ca }) {
  const edge = parseEdgeUrl(edgeUrl, trust.insecure, trust.ca);
  const options = { edge, token, name: "shop", upstream, dial: trust.dial };
  return protocol === "json" ? openJsonTunnel(options, never) : openV2Tunnel({ ...options, version: "0.0.0" }, never);
}

/** What a public client of that edge gets. */
async function ask(port: number, tunnel: OpenTunnel, domain = "localhost"): Promise<string> {
  const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
  reader.socket.write(bytesOf(`GET / HTTP/1.1\r\nHost: ${tunnel.name}.${domain}\r\nConnection: close\r\n\r\n`));
  return reader.readUntil("through TLS");
}

async function refusal(opening: Promise<unknown>): Promise<AgentError> {
  const error = await opening.then(() => null, (error) => error);
  assert.ok(error instanceof AgentError, String(error));
  return error;
}

describe("parseEdgeUrl", () => {
  const good: [text: string, host: string, port: number, authority: string][] = [
    ["https://edge.test", "edge.test", 443, "edge.test"],
    ["https://edge.test:443/", "edge.test", 443, "edge.test"],
    ["wss://edge.test:8443", "edge.test", 8443, "edge.test:8443"],
    ["https://[fd00::1]", "fd00::1", 443, "[fd00::1]"],
  ];
  for (const [text, host, port, authority] of good) {
    it(`dials ${host} at ${port} with TLS when the edge is ${text}`, () => {
      const expected = { authority, label: `https://${authority}` };
      assert.deepEqual(parseEdgeUrl(text), { target: { kind: "tcp", host, port, tls: {} }, ...expected });
      const trusting = parseEdgeUrl(text, false, ca);
      assert.deepEqual(trusting, { target: { kind: "tcp", host, port, tls: { ca } }, ...expected });
      const insecure = parseEdgeUrl(text, true, ca);
      assert.deepEqual(insecure, { target: { kind: "tcp", host, port, tls: { insecure: true } }, ...expected });
    });
  }

  it("throws when the CA is none", () => {
    assert.throws(() => parseEdgeUrl("https://edge.test", false, "nonsense"), (error) => {
      assert.ok(error instanceof EdgeUrlError);
      assert.equal(error.reason, "The edge's CA cannot be used: There is no certificate in PEM form");
      return true;
    });
  });
});

describe("parseTarget", () => {
  const good: [text: string, host: string, port: number, label: string][] = [
    ["https://app", "app", 443, "https://app:443"],
    ["https://app:8443/", "app", 8443, "https://app:8443"],
    ["https://[::1]", "::1", 443, "https://[::1]:443"],
  ];
  for (const [text, host, port, label] of good) {
    it(`dials ${host} at ${port} with TLS when the target is ${text}`, () => {
      assert.deepEqual(parseTarget(text), { dial: { kind: "tcp", host, port, tls: {} }, label });
      assert.deepEqual(parseTarget(text, { ca }), { dial: { kind: "tcp", host, port, tls: { ca } }, label });
    });
  }

  it("throws when the CA is none, or the URL has a path", () => {
    assert.throws(() => parseTarget("https://app", { ca: "nonsense" }), TargetError);
    assert.throws(() => parseTarget("https://app/path"), TargetError);
    assert.throws(() => parseTarget("https://user@app"), TargetError);
  });

  it("leaves a plain target without TLS whatever is trusted", () => {
    assert.deepEqual(parseTarget("http://app", { ca }).dial, { kind: "tcp", host: "app", port: 80 });
  });
});

for (const protocol of protocols) {
  describe(`An agent of an https edge (${protocol})`, () => {
    for (const scheme of ["https", "wss"]) {
      it(`serves through TLS when the edge is ${scheme}`, async () => {
        const edge = await startTestEdge();
        const terminator = await startTlsTerminator(edge.address.port);
        const tunnel = await open(`${scheme}://localhost:${terminator.port}`, protocol);
        assert.match(await ask(edge.address.port, tunnel), /^HTTP\/1\.1 200 /);
        tunnel.session.close("done");
        await tunnel.session.closed;
        await terminator.close();
        await edge.close();
      });
    }

    it("serves through a proxy when it is given one", async () => {
      const edge = await startTestEdge({ domain: "edge.test" });
      const terminator = await startTlsTerminator(edge.address.port);
      const proxy = await startConnectProxy({ routes: { "edge.test:443": terminator.port } });
      const flag = `http://127.0.0.1:${proxy.port}`;
      const target = proxyFor(parseEdgeUrl("https://edge.test"), { flag, environment: () => undefined });
      const tunnel = await open("https://edge.test", protocol, { ca, dial: dialThrough(target!) });
      assert.match(await ask(edge.address.port, tunnel, "edge.test"), /^HTTP\/1\.1 200 /);
      assert.ok(proxy.heads.every((head) => !head.includes(token)));
      tunnel.session.close("done");
      await tunnel.session.closed;
      await proxy.close();
      await terminator.close();
      await edge.close();
    });

    it("rejects and sends nothing when the certificate is not trusted, unless it is told to be insecure", async () => {
      const edge = await startTestEdge();
      const received: number[] = [];
      const untrusted = await startTlsServer((socket) => {
        const reader = new SocketReader(socket);
        void reader.closed.then(() => received.push(reader.receivedBytes));
      }, { certificate: "self_signed" });
      const error = await refusal(open(`https://127.0.0.1:${untrusted.port}`, protocol));
      assert.equal(error.code, "edge_unreachable");
      assert.match(error.reason, /: its certificate is self-signed$/);
      await untrusted.close();
      assert.ok(received.every((bytes) => bytes === 0));

      const terminator = await startTlsTerminator(edge.address.port, { certificate: "self_signed" });
      const tunnel = await open(`https://127.0.0.1:${terminator.port}`, protocol, { insecure: true });
      assert.match(await ask(edge.address.port, tunnel), /^HTTP\/1\.1 200 /);
      tunnel.session.close("done");
      await terminator.close();
      await edge.close();
    });

    it("follows no redirect with its token", async () => {
      const other = await startTcpServer();
      const redirecting = await startTlsServer((socket) => {
        const reader = new SocketReader(socket);
        const location = `http://127.0.0.1:${other.port}/agent`;
        void reader.readUntil("\r\n\r\n").then(() => {
          socket.write(bytesOf(`HTTP/1.1 307 Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`));
        });
      });
      const error = await refusal(open(`https://127.0.0.1:${redirecting.port}`, protocol));
      assert.equal(error.code, "edge_unreachable");
      assert.match(error.reason, /307/);
      assert.equal(other.sockets.length, 0);
      await redirecting.close();
      await other.close();
    });
  });
}
