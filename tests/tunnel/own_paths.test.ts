/** Which requests are the edge's own, and which a tunnel's: by host and path, with a default tunnel and without one. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { dialWebSocket } from "../../src/websocket/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { SocketReader } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, startTestEdge, startTunnel, token, type Tunnel } from "../support/tunnel.ts";

/** Says which request it got. */
const showing = () =>
  ScriptedServer.start(async (peer) => {
    for (;;) {
      const [method, target] = (await peer.readHead()).split(" ");
      const body = method === "HEAD" ? "" : `${method} ${target}`;
      peer.send(`HTTP/1.1 200 OK\r\nX-Tunnel: shop\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
  });

const request = (host: string, target: string, method = "GET") =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** `tunnel`, or the status and the code of the edge's own answer. */
function whoAnswered(got: string): string {
  if (/^x-tunnel: shop\r$/im.test(got)) return "tunnel";
  const status = /^HTTP\/1\.1 (\d{3})/.exec(got)?.[1];
  const code = /^x-runnel-error: (\w+)\r$/im.exec(got)?.[1];
  return code === undefined ? `${status}` : `${status} ${code}`;
}

/** Of the edge on its own host, with a default tunnel and without one. */
const ownPaths: [target: string, answer: string][] = [
  ["/agent", "426 upgrade_required"],
  ["/agent?x=1", "426 upgrade_required"],
  ["/healthz", "200"],
  ["/healthz?x=1", "200"],
  ["/readyz", "200"],
  ["/api/agent/tunnels", "404 not_found"],
  ["/api/agent/", "404 not_found"],
  ["/.well-known/runnel/x", "404 not_found"],
];

/** Of the default tunnel, as they are. */
const tunnelPaths = [
  ...["/", "/?x=1", "/api", "/api/", "/api/users", "/api/agent", "/api/agents/1", "/apis/agent/"],
  ...["/agent/", "/agents", "/agent/x", "/Agent", "/%61gent", "//agent", "/./agent", "/x/../agent", "/agent;x"],
  ...["/healthz/", "/healthzz", "/HEALTHZ", "/readyz/x", "/.well-known/runnel", "/.well-known/security.txt"],
  ...["/.well-known/acme-challenge/x", "/?/agent", "/%2e%2e/api/agent/x"],
  ...["/admin", "/admin/../x", "/../admin", "/api/v1/nodes", "/api/v1/../../etc/passwd", "/metrics", "/api/events"],
];

for (const protocol of protocols) {
  describe(`the domain with a default tunnel on ${protocol}`, () => {
    let upstream: ScriptedServer;
    let tunnel: Tunnel;
    const ask = async (host: string, target: string, method?: string) =>
      whoAnswered(await exchange(tunnel, request(host, target, method)));
    before(async () => {
      upstream = await showing();
      tunnel = await startTunnel(upstream.target, { protocol, edge: { domain: "example.com", defaultTunnel: "shop" } });
    });
    after(async () => {
      await tunnel.close();
      await upstream.close();
    });

    it("says ok at /healthz, and nothing more", async () => {
      const [head, body] = (await exchange(tunnel, request("example.com", "/healthz"))).split("\r\n\r\n");
      assert.equal(body, "ok");
      assert.match(head!, /^content-type: text\/plain; charset=utf-8\r?$/im);
      assert.match(head!, /^content-length: 2\r?$/im);
      const names = head!.split("\r\n").slice(1).map((line) => line.split(":")[0]!.toLowerCase());
      assert.deepEqual(names.sort(), ["connection", "content-length", "content-type", "date"]);
    });

    it("keeps the edge's own paths", async () => {
      for (const host of ["example.com", "EXAMPLE.com.:8080", "127.0.0.1:8080", "[::1]", "localhost"]) {
        for (const [target, answer] of ownPaths) assert.equal(await ask(host, target), answer, `${host}${target}`);
      }
    });

    it("gives the tunnel every other path, as it came", async () => {
      for (const target of tunnelPaths) {
        const got = await exchange(tunnel, request("example.com", target));
        assert.equal(whoAnswered(got), "tunnel", target);
        assert.ok(got.endsWith(`\r\n\r\nGET ${target}`), got);
      }
      assert.equal(await ask("127.0.0.1", "/api/users"), "tunnel");
      assert.equal(await ask("example.com", "*", "OPTIONS"), "tunnel");
    });

    it("decides by the path alone when the method is another or the target is absolute", async () => {
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
        assert.equal(await ask("example.com", "/api/users", method), "tunnel", method);
        assert.notEqual(await ask("example.com", "/healthz", method), "tunnel", method);
        assert.equal(await ask("example.com", "/agent", method), "426 upgrade_required", method);
      }
      assert.equal(await ask("example.com", "http://example.com/api/users"), "tunnel");
      assert.equal(await ask("example.com", "http://example.com"), "tunnel");
      assert.equal(await ask("example.com", "http://example.com/healthz"), "200");
      assert.equal(await ask("example.com", "http://EXAMPLE.com:80/agent"), "426 upgrade_required");
    });

    it("answers a probe of a method that does not read with 405, whatever the method is", async () => {
      for (const method of ["POST", "DELETE", "FOO", "get", "x-y"]) {
        for (const path of ["/healthz", "/readyz?x=1"]) {
          const got = await exchange(tunnel, request("example.com", path, method));
          assert.equal(whoAnswered(got), "405 method_not_allowed", `${method} ${path}`);
          assert.match(got, /^Allow: GET, HEAD\r$/im);
        }
      }
      assert.equal(await ask("example.com", "/healthz", "HEAD"), "200");
    });

    it("serves each path by its own name, those of the edge, of the admin API, and with .. in them, too", async () => {
      for (const target of ["/agent", "/healthz", "/api/agent/tunnels", "/.well-known/runnel/x", ...tunnelPaths]) {
        const got = await exchange(tunnel, request("shop.example.com", target));
        assert.equal(whoAnswered(got), "tunnel", target);
        assert.ok(got.endsWith(`\r\n\r\nGET ${target}`), got);
      }
    });

    it("reaches neither edge nor tunnel when a name under the domain has no tunnel", async () => {
      for (const host of ["other.example.com", "OTHER.example.com.:80", "a.shop.example.com", ".example.com"]) {
        for (const [target] of [...ownPaths, ["/"]]) {
          assert.equal(await ask(host, target), "404 tunnel_not_found", `${host}${target}`);
        }
      }
    });

    it("reaches the paths of agents and probes, and nothing else, when the host is outside the domain", async () => {
      for (
        const host of ["edge:8080", "edge", "example.org", "shop.example.org", "shopexample.com", "example.com.evil"]
      ) {
        for (const [target, answer] of ownPaths) {
          const wanted = target.startsWith("/.well-known/") ? "404 tunnel_not_found" : answer;
          assert.equal(await ask(host, target), wanted, `${host}${target}`);
        }
        for (const target of tunnelPaths) {
          assert.equal(await ask(host, target), "404 tunnel_not_found", `${host}${target}`);
        }
      }
    });
  });

  describe(`an agent on ${protocol}`, () => {
    it("opens a tunnel by the name that compose.yaml gives the edge", async () => {
      const text = await readFile(new URL("../../compose.yaml", import.meta.url), "utf8");
      const { command } = parse(text, { merge: true }).services.agent;
      const { host } = new URL(command[command.indexOf("--edge") + 1]);
      const edge = await startTestEdge();
      const target = { kind: "tcp", host: "127.0.0.1", port: edge.address.port } as const;
      const options = {
        edge: { target, authority: host, label: `http://${host}` },
        token,
        name: "demo",
        version: "0.0.0",
        upstream: () => Promise.resolve({ status: 204, fields: [], body: null }),
      };
      const open = protocol === "json" ? openJsonTunnel : openV2Tunnel;
      const tunnel = await open(options, new AbortController().signal);
      assert.equal(tunnel.name, "demo");
      tunnel.session.close("over");
      await edge.close();
    });

    it("opens no session by the name of a tunnel, whether it is there or not", async () => {
      const upstream = await showing();
      const tunnel = await startTunnel(upstream.target, { protocol });
      for (const [authority, status] of [["shop.localhost", 200], ["other.localhost", 404]] as const) {
        const target = { kind: "tcp", host: "127.0.0.1", port: tunnel.port } as const;
        const fields = ["Authorization", `Bearer ${token}`];
        const protocols = protocol === "v2" ? ["runnel.v2"] : [];
        const refused = dialWebSocket({ target, authority, path: "/agent", fields, protocols });
        await assert.rejects(refused, (error: { status?: number }) => {
          // The JSON protocol carries no upgrades: its edge refuses without asking the agent.
          return error.status === (protocol === "json" && status === 200 ? 501 : status);
        });
      }
      await tunnel.close();
      await upstream.close();
    });
  });
}

describe("the domain without a default tunnel", () => {
  it("repeats no query in its 404", async () => {
    const edge = await startTestEdge({ domain: "example.com" });
    const port = edge.address.port;
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    for (const target of ["/nowhere?token=secret", "/?secret", "/.well-known/runnel/x?secret", "/api/agent/x?secret"]) {
      for (const host of ["example.com", "other.example.com", "example.org"]) {
        const got = await exchange({ connect }, request(host, target));
        assert.match(got, /^HTTP\/1\.1 404 /);
        assert.ok(!got.includes("secret"), got);
      }
    }
    await edge.close();
  });

  it("answers the edge's own paths, and its own 404 for others", async () => {
    const upstream = await showing();
    const tunnel = await startTunnel(upstream.target, { edge: { domain: "example.com" } });
    for (const [target, answer] of ownPaths) {
      assert.equal(whoAnswered(await exchange(tunnel, request("example.com", target))), answer, target);
    }
    for (const target of tunnelPaths) {
      assert.equal(whoAnswered(await exchange(tunnel, request("example.com", target))), "404 not_found", target);
    }
    await tunnel.close();
    await upstream.close();
  });
});
