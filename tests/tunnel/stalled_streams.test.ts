import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Program } from "../../scripts/lib/program.mjs";
import type { V2EdgeSession } from "../../src/session/v2/edge_session.ts";
import { bytesOf, eventually, patternBytes, type SocketReader } from "../support/net.ts";
import { agentRuntime, edgeRuntime, killAll, spawnTunnel } from "../support/processes.ts";
import { type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import { startTunnel, type Tunnel } from "../support/tunnel.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const bulkBytes = 512 * mebibyte;
const block = patternBytes(64 * kibibyte);
const small = "x".repeat(kibibyte);
/** How much more than idle a process may hold while both transfers stall. */
const growthLimits = { bun: 16 * mebibyte, deno: 48 * mebibyte };

type Public = Pick<Tunnel, "connect" | "host">;

/** GET /down: 512 MB, as fast as they are taken. PUT /up: reads nothing but the head. Anything else: 1 KiB. */
async function serve(peer: ScriptedPeer): Promise<void> {
  for (;;) {
    const head = await peer.readHead();
    if (head.startsWith("PUT /up ")) return peer.pause();
    if (!head.startsWith("GET /down ")) {
      peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${small.length}\r\n\r\n${small}`);
      continue;
    }
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${bulkBytes}\r\n\r\n`);
    // Until the end, or until a block is not sent because the connection is gone.
    for (let goal = peer.sentBytes; peer.sentBytes === goal && goal < bulkBytes; goal += block.length) {
      await peer.send(block);
    }
    return;
  }
}

/** A visitor that asks for 512 MB and reads nothing but the head. */
async function stallDownload(tunnel: Public): Promise<SocketReader> {
  const client = await tunnel.connect();
  client.socket.write(bytesOf(`GET /down HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`));
  await client.readUntil("\r\n\r\n");
  client.socket.pause();
  return client;
}

/** A visitor that sends 512 MB to an upstream that reads none of them, until its socket takes no more. */
async function stallUpload(tunnel: Public): Promise<SocketReader> {
  const client = await tunnel.connect();
  client.socket.write(bytesOf(`PUT /up HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${bulkBytes}\r\n\r\n`));
  const fill = () => {
    for (let more = true; more && !client.socket.closed;) more = client.socket.write(block);
  };
  const { onDrain } = client;
  client.onDrain = () => {
    onDrain.call(client);
    fill();
  };
  fill();
  return client;
}

/** Asks for 1 KiB `count` times, one after the other, on one connection. */
async function askSmall(tunnel: Public, count: number): Promise<void> {
  const client = await tunnel.connect();
  for (let asked = 0; asked < count; asked++) {
    client.socket.write(bytesOf(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`));
    await client.readUntil(small);
  }
  client.socket.reset();
}

/** Resolves when nothing has moved for 50 looks in a row and `isFull()` holds: all buffers are full. */
async function untilStalled(
  upstream: ScriptedServer,
  clients: readonly SocketReader[],
  isFull: () => boolean = () => true,
): Promise<void> {
  let quiet = 0;
  let last = -1;
  await eventually(() => {
    let moved = 0;
    for (const peer of upstream.peers) moved += peer.sentBytes;
    for (const client of clients) moved += client.drains;
    quiet = moved === last ? quiet + 1 : 0;
    last = moved;
    return quiet >= 50 && isFull();
  }, { deadlineMs: 30_000 });
}

describe("1 KiB requests beside a stalled download and a stalled upload of 512 MB on one connection", () => {
  after(() => killAll());

  it("are answered, while edge and agent stay within a few MB of idle", async () => {
    const upstream = await ScriptedServer.start(serve);
    const tunnel = await spawnTunnel(upstream.port, "v2");
    const programs: [Program, number][] = [
      [tunnel.edge.program, growthLimits[edgeRuntime]],
      [tunnel.agent, growthLimits[agentRuntime]],
    ];
    await askSmall(tunnel, 500);
    const idle = programs.map(([program]) => program.memory?.resident);

    const stalled = [await stallDownload(tunnel), await stallUpload(tunnel)];
    await untilStalled(upstream, stalled, () => upstream.peers.some((peer) => peer.sentBytes > mebibyte));
    await askSmall(tunnel, 200);
    for (const [index, [program, limit]] of programs.entries()) {
      const then = idle[index];
      // The system does not tell how much memory a process has.
      if (then === undefined) continue;
      const growth = () => program.memory!.resident - then;
      await eventually(() => growth() <= limit, { message: `the ${program.name} grew by ${growth()} bytes` });
      // The bytes that went through before both transfers stalled are garbage that may not be collected yet.
      const most = program.memory!.peak - then;
      assert.ok(most <= 2 * limit, `the ${program.name} grew by ${most} bytes at its highest`);
    }
    for (const client of stalled) client.socket.reset();
    await upstream.close();
  });
});

describe("many answers that never end", () => {
  it("let others have a connection to the upstream at once", async () => {
    const upstream = await ScriptedServer.start(async (peer) => {
      const head = await peer.readHead();
      if (!head.startsWith("GET /events ")) {
        return void peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${small.length}\r\n\r\n${small}`);
      }
      peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
      await peer.gone();
    });
    const tunnel = await startTunnel(upstream.target, { protocol: "v2" });
    const subscribers = await Promise.all(Array.from({ length: 300 }, async () => {
      const client = await tunnel.connect();
      client.socket.write(bytesOf(`GET /events HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`));
      await client.readUntil("\r\n\r\n");
      return client;
    }));
    await askSmall(tunnel, 1);
    for (const client of subscribers) client.socket.reset();
    await eventually(() => tunnel.edge.connections === 0);
    await tunnel.close();
    await upstream.close();
  });
});

/** The most that the session's two ends held, looked at in each event-loop tick. */
function watchHeld(tunnel: Tunnel) {
  const edge = tunnel.edge.tunnels.get("shop")!.session as V2EdgeSession;
  const agent = tunnel.agent.tunnel!.session as unknown as { readonly bufferedBytes: number };
  const most = { edge: 0, agent: 0 };
  const timer = setInterval(() => {
    most.edge = Math.max(most.edge, edge.bufferedBytes);
    most.agent = Math.max(most.agent, agent.bufferedBytes);
  }, 0);
  return {
    most,
    stop: () => clearInterval(timer),
    isEmpty: () => edge.bufferedBytes + agent.bufferedBytes === 0,
    get edge() {
      return edge.bufferedBytes;
    },
    get agent() {
      return agent.bufferedBytes;
    },
  };
}

describe("what a connection holds for stalled streams", () => {
  const streams = 32;
  const window = 64 * kibibyte;
  const pool = 8 * mebibyte;
  /** What a sender holds of a stream beside its window: a head, and one socket read, which has up to 512 KiB on Bun. */
  const oneRead = 512 * kibibyte + 2 * kibibyte;
  const kinds = [
    { name: "downloads", stall: stallDownload, receiver: "edge", sender: "agent" },
    { name: "uploads", stall: stallUpload, receiver: "agent", sender: "edge" },
  ] as const;

  for (const { name, stall, receiver, sender } of kinds) {
    it(`stays within 64 KiB a stream and 8 MiB for ${streams} ${name}, and is nothing when they have gone`, async () => {
      const upstream = await ScriptedServer.start(serve);
      const tunnel = await startTunnel(upstream.target, { protocol: "v2" });
      const held = watchHeld(tunnel);
      const clients = await Promise.all(Array.from({ length: streams }, () => stall(tunnel)));
      await untilStalled(upstream, clients, () => held[receiver] >= window * streams);
      await askSmall(tunnel, 50);
      assert.ok(held.most[receiver] <= window * streams + pool, `the ${receiver} held ${held.most[receiver]} bytes`);
      assert.ok(held.most[sender] <= oneRead * streams, `the ${sender} held ${held.most[sender]} bytes`);
      for (const client of clients) client.socket.reset();
      // Deno does not see the reset of a socket that it does not read, but it sees the end of the upstream.
      for (const peer of upstream.peers) peer.abort();
      await eventually(() => held.isEmpty());
      held.stop();
      await tunnel.close();
      await upstream.close();
    });
  }
});
