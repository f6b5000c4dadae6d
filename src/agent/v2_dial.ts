/** Opens a tunnel by `runnel.v2`: the token in the handshake, then `POST /api/agent/tunnels` on a stream of our own. */
import { z } from "zod";
import { RunnelError, systemClock } from "../base/mod.ts";
import { agentFeatures } from "../config/mod.ts";
import { type Connection, ConnectionError, WebSocketRoundTripper } from "../httpstream/mod.ts";
import {
  type AskedTimeouts,
  askedTimeoutsShape,
  openExchange,
  parseJson,
  serveExchange,
  V2AgentSession,
} from "../session/mod.ts";
import { askedTimeouts, timeoutWarnings } from "./asked_timeouts.ts";
import { answerInTime, type EdgeDialOptions, webSocketTo } from "./edge_dial.ts";
import { edgeFailure, problemOf, refusal } from "./edge_failure.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError } from "./errors.ts";
import { handshakeFields } from "./handshake_fields.ts";
import type { OpenTunnel } from "./open_tunnel.ts";

export interface V2DialOptions extends EdgeDialOptions {
  /** This agent's version, which the edge compares with its own. */
  version: string;
  /** Default: the edge draws one. */
  name?: string;
  /** What the upstream can do, for tunnels that require something. Default: what a service of HTTP/1.1 can. */
  features?: readonly string[];
  /** For people: the edge shows it, and never dials it. Default none. */
  upstreamLabel?: string;
}

const defaultFeatures = Object.values(agentFeatures);

/** @throws {AgentError} */
export async function openV2Tunnel(options: V2DialOptions, signal: AbortSignal): Promise<OpenTunnel> {
  const connection = await connect(options, signal);
  try {
    const { id, name, url, urls, timeouts } = await openTunnel(connection, options, signal);
    const warnings = timeoutWarnings(options.firstByteMs, timeouts);
    return { session: new V2AgentSession(connection), name, tunnelId: id, url, urls, warnings };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Shows the edge the token, and leaves it without a tunnel.
 *
 * @throws {AgentError}
 */
export async function tryEdge(
  options: Pick<V2DialOptions, "edge" | "token" | "version" | "dial" | "timeoutMs" | "clock">,
  signal: AbortSignal,
): Promise<void> {
  const upstream = () => Promise.reject(new Error("A trial serves no requests"));
  const connection = await connect({ ...options, upstream }, signal);
  connection.close();
  await connection.closed;
}

async function connect(options: V2DialOptions, signal: AbortSignal): Promise<Connection> {
  const { edge, token, version, upstream, features = defaultFeatures, clock = systemClock } = options;
  const roundTripper = new WebSocketRoundTripper({
    clock,
    onStream: (stream) => serveExchange(stream, upstream, options.onError),
    onHandlerError: (error) => options.onError?.(error),
  });
  const fields = ["Authorization", `Bearer ${token}`, ...handshakeFields(options, features)];
  try {
    const { connection } = await roundTripper.connect({ ...webSocketTo(options, signal), fields });
    return connection;
  } catch (error) {
    throw edgeFailure(edge, error, version);
  }
}

const tunnelAnswer = z.object({
  id: z.string(),
  name: z.string(),
  url: z.string(),
  urls: z.array(z.string()).optional().catch(undefined),
  timeouts: z.object(askedTimeoutsShape).optional(),
});

async function openTunnel(
  connection: Connection,
  options: V2DialOptions,
  signal: AbortSignal,
): Promise<z.infer<typeof tunnelAnswer>> {
  const timeouts = askedTimeouts(options.firstByteMs);
  let answer = await askForTunnel(connection, { ...options, timeouts }, signal);
  // An edge of the previous version refuses the key. Where the request is wrong in another way, it still is without it.
  if (answer.status === 400 && timeouts !== undefined) answer = await askForTunnel(connection, options, signal);
  const { status, text } = answer;
  if (status === 201) {
    const parsed = tunnelAnswer.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new AgentError("protocol_mismatch", "The edge opened the tunnel, but did not say where");
  }
  const told = problemOf(text);
  throw refusal(told?.code, told?.detail ?? `The edge refused the tunnel with ${status}`);
}

interface TunnelWish extends V2DialOptions {
  readonly timeouts?: AskedTimeouts;
}

async function askForTunnel(
  connection: Connection,
  options: TunnelWish,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  const { name, upstreamLabel = "", edge, timeouts } = options;
  const request = { kind: "http", upstream: upstreamLabel, name, force: options.force ? true : undefined, timeouts };
  const body = new TextEncoder().encode(JSON.stringify(request));
  const head = {
    method: "POST",
    target: "/api/agent/tunnels",
    scheme: "http",
    authority: edge.authority,
    fields: ["Content-Type", "application/json", "Content-Length", String(body.length)],
    client: "",
    id: "agent",
  } as const;
  try {
    return await answerInTime(options, signal, async (signal) => {
      const { status, body: answer } = await openExchange(connection, head, body, signal);
      return { status, text: answer === null ? "" : await new Response(answer as BodyInit).text() };
    });
  } catch (error) {
    throw notOpened(edge, error);
  }
}

/** The error for a tunnel that was asked for, and whose answer did not come. */
function notOpened(edge: EdgeUrl, error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  const lost = connectionErrorIn(error);
  if (lost?.code === "protocol_error") {
    return new AgentError(
      "protocol_mismatch",
      `The edge ${edge.label} does not speak runnel.v2: ${lost.reason}`,
      error,
    );
  }
  const reason = lost?.reason ?? (error instanceof RunnelError ? error.reason : String(error));
  return new AgentError("edge_unreachable", `The edge ${edge.label} did not open the tunnel: ${reason}`, error);
}

/** How the connection of an exchange failed, from the beginning; null where the exchange alone did. */
function connectionErrorIn(error: unknown): ConnectionError | null {
  let first: ConnectionError | null = null;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ConnectionError) first = cause;
  }
  return first;
}
