/**
 * Agents that break a rule of WebSocket, or close, and keep their sockets open. Nobody waits for the closing handshake: the
 * edge's clock stands still, so that its timeout never comes. Sessions end with their links here.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { WebSocketLink } from "../../src/httpstream/web_socket_link.ts";
import { dial, type Socket } from "../../src/net/mod.ts";
import { dialWebSocket, WebSocketConnection } from "../../src/websocket/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { bytesOf, eventually, SocketReader } from "../support/net.ts";
import { enterEdge, type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

let edge: Edge;
let told: string[];

const target = () => ({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }) as const;

/** The socket of an agent that serves the tunnel `shop`, and what resolves when it was asked. */
async function enter(protocol: Protocol): Promise<{ socket: Socket; asked: Promise<void> }> {
  if (protocol === "v2") {
    const { socket, rest } = await enterEdge(edge);
    const peer = new FramePeer(new WebSocketLink(socket, { role: "client", rest }));
    await peer.greet();
    const wanted = bytesOf(JSON.stringify({ name: "shop", kind: "http", upstream: "" }));
    peer.send((m) => {
      m.headers(1, [":method", "POST", ":scheme", "http", ":authority", "edge", ":path", "/api/agent/tunnels"], 0);
      m.data(1, wanted, true);
    });
    const asked = peer.until(
      () => peer.frames.some((frame) => frame.type === "HEADERS" && frame.fields.includes("GET")),
      "the visit",
    );
    // Not every agent is asked before the test is over.
    asked.catch(() => {});
    await eventually(() => edge.tunnels.online === 1);
    return { socket, asked };
  }
  const { socket, rest } = await dialWebSocket({ target: target(), authority: "127.0.0.1", path: "/agent" });
  let onAsked!: () => void;
  const asked = new Promise<void>((resolve) => onAsked = resolve);
  const link = new WebSocketConnection(socket, {
    role: "client",
    accept: "text",
    maxMessageBytes: 1 << 20,
    rest,
    handlers: {
      onMessage: (data) => {
        if (JSON.parse(data as string).type === "http_request") onAsked();
      },
      onDrain() {},
      onClose() {},
    },
  });
  link.sendText(JSON.stringify({ type: "register", tunnel_id: "shop", agent_token: token }));
  await eventually(() => edge.tunnels.online === 1);
  return { socket, asked };
}

/** A visitor asks for `shop`. */
async function visit(): Promise<SocketReader> {
  const client = new SocketReader(await dial(target()));
  client.socket.write(bytesOf("GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"));
  return client;
}

async function statusOf(client: SocketReader): Promise<string> {
  let head = "";
  void client.readUntil("\r\n\r\n").then((text) => head = text, () => head = "HTTP/1.1 none");
  await eventually(() => head !== "");
  client.socket.reset();
  return head.split(" ")[1] as string;
}

/** A client's frame under a mask of zeros. */
const masked = (first: number, ...payload: number[]) =>
  Uint8Array.of(first, 0x80 | payload.length, 0, 0, 0, 0, ...payload);

const ends: readonly [string, (socket: Socket, protocol: Protocol) => void][] = [
  ["sends a frame without a mask", (socket) => socket.write(Uint8Array.of(0x82, 1, 0))],
  ["sends an opcode that is reserved", (socket) => socket.write(masked(0x83, 0))],
  ["sets a reserved bit", (socket) => socket.write(masked(0xc2, 0))],
  ["sends a fragment of a ping", (socket) => socket.write(masked(0x09, 0))],
  ["sends messages of the other kind", (socket, protocol) => {
    socket.write(protocol === "v2" ? masked(0x81, 0x7b) : masked(0x82, 0));
  }],
  ["announces a frame of 2^60 bytes", (socket) => socket.write(Uint8Array.of(0x82, 0xff, 0x10, 0, 0, 0, 0, 0, 0, 0))],
  ["sends a message that is none of the protocol's", (socket, protocol) => {
    socket.write(protocol === "v2" ? masked(0x82, 1, 2, 3) : masked(0x81, 0x78));
  }],
  ["sends its close frame", (socket) => socket.write(masked(0x88, 0x03, 0xe8))],
  ["sends FIN", (socket) => socket.end()],
];

for (const protocol of protocols) {
  describe(`an agent on ${protocol} that keeps its socket and`, () => {
    beforeEach(async () => {
      told = [];
      edge = await startTestEdge({
        clock: new FakeClock(),
        resumeTimeoutMs: 0,
        events: { onSessionEnd: () => void told.push("end") },
      });
    });
    afterEach(() => edge.close());

    for (const [what, act] of ends) {
      it(`${what} loses its visitor at once: 502, then 503, and its name is free for the next agent`, async () => {
        const { socket, asked } = await enter(protocol);
        const visitor = await visit();
        await asked;
        // From here on the agent neither reads nor closes.
        socket.handlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
        act(socket, protocol);
        assert.equal(await statusOf(visitor), "502");
        await eventually(() => edge.tunnels.online === 0);
        assert.deepEqual(told, ["end"]);
        assert.equal(await statusOf(await visit()), "503");
        const next = await enter(protocol);
        socket.reset();
        next.socket.reset();
      });
    }
  });
}
