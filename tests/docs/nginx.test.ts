/** The nginx configuration of docs/server.md, in front of an edge: visitors and the agent come through it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { agentProgram } from "../../src/cli/agent.ts";
import { version } from "../../src/config/version.ts";
import { ProgramRun } from "../cli/program_run.ts";
import { freePort } from "../support/net.ts";
import { withNginx } from "../support/nginx.ts";
import { missingPeer } from "../support/peers.ts";
import { startTestEdge, token } from "../support/tunnel.ts";
import { WebSocket, WebSocketServer } from "../websocket/foreign.ts";
import { readPage } from "./page.ts";

const certificates = fileURLToPath(new URL("../support/certificates", import.meta.url));
const Host = "shop.example.com";

/** The page's configuration with ports and files of this machine. */
function configuration(port: number, edgePort: number): string {
  const fence = readPage("docs/server.md").fences.find(({ language }) => language === "nginx");
  assert.ok(fence !== undefined);
  const changes: readonly [written: string, here: string][] = [
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["127.0.0.1:8080", `127.0.0.1:${edgePort}`],
    ["/etc/ssl/example.com.pem", join(certificates, "server.pem")],
    ["/etc/ssl/example.com.key", join(certificates, "server.key")],
  ];
  return changes.reduce((text, [written, here]) => {
    assert.ok(text.includes(written), `the page does not say ${written}`);
    return text.replace(written, here);
  }, fence.lines.join("\n"));
}

/** A private service: `/events` tells its second event only when `/confirm` is asked, and WebSockets are echoed. */
async function startService() {
  let waiting: ServerResponse | null = null;
  const server = createServer((incoming, response) => {
    if (incoming.url === "/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("data: 1\n\n");
      waiting = response;
    } else {
      waiting?.end("data: 2\n\n");
      response.writeHead(204).end();
    }
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function get(port: number, path: string): Promise<IncomingMessage> {
  const options = { host: "127.0.0.1", port, path, headers: { Host }, rejectUnauthorized: false, agent: false };
  const [answer] = await once(request(options).end(), "response");
  return answer.setEncoding("utf8");
}

async function nextText(answer: IncomingMessage): Promise<string> {
  const [text] = await once(answer, "data");
  return text;
}

describe("docs/server.md", () => {
  it("nginx passes each event at once, and WebSockets, when it has the page's configuration", {
    skip: missingPeer("nginx"),
  }, async () => {
    const [service, edge, port] = await Promise.all([
      startService(),
      startTestEdge({ domain: "example.com", publicUrl: new URL("https://example.com"), version }),
      freePort(),
    ]);
    await withNginx(port, configuration(port, edge.address.port), async () => {
      const link = ["--edge", `https://127.0.0.1:${port}`, "--edge-insecure", "--token", token];
      const agent = new ProgramRun(agentProgram, ["http", String(service.port), ...link, "--name", "shop", "--json"]);
      assert.equal((await agent.event("ready")).url, "https://shop.example.com");

      const events = await get(port, "/events");
      assert.equal(await nextText(events), "data: 1\n\n");
      const [second, confirmed] = await Promise.all([nextText(events), get(port, "/confirm")]);
      assert.equal(confirmed.statusCode, 204);
      assert.equal(second, "data: 2\n\n");

      const socket = new WebSocket(`wss://127.0.0.1:${port}/chat`, { headers: { Host }, rejectUnauthorized: false });
      await once(socket, "open");
      const echoed = once(socket, "message");
      socket.send("hello");
      assert.equal(String((await echoed)[0]), "hello");
      socket.close();
      await once(socket, "close");
      assert.equal(await agent.stop(), 0);
    });
    await edge.close();
    service.close();
  });
});
