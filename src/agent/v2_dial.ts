/** Opens a tunnel by `runnel.v2`: the token in the handshake, then `POST /api/agent/tunnels` on a stream of our own. */
import { z } from "zod";
import { type Clock, RunnelError, systemClock } from "../base/mod.ts";
import { versionFieldName } from "../config/mod.ts";
import { openExchange, serveExchange } from "../session/mod.ts";
import type { Dial } from "../http1/mod.ts";
import { type Answer, fieldValue, type Handler } from "../http/mod.ts";
import { type CloseInfo, Connection, WebSocketLink } from "../httpstream/mod.ts";
import { SocketError } from "../net/mod.ts";
import { type DialedWebSocket, dialWebSocket, HandshakeError } from "../websocket/mod.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError, type AgentErrorCode } from "./errors.ts";
import type { AgentSession, OpenTunnel } from "./session.ts";

export interface BinaryDialOptions {
  edge: EdgeUrl;
  token: string;
  /** This agent's version, for the edge to compare with its own. */
  version: string;
  /** Without it the edge draws a name. */
  name?: string;
  upstream: Handler;
  /** For people: the edge shows it, and never dials it. */
  upstreamLabel?: string;
  /** Take the name over from a live agent with the same token. Default false. */
  force?: boolean;
  /** Milliseconds for the dial, the handshake and the tunnel's opening, each. Default 10,000. */
  timeoutMs?: number;
  /** How to reach the edge, such as `dialThrough(proxy)`. Default: directly. */
  dial?: Dial;
  /** A mistake of our own, which cost one stream; for the log. Default: nothing. */
  onError?(error: unknown): void;
  clock?: Clock;
}

/** @throws {AgentError} */
export async function openBinaryTunnel(options: BinaryDialOptions, signal: AbortSignal): Promise<OpenTunnel> {
  const clock = options.clock ?? systemClock;
  const { socket, rest } = await dial(options, clock, signal);
  const link = new WebSocketLink(socket, { role: "client", rest, clock });
  const connection = new Connection(link, {
    role: "agent",
    clock,
    onStream: (stream) => serveExchange(stream, options.upstream),
    onHandlerError: (error) => options.onError?.(error),
  });
  try {
    const tunnel = await openTunnel(connection, options, clock, signal);
    return { session: new BinaryAgentSession(connection), name: tunnel.name, tunnelId: tunnel.id, url: tunnel.url };
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function dial(options: BinaryDialOptions, clock: Clock, signal: AbortSignal): Promise<DialedWebSocket> {
  const { edge, token, version } = options;
  try {
    return await dialWebSocket({
      target: edge.target,
      authority: edge.authority,
      path: "/agent",
      fields: ["Authorization", `Bearer ${token}`, versionFieldName, version],
      protocols: ["runnel.v2"],
      timeoutMs: options.timeoutMs ?? 10_000,
      signal,
      dial: options.dial,
      clock,
    });
  } catch (error) {
    if (error instanceof HandshakeError) throw refusedHandshake(error, edge, version);
    if (!(error instanceof SocketError)) throw error;
    throw new AgentError("edge_unreachable", `cannot reach the edge ${edge.label}: ${error.reason}`, error);
  }
}

function refusedHandshake(error: HandshakeError, edge: EdgeUrl, version: string): AgentError {
  const detail = problemDetail(error.body);
  if (error.status === 401) return new AgentError("unauthorized", detail ?? "the edge refused the token", error);
  if (error.status === 429) return new AgentError("too_many_attempts", detail ?? "too many refused tokens", error);
  const theirs = fieldValue(error.fields, versionFieldName.toLowerCase());
  if (error.status === 400 && (theirs !== undefined || detail !== undefined)) {
    const reason = `the edge ${edge.label} does not work with this agent (${version}): ${detail ?? `it is ${theirs}`}`;
    return new AgentError("protocol_mismatch", reason, error);
  }
  return new AgentError("edge_unreachable", `no edge answers at ${edge.label}: ${detail ?? error.reason}`, error);
}

const tunnelAnswer = z.object({ id: z.string(), name: z.string(), url: z.string() });
const problem = z.object({ code: z.string().optional(), detail: z.string() });

async function openTunnel(
  connection: Connection,
  options: BinaryDialOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<z.infer<typeof tunnelAnswer>> {
  const wish = {
    kind: "http",
    upstream: options.upstreamLabel ?? "",
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.force ? { force: true } : {}),
  };
  const answer = await ask(connection, "/api/agent/tunnels", JSON.stringify(wish), options, clock, signal);
  const body = await readText(answer);
  if (answer.status === 201) {
    const parsed = tunnelAnswer.safeParse(parseJson(body));
    if (parsed.success) return parsed.data;
    throw new AgentError("protocol_mismatch", "the edge opened the tunnel, but did not say where");
  }
  const known: readonly AgentErrorCode[] = ["name_taken", "bad_name"];
  const parsed = problem.safeParse(parseJson(body));
  const code = known.find((item) => item === parsed.data?.code) ?? "refused";
  throw new AgentError(code, parsed.data?.detail ?? `the edge refused the tunnel with ${answer.status}`);
}

/** One small HTTP exchange with the edge, on a stream. */
async function ask(
  connection: Connection,
  target: string,
  body: string,
  options: BinaryDialOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<Answer> {
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = clock.after(options.timeoutMs ?? 10_000, () => stop.abort());
  const bytes = new TextEncoder().encode(body);
  try {
    return await openExchange(
      connection,
      {
        method: "POST",
        target,
        scheme: "http",
        authority: options.edge.authority,
        fields: ["Content-Type", "application/json", "Content-Length", String(bytes.length)],
        client: "",
        id: "agent",
      },
      bytes,
      stop.signal,
    );
  } catch (error) {
    const reason = error instanceof RunnelError ? error.reason : "the edge did not answer in time";
    throw new AgentError("edge_unreachable", `the edge did not open the tunnel: ${reason}`, error);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

async function readText(answer: Answer): Promise<string> {
  return answer.body === null ? "" : await new Response(answer.body as BodyInit).text();
}

function problemDetail(body: Uint8Array): string | undefined {
  return problem.safeParse(parseJson(new TextDecoder().decode(body))).data?.detail;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no answer of an edge's: the schema says so.
    return undefined;
  }
}

class BinaryAgentSession implements AgentSession {
  readonly closed: AgentSession["closed"];
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.closed = connection.closed.then(({ error, reason }: CloseInfo) => {
      return { code: error?.code ?? "closed", reason: error?.reason ?? (reason || "the edge closed the connection") };
    });
  }

  get active(): number {
    return this.#connection.streams;
  }

  /** Bytes held for its requests, both directions; bounded as `Connection.bufferedBytes` is. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  async drain(): Promise<void> {
    await this.#connection.drain();
  }

  close(reason: string): void {
    this.#connection.close(undefined, reason);
  }
}
