/** Whole tunnels through an edge that ends TLS itself, beside plain listeners. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fieldValue } from "../../src/http/mod.ts";
import type { Handler } from "../../src/http/message.ts";
import { type ClientPolicy, dial, SocketError, startTls } from "../../src/net/mod.ts";
import { TestAuthority } from "../support/issued.ts";
import { bytesOf, eventually, latin1, patternBytes, SocketReader, startTcpServer } from "../support/net.ts";
import { assertProblem } from "../support/public_client.ts";
import { edgeCertificate, openTunnel, startTlsEdge, type TlsEdge, visitWith } from "../support/tls_edge.ts";
import { type Protocol, protocols, startTestEdge } from "../support/tunnel.ts";

/** Says which scheme the visitor used, and what was asked. */
const upstream: Handler = ({ target, fields }) => {
  const body = bytesOf(`${fieldValue(fields, "x-forwarded-proto")} ${target}`);
  return Promise.resolve({ status: 200, fields: ["Content-Length", String(body.length)], body });
};

/** Runs `act` with an edge and its tunnel `shop`, whose agent came over TLS. */
async function withTunnel(
  protocol: Protocol,
  act: (stage: TlsEdge, url: string) => Promise<void>,
  options: Parameters<typeof startTlsEdge>[0] = {},
  handler = upstream,
  tls: Parameters<typeof startTlsEdge>[1] = {},
): Promise<void> {
  const stage = await startTlsEdge(options, tls);
  try {
    const tunnel = await openTunnel(stage.ports.secure, protocol, handler);
    await act(stage, tunnel.url);
    tunnel.session.close("done");
    await tunnel.session.closed;
  } finally {
    await stage.close();
  }
}

const get = (target: string, more = "") => `GET ${target} HTTP/1.1\r\nHost: HOST\r\n${more}Connection: close\r\n\r\n`;
const bodyOf = (answer: string) => answer.slice(answer.indexOf("\r\n\r\n") + 4);
const fieldOf = (answer: string, name: string) => new RegExp(`^${name}: (.*)\r$`, "im").exec(answer)?.[1];

for (const protocol of protocols) {
  describe(`An edge with TLS of its own (${protocol})`, () => {
    it("serves visitors with TLS and without, and tells the service which it was", () =>
      withTunnel(protocol, async ({ ask, ports }, url) => {
        assert.equal(url, `https://shop.localhost:${ports.secure}`);
        assert.equal(bodyOf(await ask("secure", get("/a?b=%41"))), "https /a?b=%41");
        assert.equal(bodyOf(await ask("plain", get("/a"))), "http /a");
      }));

    it("carries large bodies both ways through TLS, byte by byte", () => {
      const sent = patternBytes(300_000);
      const echo: Handler = async (_head, body) => {
        const bytes = new Uint8Array(await new Response(body as BodyInit).arrayBuffer());
        return { status: 200, fields: ["Content-Length", String(bytes.length)], body: bytes };
      };
      return withTunnel(
        protocol,
        async ({ ask }) => {
          const head = `POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: ${sent.length}\r\nConnection: close\r\n\r\n`;
          const answer = bodyOf(await ask("secure", head + latin1(sent)));
          assert.equal(answer.length, sent.length);
          assert.ok(answer === latin1(sent), "the echo differs");
        },
        {},
        echo,
      );
    });

    it("sends visitors of the plain listener beside it to https, whatever they ask", () =>
      withTunnel(protocol, async ({ ask, ports: { secure } }) => {
        const location = (target: string) => `https://shop.localhost:${secure}${target}`;
        for (const target of ["/", "/a/../b?c=%41&d", "/agent", "//evil.test/x"]) {
          const answer = await ask("redirecting", get(target));
          assert.match(answer, /^HTTP\/1\.1 308 Permanent Redirect\r\n/);
          assert.equal(fieldOf(answer, "location"), location(target));
        }
        const posted = "POST /form HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        assert.equal(fieldOf(await ask("redirecting", posted), "location"), location("/form"));
        const options = "OPTIONS * HTTP/1.1\r\nHost: SHOP.localhost.:80\r\nConnection: close\r\n\r\n";
        assert.equal(fieldOf(await ask("redirecting", options), "location"), location("/"));
      }));

    it("serves challenges of ACME on the plain listener, which are the tunnel's", () =>
      withTunnel(protocol, async ({ ask }) => {
        const path = "/.well-known/acme-challenge/token";
        assert.equal(bodyOf(await ask("redirecting", get(path))), `http ${path}`);
        assert.match(await ask("redirecting", get("/.well-known/other")), /^HTTP\/1\.1 308 /);
      }));

    it("serves the hosts of isPlainHost on the plain listener", () =>
      withTunnel(
        protocol,
        async ({ ask }) => assert.equal(bodyOf(await ask("redirecting", get("/"))), "http /"),
        { isPlainHost: (host) => host === "shop.localhost" },
      ));

    it("takes agents on each of its listeners", async () => {
      const stage = await startTlsEdge();
      const { secure, redirecting, plain } = stage.ports;
      for (const [port, scheme] of [[secure, "https"], [redirecting, "http"], [plain, "http"]] as const) {
        const tunnel = await openTunnel(port, protocol, upstream, scheme);
        assert.equal(bodyOf(await stage.ask("secure", get("/"))), "https /");
        tunnel.session.close("done");
        await eventually(() => stage.edge.tunnels.get("shop")?.session == null);
      }
      await stage.close();
    });

    it("says for how long to ask by https when a service does not, and by https alone", () => {
      const strict: Handler = (head, body, signal) =>
        head.target === "/own"
          ? Promise.resolve({ status: 204, fields: ["strict-transport-security", "max-age=1"], body: null })
          : upstream(head, body, signal);
      return withTunnel(
        protocol,
        async ({ ask }) => {
          const value = async (kind: "secure" | "plain", target: string) =>
            fieldOf(await ask(kind, get(target)), "strict-transport-security");
          assert.equal(await value("secure", "/"), "max-age=60; includeSubDomains");
          assert.equal(await value("secure", "/own"), "max-age=1");
          assert.equal(await value("plain", "/"), undefined);
          const missing = await ask("secure", "GET / HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n");
          assertProblem(missing, 404, "tunnel_not_found");
          assert.equal(fieldOf(missing, "strict-transport-security"), "max-age=60; includeSubDomains");
          assert.equal(fieldOf(await ask("redirecting", get("/")), "strict-transport-security"), undefined);
        },
        { strictTransport: "max-age=60; includeSubDomains" },
        strict,
      );
    });

    it("asks visitors of tunnels for a certificate, and agents for none", async () => {
      const authority = await TestAuthority.create();
      const policy: ClientPolicy = { id: "visitors", ca: authority.pem };
      const clientPolicyOf = (name: string | null) => name?.endsWith(".localhost") ? policy : null;
      const client = await authority.issue({ names: ["visitor"], isForClient: true });
      const rogue = await (await TestAuthority.create()).issue({ names: ["visitor"], isForClient: true });
      await withTunnel(
        protocol,
        async ({ ports }) => {
          const visit = (name: string, host: string, shown?: { chain: string; key: string }) =>
            visitWith(ports.secure, name, host, shown);
          assert.deepEqual(await visit("shop.localhost", "shop.localhost", client), { status: 200, body: "https /" });
          for (const shown of [undefined, rogue]) {
            await assert.rejects(visit("shop.localhost", "shop.localhost", shown));
          }
          // The name of the handshake asked for none: a tunnel's host is not served on such a connection, nor another way.
          assert.equal((await visit("localhost", "shop.localhost")).status, 421);
          assert.equal((await visit("shop.localhost", "localhost", client)).status, 421);
          assert.equal((await visit("localhost", "localhost")).status, 404);
          assert.equal((await visit("shop.localhost", "SHOP.localhost.:443", client)).status, 200);
        },
        {},
        upstream,
        { clientPolicyOf },
      );
    });

    it("lets a handshake that runs end, and serves one request, when it drains", async () => {
      const stage = await startTlsEdge();
      const tunnel = await openTunnel(stage.ports.secure, protocol, upstream);
      const { connections } = stage.edge;
      const raw = await dial({ kind: "tcp", host: "127.0.0.1", port: stage.ports.secure });
      await eventually(() => stage.edge.connections === connections + 1);
      const drained = stage.edge.drain();
      const target = { kind: "tcp", host: "shop.localhost", port: 443, tls: { pins: [edgeCertificate.pin] } } as const;
      const reader = new SocketReader(await startTls(raw, target, { timeoutMs: 20_000 }));
      reader.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"));
      assert.match(await reader.readUntil("https /"), /^HTTP\/1\.1 200 /);
      await reader.ended;
      reader.socket.end();
      await drained;
      await tunnel.session.closed;
      await stage.close();
    });
  });
}

describe("The listeners of an edge", () => {
  it("are all or none", async () => {
    const taken = await startTcpServer();
    const free = await startTcpServer();
    await free.close();
    const first = { target: free.target };
    await assert.rejects(startTestEdge({ listen: [first, { target: taken.target }] }), (error) => {
      assert.ok(error instanceof SocketError);
      assert.equal(error.code, "address_in_use");
      return true;
    });
    const edge = await startTestEdge({ listen: [first] });
    assert.equal(edge.address.port, free.port);
    await edge.close();
    await taken.close();
  });

  it("must be one at least", async () => {
    await assert.rejects(startTestEdge({ listen: [] }), /An edge needs a listener/);
  });

  it("end their connections when the edge closes, those in a handshake among them", async () => {
    const stage = await startTlsEdge();
    const raw = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: stage.ports.secure }));
    const plain = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: stage.ports.plain }));
    await eventually(() => stage.edge.connections === 2);
    await stage.edge.close();
    await Promise.all([raw.closed, plain.closed]);
    await stage.edge.emptied;
    assert.equal(stage.edge.connections, 0);
  });

  it("go on when clients fail their handshakes", async () => {
    const errors: unknown[] = [];
    const stage = await startTlsEdge({ events: { onError: (error) => errors.push(error) } });
    for (const garbage of ["GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", "\x16\x03\x01", ""]) {
      const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: stage.ports.secure }));
      client.socket.write(bytesOf(garbage));
      client.socket.end();
      await client.closed;
    }
    await eventually(() => stage.edge.connections === 0);
    assert.match(
      await stage.ask("secure", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
      /^HTTP\/1\.1 200 /,
    );
    assert.deepEqual(errors, []);
    await stage.close();
  });

  it("answer probes on the plain listener beside TLS, and 404 for what nobody serves", async () => {
    const stage = await startTlsEdge();
    const ask = (host: string, path: string) =>
      stage.ask("redirecting", `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    assert.match(await ask("localhost", "/healthz"), /^HTTP\/1\.1 200 /);
    assert.match(await ask("10.0.0.1", "/readyz"), /^HTTP\/1\.1 200 /);
    assertProblem(await ask("nobody.localhost", "/"), 404, "tunnel_not_found");
    assertProblem(await ask("elsewhere.test", "/"), 404, "tunnel_not_found");
    assert.match(await ask("localhost", "/"), /^HTTP\/1\.1 308 /);
    await stage.close();
  });

  it("send visitors to the port that they are told", async () => {
    const target = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
    for (const [redirectPort, location] of [[443, "https://localhost/"], [8443, "https://localhost:8443/"]] as const) {
      const edge = await startTestEdge({ listen: [{ target, redirectPort }] });
      const reader = new SocketReader(await dial({ ...target, port: edge.address.port }));
      reader.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      assert.equal(fieldOf(await reader.readUntil("\r\n\r\n"), "location"), location);
      reader.socket.reset();
      await edge.close();
    }
  });
});
