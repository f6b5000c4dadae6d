/** `GET /metrics` of a running edge, as a scraper asks. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { bytesOf } from "../support/net.ts";
import { get } from "../support/public_client.ts";
import { connectTo, type EdgeProcess, isReady, killAll, spawnAgent, spawnEdge } from "../support/processes.ts";
import { withScratch } from "../support/scratch.ts";
import { ScriptedServer } from "../support/scripted_server.ts";

interface Stage {
  readonly edge: EdgeProcess;
  readonly admin: string;
  readonly token: string;
  ask(path: string, init?: RequestInit & { token?: string | null }): Promise<Response>;
}

function onStage(use: (stage: Stage) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    const edge = await spawnEdge(0, "--admin-listen", "127.0.0.1:0", "--data", folder);
    const admin = `http://${edge.ready.admin}`;
    const adminToken = (await readFile(join(folder, "admin-token"), "utf8")).trim();
    const ask: Stage["ask"] = (path, { token = adminToken, headers, ...init } = {}) => {
      const fields = new Headers(headers);
      if (token !== null) fields.set("authorization", `Bearer ${token}`);
      if (init.body !== undefined) fields.set("content-type", "application/json");
      return fetch(`${admin}${path}`, { ...init, headers: fields });
    };
    try {
      await use({ edge, admin, token: adminToken, ask });
    } finally {
      await killAll();
    }
  });
}

describe("GET /metrics", () => {
  after(killAll);

  it("has the requests of a tunnel, and tunnels that are declared", () =>
    onStage(async ({ edge, ask }) => {
      const upstream = await ScriptedServer.start(async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
      const agent = spawnAgent(edge.port, upstream.port);
      await agent.next(isReady);
      assert.match(await get({ host: "shop.localhost", connect: () => connectTo(edge.port) }), /ok$/);
      const post = (path: string, body: object) => ask(path, { method: "POST", body: JSON.stringify(body) });
      assert.equal((await post("/api/v1/nodes", { name: "web-1" })).status, 201);
      const declared = { name: "declared", nodes: ["web-1"], upstream: "http://127.0.0.1:3000" };
      assert.equal((await post("/api/v1/tunnels", declared)).status, 201);
      const answer = await ask("/metrics");
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
      const text = await answer.text();
      assert.match(text, /^runnel_requests_total\{status="2xx",tunnel="shop"\} 1$/m);
      assert.match(text, /^runnel_response_bytes_total\{tunnel="shop"\} 2$/m);
      assert.match(text, /^runnel_tunnel_up\{tunnel="shop"\} 1$/m);
      assert.match(text, /^runnel_tunnel_up\{tunnel="declared"\} 0$/m);
      assert.match(text, /^runnel_tunnels\{state="online"\} 1$/m);
      await upstream.close();
    }));

  it("takes the admin's token alone, and no other method", () =>
    onStage(async ({ edge, ask, token }) => {
      const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code: string }).code];
      assert.deepEqual(await codeOf(await ask("/metrics", { token: null })), [401, "unauthorized"]);
      assert.deepEqual(await codeOf(await ask("/metrics", { token: "wrong" })), [401, "unauthorized"]);
      assert.deepEqual(await codeOf(await ask(`/metrics?token=${token}`, { token: null })), [401, "unauthorized"]);
      const foreign = { headers: { origin: "https://evil.example" } };
      assert.deepEqual(await codeOf(await ask("/metrics", foreign)), [403, "origin_not_allowed"]);
      const posted = await ask("/metrics", { method: "POST" });
      assert.equal(posted.headers.get("allow"), "GET, HEAD");
      assert.deepEqual(await codeOf(posted), [405, "method_not_allowed"]);
      const head = await ask("/metrics", { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      // The public listener has no such page.
      const visitor = await connectTo(edge.port);
      visitor.socket.write(bytesOf(`GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`));
      assert.match(await visitor.readUntil("\r\n\r\n"), /^HTTP\/1\.1 404 /);
    }));
});
