/**
 * An agent whose edge is in other hands: whatever that asks, the agent dials the target that it was started with, and asks
 * it for paths alone.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HttpClient } from "../../src/http1/client/client.ts";
import type { Dial } from "../../src/http1/mod.ts";
import { Flag } from "../../src/httpstream/wire/mod.ts";
import { dial, type DialTarget } from "../../src/net/mod.ts";
import { JsonAgentSession } from "../../src/session/wsproto/agent_session.ts";
import { withScriptedEdge } from "../session/v2/stage.ts";
import { uncheckedBlock } from "../support/header_block.ts";
import { FakeJsonLink } from "../support/json_link.ts";
import { get } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols, withTunnelTo } from "../support/tunnel.ts";

/** What the edge asks: method, target, Host, and whether the upstream is asked at all. */
const requests: readonly [what: string, method: string, target: string, authority: string, isAsked: boolean][] = [
  ["another Host", "GET", "/latest/meta-data", "169.254.169.254", true],
  ["another Host with a port", "GET", "/", "[::1]:22", true],
  ["a whole URL as its target", "GET", "http://169.254.169.254/latest", "shop.localhost", false],
  ["a URL of another scheme", "GET", "file:///etc/passwd", "shop.localhost", false],
  ["CONNECT to another host", "CONNECT", "169.254.169.254:80", "169.254.169.254:80", false],
  ["a host and a port as its target", "GET", "10.0.0.1:22", "10.0.0.1:22", false],
  ["a unix socket as its target", "GET", "unix:/run/docker.sock", "shop.localhost", false],
  ["no target", "GET", "", "shop.localhost", false],
];

/** An upstream that says yes, its client, and where that dialed. */
async function recorded() {
  const upstream = await ScriptedServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const dialed: DialTarget[] = [];
  const recording: Dial = (target, options, clock) => {
    dialed.push(target);
    return dial(target, options, clock);
  };
  return { upstream, dialed, client: new HttpClient({ target: upstream.target, dial: recording }) };
}

/** @param asked the number of requests that may come to the upstream */
async function assertAtHome({ upstream, dialed, client }: Awaited<ReturnType<typeof recorded>>, asked: number) {
  const heads = upstream.peers.flatMap(({ received }) => received.split("\r\n\r\n").slice(0, -1));
  assert.equal(heads.length, asked);
  for (const head of heads) assert.match(head, /^GET \/\S* HTTP\/1\.1\r\n/);
  for (const target of dialed) assert.deepEqual(target, upstream.target);
  client.close();
  await upstream.close();
}

describe("an agent that is asked for another target", () => {
  for (const [what, method, target, authority, isAsked] of requests) {
    it(`dials its own on v2 when the request has ${what}`, async () => {
      const stage = await recorded();
      const { edge, close } = await withScriptedEdge(stage.client.request);
      const fields = [":method", method, ":scheme", "http", ":authority", authority, ":path", target];
      const payload = uncheckedBlock([...fields, ":tunnel", "other"]);
      edge.sendRaw({ type: "HEADERS", flags: Flag.END_STREAM, streamId: 2, payload });
      await edge.until(() => edge.frames.some(({ type }) => type === "HEADERS" || type === "RST_STREAM"), "an answer");
      assert.ok(edge.frames.some(({ type }) => type === (isAsked ? "HEADERS" : "RST_STREAM")));
      await close();
      await assertAtHome(stage, isAsked ? 1 : 0);
    });

    it(`dials its own on json when the request has ${what}`, async () => {
      const stage = await recorded();
      const link = new FakeJsonLink("agent");
      const session = new JsonAgentSession(link, { upstream: stage.client.request, features: [] });
      link.receive({ type: "http_request", request_id: "1", method, path: target, headers: { Host: authority } });
      await link.next();
      session.close("over");
      await assertAtHome(stage, isAsked ? 1 : 0);
    });
  }

  for (const protocol of protocols) {
    it(`follows no redirect of its upstream on ${protocol}, which is the visitor's to follow`, async () => {
      const other = await ScriptedServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      const location = `http://127.0.0.1:${other.port}/`;
      const upstream = await ScriptedServer.answering(
        `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
      );
      await withTunnelTo(upstream, { protocol }, async (tunnel) => {
        const answer = await get(tunnel);
        assert.match(answer, /^HTTP\/1\.1 307 /);
        assert.ok(answer.includes(`Location: ${location}\r\n`), answer);
      });
      assert.equal(other.peers.length, 0);
      await other.close();
    });
  }
});
