/** A whole tunnel in one process: an edge and an agent, on real sockets of 127.0.0.1. */
import { Agent } from "../../src/agent/agent.ts";
import { Backoff } from "../../src/base/backoff.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openV2Tunnel, type V2DialOptions } from "../../src/agent/v2_dial.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { type Edge, type EdgeOptions, startEdge } from "../../src/edge/edge.ts";
import { HttpClient } from "../../src/http1/client/client.ts";
import type { ClientOptions } from "../../src/http1/client/options.ts";
import { compressedUpstream } from "../../src/http/mod.ts";
import type { Handler } from "../../src/http/message.ts";
import { dial, type DialTarget } from "../../src/net/mod.ts";
import { type DialedWebSocket, dialWebSocket } from "../../src/websocket/mod.ts";
import { SocketReader } from "./net.ts";
import { Relay } from "./relay.ts";
import type { ScriptedServer } from "./scripted_server.ts";

export const token = "test-token";

export type Protocol = "json" | "v2";
/** Tests of a whole tunnel run on each of them. */
export const protocols: readonly Protocol[] = ["json", "v2"];

export interface TunnelOptions {
  edge?: Partial<EdgeOptions>;
  name?: string;
  /** Default `json`. */
  protocol?: Protocol;
  /** Options of the agent's HTTP client, where the upstream is a target. */
  client?: Partial<ClientOptions>;
  /** The agent compresses answers. Default false. */
  compress?: boolean;
  /** What the agent asks for its tunnel. */
  firstByteMs?: number;
}

export interface Tunnel {
  readonly edge: Edge;
  readonly agent: Agent;
  readonly port: number;
  /** The Host of the tunnel. */
  readonly host: string;
  /** Between agent and edge. */
  readonly relay: Relay;
  /** A public client's connection, to write raw requests on. */
  connect(): Promise<SocketReader>;
  close(): Promise<void>;
}

export function startTestEdge(options: Partial<EdgeOptions> = {}): Promise<Edge> {
  return startEdge({ listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, token, ...options });
}

/** Connects an agent whose upstream is `upstream`; resolves once the tunnel is open. */
export async function startTestAgent(
  edge: Edge,
  upstream: Handler,
  name = "shop",
  protocol: Protocol = "json",
  port = edge.address.port,
  firstByteMs?: number,
): Promise<Agent> {
  const url = parseEdgeUrl(`http://127.0.0.1:${port}`);
  let onReady!: (tunnel: OpenTunnel) => void;
  const ready = new Promise<OpenTunnel>((resolve) => onReady = resolve);
  const agent = new Agent({
    open: (signal) => {
      return protocol === "json"
        ? openJsonTunnel({ edge: url, token, name, upstream, version: "0.0.0", firstByteMs }, signal)
        : openV2Tunnel({ edge: url, token, name, upstream, version: "0.0.0", firstByteMs }, signal);
    },
    backoff: new Backoff(1, 20),
    events: { onReady },
  });
  const run = agent.run();
  await Promise.race([ready, run]);
  return agent;
}

/**
 * Connects an agent of `runnel.v2` that opens the tunnel `shop`; resolves once that is open. Rejects where the edge
 * refuses it.
 *
 * @param options further ones of the dial, and the port of the edge, such as a relay's. Default: the edge's own.
 */
export async function startV2Agent(
  edge: Edge,
  upstream: Handler,
  { port = edge.address.port, ...options }: Partial<V2DialOptions> & { port?: number } = {},
): Promise<Agent> {
  const dialed = { token, name: "shop", upstream, version: "0.0.0", ...options };
  let onReady!: () => void;
  const ready = new Promise<void>((resolve) => onReady = resolve);
  const agent = new Agent({
    open: (signal) => openV2Tunnel({ edge: parseEdgeUrl(`http://127.0.0.1:${port}`), ...dialed }, signal),
    backoff: new Backoff(1, 20),
    events: { onReady },
  });
  const run = agent.run();
  run.catch(() => {});
  await Promise.race([ready, run]);
  return agent;
}

export interface ForcedAgent {
  readonly agent: Agent;
  readonly run: Promise<void>;
  /** What its events told. */
  readonly told: readonly string[];
}

/** Connects an agent that takes the name `forced`, whoever has it; resolves once its tunnel is open. */
export async function startForcedAgent(edge: Edge, upstream: Handler, protocol: Protocol): Promise<ForcedAgent> {
  const url = parseEdgeUrl(`http://127.0.0.1:${edge.address.port}`);
  const options = { edge: url, token, name: "forced", upstream, force: true, version: "0.0.0" };
  const told: string[] = [];
  let onReady!: () => void;
  const ready = new Promise<void>((resolve) => onReady = resolve);
  const agent = new Agent({
    open: (signal) => protocol === "json" ? openJsonTunnel(options, signal) : openV2Tunnel(options, signal),
    backoff: new Backoff(1, 20),
    events: {
      onReady: () => {
        told.push("ready");
        onReady();
      },
      onDisconnected: ({ reason }) => void told.push(`disconnected: ${reason}`),
      onReconnecting: () => void told.push("reconnecting"),
    },
  });
  const run = agent.run();
  run.catch(() => {});
  await Promise.race([ready, run]);
  return { agent, run, told };
}

/** @param upstream what the agent dials, or the handler that it asks */
export async function startTunnel(upstream: DialTarget | Handler, options: TunnelOptions = {}): Promise<Tunnel> {
  const name = options.name ?? "shop";
  const client = typeof upstream === "function" ? null : new HttpClient({ target: upstream, ...options.client });
  const edge = await startTestEdge(options.edge);
  const { port } = edge.address;
  const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port });
  const plain = client?.request ?? (upstream as Handler);
  const handler = options.compress ? compressedUpstream(plain) : plain;
  const agent = await startTestAgent(edge, handler, name, options.protocol, relay.port, options.firstByteMs);
  return {
    edge,
    agent,
    port,
    host: `${name}.localhost`,
    relay,
    connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
    async close() {
      agent.close();
      client?.close();
      await relay.close();
      await edge.close();
    },
  };
}

/** Runs `act` with a tunnel to `upstream`, and ends both. */
export async function withTunnelTo(
  upstream: ScriptedServer,
  options: TunnelOptions,
  act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
): Promise<void> {
  const tunnel = await startTunnel(upstream.target, options);
  try {
    await act(tunnel, upstream);
  } finally {
    await tunnel.close();
    await upstream.close();
  }
}

/** The public side of the tunnel `name`, whoever serves it. */
export function publicSide({ address }: Edge, name: string): Pick<Tunnel, "host" | "connect"> {
  const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: address.port }));
  return { host: `${name}.localhost`, connect };
}

/**
 * The socket of a `runnel.v2` agent whose handshake was accepted. Its link must be made in the same event-loop tick.
 *
 * @param fields further ones of the handshake
 */
export function enterEdge(edge: Edge, fields: readonly string[] = []): Promise<DialedWebSocket> {
  return dialWebSocket({
    target: { kind: "tcp", host: "127.0.0.1", port: edge.address.port },
    authority: "127.0.0.1",
    path: "/agent",
    fields: ["Authorization", `Bearer ${token}`, ...fields],
    protocols: ["runnel.v2"],
  });
}

/** Writes a request's text (Latin-1) on a fresh connection and reads the answer to the connection's end. */
export async function exchange(tunnel: Pick<Tunnel, "connect">, request: string): Promise<string> {
  const reader = await tunnel.connect();
  reader.socket.write(Uint8Array.from(request, (char) => char.charCodeAt(0)));
  const answer = await reader.readAll();
  reader.socket.end();
  return Array.from(answer, (byte) => String.fromCharCode(byte)).join("");
}
