/** What most tests of the multiplexer need: two connections on a linked pair, or one and a scripted peer. */
import {
  Connection,
  type ConnectionLimits,
  type ConnectionOptions,
  type NewStreamHandler,
  type Stream,
} from "../../src/httpstream/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { type LinkPair, linkPair, type LinkPairOptions } from "../support/link_pair.ts";

export interface Pair {
  readonly edge: Connection;
  readonly agent: Connection;
  readonly links: LinkPair;
  /** Closes both connections. */
  end(): Promise<void>;
}

export interface PairOptions {
  onAgentStream?: NewStreamHandler;
  onEdgeStream?: NewStreamHandler;
  edgeLimits?: Partial<ConnectionLimits>;
  agentLimits?: Partial<ConnectionLimits>;
  edge?: Partial<ConnectionOptions>;
  agent?: Partial<ConnectionOptions>;
  link?: LinkPairOptions;
}

export function connectedPair(options: PairOptions = {}): Pair {
  const links = linkPair(options.link);
  const edge = new Connection(links.edge, {
    role: "edge",
    onStream: options.onEdgeStream,
    limits: options.edgeLimits,
    ...options.edge,
  });
  const agent = new Connection(links.agent, {
    role: "agent",
    onStream: options.onAgentStream,
    limits: options.agentLimits,
    ...options.agent,
  });
  return {
    edge,
    agent,
    links,
    async end() {
      edge.close();
      await Promise.all([edge.closed, agent.closed]);
    },
  };
}

/** Reads a stream's bytes to their end. */
export async function readAll(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readable) {
    chunks.push(chunk);
    length += chunk.length;
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/** A handler that answers with what it is sent, as it comes. */
export const echo: NewStreamHandler = (stream: Stream) => {
  stream.respond([":status", "200"]);
  // A broken stream breaks its echo, too. The test looks at the other end.
  stream.readable.pipeTo(stream.writable).catch(() => {});
};

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (chunk: Uint8Array): string => new TextDecoder().decode(chunk);

/** A connection on a fake clock, and a scripted peer that has sent its SETTINGS. */
export async function stage(role: "edge" | "agent", onStream?: (stream: Stream) => void) {
  const links = linkPair();
  const clock = new FakeClock();
  const connection = new Connection(links[role], { role, clock, onStream });
  const peer = new FramePeer(role === "edge" ? links.agent : links.edge);
  await peer.greet();
  await connection.ready;
  return { connection, peer, clock, links };
}

/** Waits some event-loop ticks, so that messages in flight arrive. */
export async function ticks(): Promise<void> {
  for (let tick = 0; tick < 8; tick++) await new Promise((resolve) => setTimeout(resolve, 0));
}

export const GET = [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"];
export const OK = [":status", "200"];
