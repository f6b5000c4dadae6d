/** What a browser and a program get where the edge itself answers. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, SocketReader } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { get } from "../support/public_client.ts";
import { exchange, protocols, startTestEdge, startTunnel, type Tunnel } from "../support/tunnel.ts";
import { dial } from "../../src/net/mod.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { problemKinds } from "../../src/http/problems.ts";

const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";
const upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** The edge's own routes are answered through a `Response`, whose field names are in lower case. */
function assertFields(answer: string, wanted: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(wanted)) {
    assert.equal(new RegExp(`\r\n${name}: (.*)\r\n`, "i").exec(answer)?.[1], value, answer);
  }
}

function assertPage(answer: string, code: keyof typeof problemKinds): void {
  const { status, visitorAdvice } = problemKinds[code];
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer);
  assertFields(answer, {
    "Content-Type": "text/html; charset=utf-8",
    "X-Runnel-Error": code,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept",
  });
  assert.match(answer, /\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-[\w+/]+='\r\n/i);
  assert.ok(answer.includes(visitorAdvice) && answer.includes(`${status} ${code}`), answer);
  assert.doesNotMatch(bodyOf(answer), /shop|secret|127\.0\.0\.1/);
}

function assertJson(answer: string, code: keyof typeof problemKinds, varies: boolean): void {
  const { status } = problemKinds[code];
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer);
  const vary = varies ? "Accept" : undefined;
  assertFields(answer, { "Content-Type": "application/problem+json", "X-Runnel-Error": code, "Vary": vary });
  const problem = JSON.parse(bodyOf(answer));
  assert.deepEqual([problem.status, problem.code], [status, code]);
}

const bodyOf = (answer: string) => answer.slice(answer.indexOf("\r\n\r\n") + 4);

for (const protocol of protocols) {
  describe(`a tunnel's errors, by ${protocol}`, () => {
    it("are a page for a browser and JSON for a program, of the same status and code", async () => {
      const upstream = await ScriptedServer.start(() => {});
      const tunnel = await startTunnel(upstream.target, { protocol });
      await upstream.close();
      try {
        assertPage(await get(tunnel, "/secret", browser), "upstream_refused");
        assertJson(await get(tunnel, "/secret", "Accept: */*\r\n"), "upstream_refused", true);
        assertJson(await get(tunnel, "/secret"), "upstream_refused", true);
        await offline(tunnel);
        const page = await get(tunnel, "/secret", browser);
        assertPage(page, "tunnel_offline");
        assertFields(page, { "Retry-After": "5" });
        // On a tunnel's host these paths are the tunnel's.
        assertPage(await get(tunnel, "/agent", browser), "tunnel_offline");
        const posted = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\nContent-Length: 2\r\n`;
        assertPage(await exchange(tunnel, `${posted}${browser}\r\nhi`), "tunnel_offline");
      } finally {
        await tunnel.close();
      }
    });
  });
}

async function offline({ agent, edge }: Tunnel): Promise<void> {
  agent.close();
  await eventually(() => edge.tunnels.online === 0);
}

describe("the edge's errors", () => {
  let edge: Edge;
  let host: { host: string; connect: () => Promise<SocketReader> };
  before(async () => {
    edge = await startTestEdge({ domain: "example.com" });
    const { port } = edge.address;
    host = {
      host: "example.com",
      connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
    };
  });
  after(() => edge.close());

  it("are pages on the domain and on names without a tunnel", async () => {
    assertPage(await get(host, "/nowhere/secret", browser), "not_found");
    assertPage(await get(host, "/.well-known/runnel/secret", browser), "not_found");
    assertPage(await get({ ...host, host: "shop.example.com" }, "/", browser), "tunnel_not_found");
    assertPage(await get({ ...host, host: "shop.example.com" }, "/agent", browser), "tunnel_not_found");
    assertJson(await get(host, "/.well-known/runnel/x", "Accept: application/json, text/html\r\n"), "not_found", true);
  });

  it("have the same head in answers to HEAD and to GET, a page's and that of problem details", async () => {
    // The time may be another one.
    const headOf = (answer: string) => answer.slice(0, answer.indexOf("\r\n\r\n")).replace(/\r\nDate: .*/i, "");
    const paths = ["/x", "/agent", "/api/agent/nothing", "/.well-known/runnel/x"];
    for (const [name, path] of [...paths.map((path) => ["example.com", path]), ["shop.example.com", "/"]] as const) {
      for (const accept of [browser, "Accept: application/json\r\n", ""]) {
        const rest = `${path} HTTP/1.1\r\nHost: ${name}\r\n${accept}Connection: close\r\n\r\n`;
        const [get, head] = [await exchange(host, `GET ${rest}`), await exchange(host, `HEAD ${rest}`)];
        assert.equal(headOf(head), headOf(get));
        assert.deepEqual([bodyOf(head), bodyOf(get) !== ""], ["", true]);
      }
    }
  });

  it("are problem details where agents connect, in answers to handshakes, and where the head could not be read", async () => {
    const asked = `Host: example.com\r\n${browser}`;
    assertJson(await get(host, "/agent", browser), "upgrade_required", false);
    assertJson(await get(host, "/api/agent/nothing", browser), "not_found", false);
    assertJson(
      await exchange(
        host,
        `POST /api/agent/tunnels HTTP/1.1\r\n${asked}Connection: close\r\nContent-Length: 0\r\n\r\n`,
      ),
      "session_required",
      false,
    );
    assertJson(await exchange(host, `GET /x HTTP/1.1\r\n${asked}${upgrade}\r\n`), "not_found", false);
    assertJson(await exchange(host, `GET / HTTP/1.1\r\n${browser}\r\n`), "bad_request", false);
    const long = `GET / HTTP/1.1\r\n${asked}Cookie: ${"x".repeat(70_000)}\r\n\r\n`;
    assertJson(await exchange(host, long), "head_too_large", false);
  });
});
