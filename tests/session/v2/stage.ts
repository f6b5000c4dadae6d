/** What the tests of exchanges on streams share: joined connections, connections with a scripted peer, heads, bodies. */
import { V2EdgeSession } from "../../../src/session/v2/edge_session.ts";
import { openExchange } from "../../../src/session/v2/open.ts";
import { serveExchange } from "../../../src/session/v2/serve.ts";
import type { Answer, Body, Handler, RequestHead } from "../../../src/http/message.ts";
import { Connection, type ConnectionLimits } from "../../../src/httpstream/mod.ts";
import { FramePeer } from "../../support/frame_peer.ts";
import { linkPair } from "../../support/link_pair.ts";

/** The signal of a client that does not leave. */
export const never = new AbortController().signal;

export function head(more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    target: "/x?y=%41",
    scheme: "http",
    authority: "shop.localhost",
    fields: ["Accept", "*/*"],
    client: "192.0.2.1",
    id: "r1",
    ...more,
  };
}

/** Two connections joined in memory; the agent's side serves streams by `upstream`. */
export function joined(upstream: Handler) {
  const links = linkPair();
  const edge = new Connection(links.edge, { role: "edge" });
  const agent = new Connection(links.agent, { role: "agent", onStream: (stream) => serveExchange(stream, upstream) });
  return {
    edge,
    agent,
    links,
    async close() {
      edge.close();
      agent.close();
      await Promise.all([edge.closed, agent.closed]);
    },
  };
}

/** Windows that never grow, so that no WINDOW_UPDATE comes between the frames that a test expects. */
const quiet: Partial<ConnectionLimits> = { growthPoolBytes: 0 };

/** An edge's session whose agent is scripted frame by frame. @param settings the agent's pairs */
export async function withScriptedAgent(settings: readonly number[] = []) {
  const links = linkPair();
  const connection = new Connection(links.edge, { role: "edge", limits: quiet });
  const session = new V2EdgeSession("s1", connection);
  const agent = new FramePeer(links.agent);
  await agent.greet(settings);
  return {
    connection,
    session,
    agent,
    /** Asks, and gives the stream's id as soon as the agent has its HEADERS. */
    async ask(request: RequestHead = head(), body: Body = null, signal: AbortSignal = never) {
      const answer: Promise<Answer> = openExchange(connection, request, body, signal);
      // Tests that break the exchange look at the rejection later.
      answer.catch(() => {});
      let opening = await agent.next();
      // The last frames of an exchange before may come first.
      while (opening.type !== "HEADERS") opening = await agent.next();
      return { answer, opening, id: opening.streamId };
    },
    async close() {
      connection.close();
      await connection.closed;
    },
  };
}

/**
 * An agent's connection whose edge is scripted frame by frame.
 *
 * @param settings of the edge; none are those of the first version. `errors` has what `onError` was told.
 */
export async function withScriptedEdge(upstream: Handler, settings: readonly number[] = [], errors: Error[] = []) {
  const links = linkPair();
  const connection = new Connection(links.agent, {
    role: "agent",
    onStream: (stream) => serveExchange(stream, upstream, (error) => errors.push(error)),
    limits: quiet,
  });
  const edge = new FramePeer(links.edge);
  await edge.greet(settings);
  return {
    connection,
    edge,
    async close() {
      connection.close();
      await connection.closed;
    },
  };
}

/** The fields that open a request's stream. */
export function opening(more: readonly string[] = [], method = "GET"): string[] {
  return [":method", method, ":scheme", "http", ":authority", "shop.localhost", ":path", "/", ...more];
}

export async function text(body: Body): Promise<string> {
  if (body === null) return "";
  return await new Response(body as Uint8Array<ArrayBuffer>).text();
}

export const encode = (words: string): Uint8Array => new TextEncoder().encode(words);

/** A stream that the test feeds. */
export function source() {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const canceled: unknown[] = [];
  const body = new ReadableStream<Uint8Array>({
    start: (given) => void (controller = given),
    cancel: (reason) => void canceled.push(reason),
  }, { highWaterMark: 0 });
  return {
    body,
    /** The reasons with which it was canceled. */
    canceled,
    push: (words: string) => controller.enqueue(encode(words)),
    end: () => controller.close(),
    fail: (error: unknown) => controller.error(error),
  };
}
