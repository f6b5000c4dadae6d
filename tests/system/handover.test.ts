/** An edge that takes another one's place on the same listening socket, as `systemd` gives it to both. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { readFile, stat } from "node:fs/promises";
import { after, afterEach, before, describe, it } from "node:test";
import { AdminApi } from "../support/admin_api.ts";
import { bytesOf, eventually, freePort, latin1, type SocketReader } from "../support/net.ts";
import {
  connectTo,
  exited,
  isReady,
  killAll,
  nextEvent,
  shareSocket,
  signal,
  spawnAgent,
  spawnEdge,
} from "../support/processes.ts";
import { assertProblem, get, send } from "../support/public_client.ts";
import { withScratch } from "../support/scratch.ts";

let upstream: Server;
let upstreamPort: number;
/** The answers that have no end of their own. */
const streams: ServerResponse[] = [];

before(async () => {
  upstream = createServer((request, response) => {
    if (request.url === "/events") {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: first\n\n");
      return void streams.push(response);
    }
    let body = "";
    request.setEncoding("latin1").on("data", (text: string) => body += text).on("end", () => {
      const text = `${request.method} ${body.length}`;
      response.writeHead(200, { "Content-Length": text.length }).end(text);
    });
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  upstreamPort = (upstream.address() as AddressInfo).port;
});
afterEach(() => killAll());
after(() => {
  upstream.close();
  upstream.closeAllConnections();
});

const host = "shop.localhost";
const publicAt = (port: number) => ({ host, connect: () => connectTo(port) });

/** A visitor who asks without a pause, on a connection for each request or on one that he keeps. */
class Visitor {
  done = 0;
  readonly failures: string[] = [];
  readonly #request: Uint8Array;
  readonly #expected: string;
  readonly #port: number;
  readonly #keepsConnection: boolean;
  #connection: SocketReader | null = null;

  constructor(port: number, index: number) {
    this.#port = port;
    this.#keepsConnection = index % 2 === 0;
    const [method, body] = index % 4 < 2 ? ["GET", ""] : ["POST", "x".repeat(1_000 + index)];
    const length = method === "GET" ? "" : `Content-Length: ${body.length}\r\n`;
    const close = this.#keepsConnection ? "" : "Connection: close\r\n";
    this.#request = bytesOf(`${method} / HTTP/1.1\r\nHost: ${host}\r\n${length}${close}\r\n${body}`);
    this.#expected = `${method} ${body.length}`;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        const head = await this.#ask();
        if (/^HTTP\/1\.1 200 /.test(head)) this.done++;
        else this.failures.push(head);
      } catch (error) {
        this.failures.push(String(error));
        this.#connection?.socket.reset();
        this.#connection = null;
      }
    }
    this.#connection?.socket.reset();
  }

  async #ask(): Promise<string> {
    const client = this.#connection ??= await connectTo(this.#port);
    client.socket.write(this.#request);
    const head = await client.readUntil("\r\n\r\n");
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    const text = latin1(await client.read(length));
    if (/^HTTP\/1\.1 200 /.test(head)) assert.equal(text, this.#expected);
    if (!this.#keepsConnection || /^connection: close/im.test(head)) {
      client.socket.end();
      this.#connection = null;
    }
    return head;
  }
}

describe("two edges on one socket", () => {
  it("hand over without a failed request, under 32 visitors who ask without a pause", () =>
    withScratch(async (folder) => {
      const admin = await freePort();
      const data = join(folder, "data");
      const flags = ["--data", data, "--admin-listen", `127.0.0.1:${admin}`];
      const socket = await shareSocket(2, folder, ...flags);
      const old = await socket.start();
      assert.equal(old.ready.admin, `127.0.0.1:${admin}`);
      const agent = spawnAgent(socket.port, upstreamPort);
      await agent.next(isReady);

      const listener = await send(publicAt(socket.port), `GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await listener.readUntil("data: first");
      let isOver = false;
      const visitors = Array.from({ length: 32 }, (_, index) => new Visitor(socket.port, index));
      const running = visitors.map((visitor) => visitor.run(() => isOver));
      const allHaveDone = (more: number) => {
        const wanted = visitors.map(({ done }) => done + more);
        return eventually(() => visitors.every(({ done }, i) => done >= wanted[i]!), { deadlineMs: 60_000 });
      };
      await allHaveDone(5);

      const next = await socket.start();
      assert.equal(next.ready.admin, null, "the old edge has it");
      const movedOver = agent.next(isReady);
      const startedAt = performance.now();
      signal(old.program, "SIGTERM");
      await movedOver;
      const movedMs = performance.now() - startedAt;
      await allHaveDone(5);
      isOver = true;
      await Promise.all(running);
      const requests = visitors.reduce((sum, { done }) => sum + done, 0);
      console.log(`measured: ${requests} requests, the agent had gone over after ${Math.round(movedMs)} ms`);
      assert.deepEqual(visitors.flatMap(({ failures }) => failures), []);

      // The old edge goes on with what has no end, and has nothing else.
      assert.equal(old.program.exited, false);
      streams.at(-1)!.write("data: second\n\n");
      await listener.readUntil("data: second");
      await eventually(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => null))?.status === 200);
      const { pid } = JSON.parse(await readFile(join(data, "serving.json"), "utf8"));
      assert.equal(pid, next.program.pid);
      streams.at(-1)!.end();
      await listener.readUntil("0\r\n\r\n");
      listener.socket.end();
      assert.equal(await exited(old.program), 0);
      assert.match(await get(publicAt(socket.port)), /GET 0$/);
      signal(agent, "SIGTERM");
      assert.equal(await exited(agent), 0);
    }));

  it("leaves what is under way its time when another one listens, and ends at a second signal", () =>
    withScratch(async (folder) => {
      const data = join(folder, "data");
      const socket = await shareSocket(3, folder, "--data", data, "--drain-timeout", "100ms");
      const edges = [await socket.start()];
      await spawnAgent(socket.port, upstreamPort).next(isReady);
      // The next edge knows from there what to wait for.
      const isKnown = async () => (await readFile(join(data, "known-tunnels.json"), "utf8")).includes('"shop"');
      await eventually(() => isKnown().catch(() => false));
      const listener = await send(publicAt(socket.port), `GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await listener.readUntil("data: first");
      edges.push(await socket.start());
      signal(edges[0]!.program, "SIGTERM");
      // Far behind its own time for this: the next edge is started, and has the agent.
      edges.push(await socket.start());
      signal(edges[1]!.program, "SIGTERM");
      assert.equal(await exited(edges[1]!.program), 0);
      streams.at(-1)!.write("data: second\n\n");
      await listener.readUntil("data: second");
      signal(edges[0]!.program, "SIGTERM");
      assert.equal(await exited(edges[0]!.program), 0);
      await listener.closed;
      assert.match(await get(publicAt(socket.port)), /GET 0$/);
    }));

  it("ends sessions at the old one within 5 s when their token is removed at the new one", () =>
    withScratch(async (folder) => {
      const admin = await freePort();
      const data = join(folder, "data");
      const socket = await shareSocket(2, folder, "--data", data, "--admin-listen", `127.0.0.1:${admin}`);
      const old = await socket.start();
      const api = await AdminApi.of(`127.0.0.1:${admin}`, data);
      const token = await api.addNode("web-1");
      await api.addTunnel("shop", ["web-1"]);
      const agent = spawnAgent(socket.port, upstreamPort, "--token", token);
      await agent.next(isReady);
      const listener = await send(publicAt(socket.port), `GET /events HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await listener.readUntil("data: first");
      await socket.start();
      const movedOver = agent.next(isReady);
      signal(old.program, "SIGTERM");
      await movedOver;
      await eventually(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => null))?.status === 200);
      await api.do("POST", "nodes/web-1/rotate", { graceMs: 0 });
      const removedAt = performance.now();
      await listener.closed;
      assert.ok(performance.now() - removedAt < 5_000);
      assert.equal(await exited(old.program), 0);
    }));
});

describe("an edge that was killed", () => {
  for (const protocol of ["v2", "json"] as const) {
    it(`has its agents back within 5 s of its start, and holds requests meanwhile (${protocol})`, () =>
      withScratch(async (folder) => {
        const data = join(folder, "data");
        const edge = await spawnEdge(0, "--data", data);
        const names = ["shop", "api-1", "api-2", "api-3"];
        const agents = names.map((name) => {
          return spawnAgent(edge.port, upstreamPort, "--name", name, "--protocol", protocol);
        });
        await Promise.all(agents.map((agent) => agent.next(isReady)));
        const known = join(data, "known-tunnels.json");
        await eventually(async () => {
          const text = await readFile(known, "utf8").catch(() => "");
          return names.every((name) => text.includes(`"${name}"`));
        });
        assert.equal((await stat(known)).mode & 0o777, 0o600);
        const lost = agents.map((agent) => nextEvent(agent, "disconnected"));
        signal(edge.program, "SIGKILL");
        await Promise.all([exited(edge.program), ...lost]);

        const back = agents.map((agent) => agent.next(isReady).then((line) => ({ line, at: performance.now() })));
        const again = await spawnEdge(edge.port, "--data", data);
        const startedAt = performance.now();
        const asked = get(publicAt(again.port));
        const never = get({ ...publicAt(again.port), host: "never.localhost" });
        assertProblem(await never, 404, "tunnel_not_found");
        assert.match(await asked, /^HTTP\/1\.1 200 [^]*GET 0$/);
        const times = (await Promise.all(back)).map(({ line, at }, i) => {
          assert.equal(line.name, names[i]);
          return Math.round(at - startedAt);
        });
        console.log(`measured: ${protocol}, the agents were back after ${times.join(", ")} ms`);
        assert.ok(Math.max(...times) < 5_000, times.join(", "));
      }));
  }
});
