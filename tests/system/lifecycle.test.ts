import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { eventually } from "../support/net.ts";
import {
  connectAgent,
  connectTo,
  type EdgeProcess,
  exited,
  isReady,
  killAll,
  killAllBut,
  nextEvent,
  type ProcessTunnel,
  signal,
  spawnAgent,
  spawnEdge,
  spawnTunnel,
} from "../support/processes.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols } from "../support/tunnel.ts";

let upstream: ScriptedServer;
/** Continues the answer that waits for it. */
let release: () => void;

before(async () => {
  upstream = await ScriptedServer.start(async (peer) => {
    void peer.gone().then(() => peer.end());
    for (;;) {
      const head = await peer.readHead();
      const released = new Promise<void>((resolve) => release = resolve);
      if (head.includes(" /stream ")) {
        await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        await released;
        await peer.send("3\r\ndef\r\n0\r\n\r\n");
      } else {
        if (head.includes(" /hang ")) await released;
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    }
  });
});
/** One edge for all tests that only do something to agents. */
let lasting: EdgeProcess | null = null;
afterEach(() => killAllBut(lasting?.program ?? null));
after(async () => {
  await killAll();
  await upstream.close();
});

for (const protocol of protocols) {
  const start = (...args: string[]): Promise<ProcessTunnel> => spawnTunnel(upstream.port, protocol, ...args);
  const startAgent = async (): Promise<ProcessTunnel> => {
    lasting ??= await spawnEdge();
    return await connectAgent(lasting, upstream.port, protocol);
  };

  describe(`edge and agent on ${protocol}`, () => {
    it("tell in their first event where they are", async () => {
      const edge = await spawnEdge();
      const { time, version, ...edgeFacts } = edge.ready;
      const listen = `127.0.0.1:${edge.port}`;
      assert.match(String(version), /^\d+\.\d+\.\d+/);
      assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
      assert.deepEqual([edgeFacts.event, edgeFacts.listen, edgeFacts.domain], ["ready", listen, "localhost"]);
      assert.equal(edgeFacts.publicUrl, `http://localhost:${edge.port}`);
      const agent = spawnAgent(edge.port, upstream.port, "--protocol", protocol);
      const ready = await agent.next(() => true);
      assert.equal(ready.event, "ready");
      assert.equal(ready.url, `http://shop.localhost:${edge.port}`);
      assert.deepEqual([ready.name, ready.protocol], ["shop", protocol]);
      assert.equal(ready.upstream, `http://localhost:${upstream.port}`);
      assert.equal(typeof ready.tunnelId, "string");
    });

    it("tell of each request when it has ended", async () => {
      const tunnel = await startAgent();
      const told = nextEvent(tunnel.agent, "request");
      assert.match(await get(tunnel, "/a?token=secret"), /ok$/);
      const { method, path, status, bytesIn, bytesOut } = await told;
      assert.deepEqual([method, path, status, bytesIn, bytesOut], ["GET", "/a", 200, 0, 2]);
    });

    it("let what runs end when the edge gets SIGTERM, and take nothing new", async () => {
      const tunnel = await start();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      signal(tunnel.edge.program, "SIGTERM");
      await eventually(async () => {
        const late = await connectTo(tunnel.edge.port).catch(() => null);
        late?.socket.reset();
        return late === null;
      });
      release();
      await client.readUntil("def\r\n0\r\n\r\n");
      client.socket.end();
      assert.equal(await exited(tunnel.edge.program), 0);
    });

    it("let what runs end when the agent gets SIGTERM", async () => {
      const tunnel = await startAgent();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      signal(tunnel.agent, "SIGTERM");
      release();
      await client.readUntil("def\r\n0\r\n\r\n");
      assert.equal(await exited(tunnel.agent), 0);
      await eventually(async () => (await get(tunnel)).includes("tunnel_offline"));
      client.socket.reset();
    });

    it("give the name to a newcomer at once when the agent gets SIGTERM and a stream stays open", async () => {
      const tunnel = await startAgent();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      const finish = release;
      signal(tunnel.agent, "SIGTERM");
      await eventually(async () => (await get(tunnel)).includes("tunnel_offline"));
      await spawnAgent(tunnel.edge.port, upstream.port, "--protocol", protocol).next(isReady);
      assert.match(await get(tunnel), /ok$/);
      assert.equal(tunnel.agent.exited, false);
      finish();
      await client.readUntil("def\r\n0\r\n\r\n");
      assert.equal(await exited(tunnel.agent), 0);
      assert.match(await get(tunnel), /ok$/);
      client.socket.reset();
    });

    it("end at once when they get a second signal", async () => {
      const tunnel = await start();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      for (const program of [tunnel.agent, tunnel.edge.program]) {
        signal(program, "SIGTERM");
        signal(program, "SIGINT");
        await exited(program);
        assert.equal(program.exitCode, 0);
      }
      await readUntilReset(client);
    });

    it("tell the agent why the edge ends at once", async () => {
      const tunnel = await start();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      const disconnected = nextEvent(tunnel.agent, "disconnected");
      signal(tunnel.edge.program, "SIGTERM");
      signal(tunnel.edge.program, "SIGINT");
      assert.match(String((await disconnected).reason), /The edge is shutting down/);
      await readUntilReset(client);
    });

    it("answer 502 and abort when the agent is killed, and serve again by a new one of that name", async () => {
      const tunnel = await startAgent();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc\r\n");
      const waiting = get(tunnel, "/hang");
      const peer = await upstream.peer(upstream.peers.length);
      await eventually(() => peer.received.endsWith("\r\n\r\n"));
      signal(tunnel.agent, "SIGKILL");
      if (protocol === "json") {
        assertProblem(await waiting, 502, "agent_lost");
        assert.equal(await readUntilReset(client), "");
        assertProblem(await get(tunnel), 503, "tunnel_offline");
      }
      // On v2 the edge waits for the one that was killed, until this one says that it is of the same machine.
      await spawnAgent(tunnel.edge.port, upstream.port, "--protocol", protocol).next(isReady);
      assert.match(await get(tunnel), /ok$/);
      if (protocol === "json") return;
      assertProblem(await waiting, 502, "agent_lost");
      assert.equal(await readUntilReset(client), "");
    });

    it("replace an agent that is stopped within a few seconds", async () => {
      const tunnel = await startAgent();
      signal(tunnel.agent, "SIGSTOP");
      const second = spawnAgent(tunnel.edge.port, upstream.port, "--protocol", protocol);
      await second.next(isReady, 8_000);
      assert.match(await get(tunnel), /ok$/);
    });

    it("come together again under the same name when the edge was killed", async () => {
      const tunnel = await start();
      const client = await send(tunnel, getRequest(tunnel, "/stream"));
      await client.readUntil("abc");
      const reconnecting = nextEvent(tunnel.agent, "reconnecting");
      signal(tunnel.edge.program, "SIGKILL");
      await eventually(() => client.sawEnd || client.sawClose);
      assert.equal((await reconnecting).attempt, 1);
      const readyAgain = tunnel.agent.next(isReady);
      await spawnEdge(tunnel.edge.port);
      assert.equal((await readyAgain).url, `http://shop.localhost:${tunnel.edge.port}`);
      assert.match(await get(tunnel), /ok$/);
    });
  });

  describe(`agent on ${protocol}, which cannot have its tunnel,`, () => {
    const endOf = async (edgePort: number, ...args: string[]) => {
      const agent = spawnAgent(edgePort, upstream.port, "--protocol", protocol, ...args);
      const errors: unknown[] = [];
      agent.on("line", (line: Record<string, unknown>) => line.event === "error" && errors.push(line.code));
      return { code: await exited(agent), errors };
    };

    it("exits with 3 when its token is refused", async () => {
      const edge = await spawnEdge();
      assert.deepEqual(await endOf(edge.port, "--token", "wrong"), { code: 3, errors: ["unauthorized"] });
    });

    it("exits with 4 when no edge is reached in its time, refused or silent", async () => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => void sockets.push(socket));
      await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
      const { port } = silent.address() as { port: number };
      const startedAt = performance.now();
      const unreachable = { code: 4, errors: ["edge_unreachable"] };
      assert.deepEqual(await endOf(port, "--connect-timeout", "500ms"), unreachable);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
      assert.deepEqual(await endOf(port, "--connect-timeout", "500ms"), unreachable);
      assert.ok(performance.now() - startedAt < 8_000, "both gave up in their time");
    });

    it("exits with 5 when its name is taken, and not when it forces it", async () => {
      const tunnel = await startAgent();
      assert.deepEqual(await endOf(tunnel.edge.port), { code: 5, errors: ["name_taken"] });
      assert.match(await get(tunnel), /ok$/);
    });

    it("exits with 2 when a flag is wrong", async () => {
      assert.equal((await endOf(1, "--connect-timeout", "soon")).code, 2);
    });
  });
}

describe("edge", () => {
  it("keeps its exit code when a signal comes after its last line", async () => {
    const { program } = await spawnEdge();
    const last = nextEvent(program, "exit");
    signal(program, "SIGTERM");
    await last;
    signal(program, "SIGINT");
    await exited(program);
    assert.equal(program.exitCode, 0);
  });

  it("exits with 5 when its port is taken", async () => {
    const edge = await spawnEdge();
    await assert.rejects(spawnEdge(edge.port), /in use/);
    assert.equal(await (await fetch(`http://127.0.0.1:${edge.port}/healthz`)).text(), "ok");
  });
});
