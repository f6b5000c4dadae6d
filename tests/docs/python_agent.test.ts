/** scripts/examples/agent.py, the agent that docs/json-agent.md shows, against an edge. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { latin1, patternBytes, SocketReader } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { get, getRequest, type PublicTunnel, readUntilReset, send } from "../support/public_client.ts";
import { startTestEdge, token as testToken } from "../support/tunnel.ts";
import { root } from "./page.ts";

class PythonAgent {
  readonly #child: ChildProcess;
  readonly exitCode: Promise<number | null>;
  stderr = "";

  constructor(edgePort: number, upstreamPort: number, { token = testToken, name = "shop" } = {}) {
    const args = [`127.0.0.1:${edgePort}`, token, name, `127.0.0.1:${upstreamPort}`];
    const file = join(root, "scripts", "examples", "agent.py");
    this.#child = spawn("python3", [file, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.stderr += text);
    this.exitCode = once(this.#child, "close").then(([code]) => code);
  }

  /** The public URL that it prints. */
  async ready(): Promise<string> {
    const early = this.exitCode.then(() => Promise.reject(new Error(`the agent ended: ${this.stderr}`)));
    const [line] = await Promise.race([once(this.#child.stdout!.setEncoding("utf8"), "data"), early]);
    return line.trim();
  }

  stop(): Promise<number | null> {
    this.#child.kill("SIGKILL");
    return this.exitCode;
  }
}

/** The private service: a page, an echo, and a stream whose second event waits for /confirm; /cut breaks it off. */
function startUpstream(): Server {
  let events: ServerResponse | null = null;
  return createServer((request, response) => {
    if (request.url === "/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: 1\n\n");
      events = response;
    } else if (request.url === "/confirm") {
      events?.end("data: 2\n\n");
      response.writeHead(204).end();
    } else if (request.url === "/cut") {
      events?.destroy();
      response.writeHead(204).end();
    } else if (request.method === "POST") {
      request.pipe(response.writeHead(200, { "Content-Length": request.headers["content-length"] }));
    } else {
      response.writeHead(200, { "Set-Cookie": ["a=1", "b=2"], "Content-Length": 4 }).end("page");
    }
  });
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

describe("agent.py", { skip: missingPeer("python3") }, () => {
  const upstream = startUpstream();
  let edge: Edge;
  let agent: PythonAgent;
  let tunnel: PublicTunnel;
  let upstreamPort: number;

  before(async () => {
    [edge, upstreamPort] = await Promise.all([startTestEdge(), portOf(upstream)]);
    const { port } = edge.address;
    tunnel = {
      host: "shop.localhost",
      connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
    };
    agent = new PythonAgent(port, upstreamPort);
    assert.equal(await agent.ready(), `http://shop.localhost:${port}`);
  });
  after(async () => {
    await agent.stop();
    await edge.close();
    upstream.closeAllConnections();
    upstream.close();
  });

  it("passes a page on, with each of its cookies, when it is asked for one", async () => {
    const answer = await get(tunnel, "/a?b=1");
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    assert.match(answer, /\r\n\r\npage$/);
  });

  it("passes each event on at once when the upstream streams", async () => {
    const client = await send(tunnel, getRequest(tunnel, "/events", "Connection: close\r\n"));
    await client.readUntil("data: 1\n\n");
    assert.match(await get(tunnel, "/confirm"), /^HTTP\/1\.1 204 /);
    await client.readUntil("data: 2\n\n");
    await client.ended;
    client.socket.end();
  });

  it("passes a body of megabytes there and back when it is posted", async () => {
    const body = latin1(patternBytes(3_000_000));
    const head =
      `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    const client = await send(tunnel, head + body);
    await client.readUntil("\r\n\r\n");
    assert.ok(latin1(await client.readAll()) === body);
    client.socket.end();
  });

  it("breaks the answer off when the upstream does", async () => {
    const client = await send(tunnel, getRequest(tunnel, "/events"));
    await client.readUntil("data: 1\n\n");
    await get(tunnel, "/cut");
    await readUntilReset(client);
  });

  it("answers 502 when nothing listens where it dials", async () => {
    const gone = createServer();
    const port = await portOf(gone);
    gone.close();
    await once(gone, "close");
    const lonely = new PythonAgent(edge.address.port, port, { name: "lonely" });
    await lonely.ready();
    assert.match(await get({ ...tunnel, host: "lonely.localhost" }), /^HTTP\/1\.1 502 /);
    await lonely.stop();
  });

  it("ends with exit code 1 and the reason when the token is refused", async () => {
    const refused = new PythonAgent(edge.address.port, upstreamPort, { token: "wrong" });
    assert.equal(await refused.exitCode, 1);
    assert.match(refused.stderr, /token/);
  });
});
