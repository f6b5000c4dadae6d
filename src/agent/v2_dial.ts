/** Opens a tunnel by `runnel.v2`: the token in the handshake, then `POST /api/agent/tunnels` on a stream of our own. */
import { z } from "zod";
import { RunnelError, systemClock } from "../base/mod.ts";
import { agentFeatures } from "../config/mod.ts";
import {
  type Connection,
  ConnectionError,
  ErrorCode,
  type LinkLimits,
  type Stream,
  WebSocketRoundTripper,
} from "../httpstream/mod.ts";
import { type NetworkWatch, networkWatch } from "../net/mod.ts";
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
import { Redialer } from "./redialer.ts";

export interface V2DialOptions extends EdgeDialOptions {
  /** This agent's version, which the edge compares with its own. */
  version: string;
  /** Default: the edge draws one. */
  name?: string;
  /** What the upstream can do, for tunnels that require something. Default: what a service of HTTP/1.1 can. */
  features?: readonly string[];
  /** Serves the tunnel together with other agents that ask for this, too. Default false. */
  share?: boolean;
  /** For people: the edge shows it, and never dials it. Default none. */
  upstreamLabel?: string;
  /** Heartbeat of the connection: see `ConnectionLimits`. */
  link?: LinkLimits;
  /**
   * True: the session goes on over another link where the edge lets it. False: it ends with its link. Default true.
   */
  resumes?: boolean;
  /** Default: that of the process. */
  network?: Pick<NetworkWatch, "listen">;
}

/** A connection to an edge, and the session on it. */
export interface V2Connected {
  readonly connection: Connection;
  readonly session: V2AgentSession;
}

const defaultFeatures = Object.values(agentFeatures);

/** What dials an edge without opening a tunnel there. */
export type V2ConnectOptions =
  & Omit<V2DialOptions, "upstream" | "name" | "force" | "share" | "firstByteMs" | "upstreamLabel">
  & {
    /** Serves what the edge opens. */
    readonly onStream: (stream: Stream) => void;
    /** Bits of `Feature` that the agent takes beside those of every connection. Default 0. */
    readonly featureBits?: number;
  };

/** @throws {AgentError} */
export async function openV2Tunnel(options: V2DialOptions, signal: AbortSignal): Promise<OpenTunnel> {
  const { upstream, onError } = options;
  const onStream = (stream: Stream) => serveExchange(stream, upstream, onError);
  const { connection, session } = await connectV2({ ...options, onStream }, signal);
  try {
    const { id, name, url, urls, timeouts } = await openTunnel(connection, options, signal);
    const warnings = timeoutWarnings(options.firstByteMs, timeouts);
    return { session, name, tunnelId: id, url, urls, warnings };
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
  const onStream = (stream: Stream) => stream.reset(ErrorCode.REFUSED_STREAM);
  const { connection } = await connectV2({ ...options, onStream, resumes: false }, signal);
  connection.close();
  await connection.closed;
}

/**
 * Dials the edge and shows it the token. A session that loses its link dials again by itself.
 *
 * @throws {AgentError}
 */
export async function connectV2(options: V2ConnectOptions, signal: AbortSignal): Promise<V2Connected> {
  const { edge, token, version, features = defaultFeatures, clock = systemClock, resumes = true } = options;
  const roundTripper = new WebSocketRoundTripper({
    clock,
    features: options.featureBits,
    limits: options.link,
    resumeTimeoutMs: resumes ? Infinity : 0,
    onStream: options.onStream,
    onHandlerError: (error) => options.onError?.(error),
  });
  const fields = ["Authorization", `Bearer ${token}`, ...handshakeFields(options, features)];
  const dialOnce = async <T>(dial: () => Promise<T>): Promise<T> => {
    try {
      return await dial();
    } catch (error) {
      throw edgeFailure(edge, error, version);
    }
  };
  const upgraded = await dialOnce(() => roundTripper.connect({ ...webSocketTo(options, signal), fields }));
  const { connection } = upgraded;
  const session = new V2AgentSession(connection);
  new Redialer({
    connection,
    clock,
    dial: (epoch, connectTimeoutMs, signal) => {
      const target = webSocketTo(options, signal);
      return dialOnce(() => roundTripper.resume(upgraded, epoch, { ...target, connectTimeoutMs, fields }));
    },
    events: () => session.linkEvents,
    network: options.network ?? networkWatch,
  });
  return { connection, session };
}

/** What an edge says of a tunnel that it has opened. */
export type TunnelAnswer = z.infer<typeof tunnelAnswer>;

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
  return await requestTunnel(connection, { ...options, timeouts: askedTimeouts(options.firstByteMs) }, signal);
}

/** What is asked for a tunnel on a connection. */
export type TunnelWish =
  & Pick<V2DialOptions, "edge" | "name" | "upstreamLabel" | "force" | "share" | "timeoutMs" | "clock">
  & { readonly timeouts?: AskedTimeouts };

/**
 * Opens a tunnel on a connection.
 *
 * @throws {AgentError}
 */
export async function requestTunnel(
  connection: Connection,
  wish: TunnelWish,
  signal: AbortSignal,
): Promise<TunnelAnswer> {
  let answer: EdgeAnswer = { status: 400, text: "" };
  // An edge of an earlier version refuses what it does not know. A request that is wrong in another way still is
  // without it.
  for (const timeouts of weakerAndWeaker(wish.timeouts)) {
    if (answer.status === 400) answer = await askForTunnel(connection, { ...wish, timeouts }, signal);
  }
  const { status, text } = answer;
  if (status === 201) {
    const parsed = tunnelAnswer.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new AgentError("protocol_mismatch", "The edge opened the tunnel, but did not say where");
  }
  if (status === 400 && wish.share === true && text.includes("share")) throw unshared(wish.edge);
  const told = problemOf(text);
  throw refusal(told?.code, told?.detail ?? `The edge refused the tunnel with ${status}`);
}

/** `timeouts`, then without what was added last, then without any. */
function weakerAndWeaker(timeouts: AskedTimeouts | undefined): (AskedTimeouts | undefined)[] {
  if (timeouts === undefined) return [undefined];
  const { firstByte, idle } = timeouts;
  return idle === undefined || firstByte === undefined ? [timeouts, undefined] : [timeouts, { firstByte }, undefined];
}

/** An edge that does not know the key would refuse it, or have the agent serve alone: the person asked for neither. */
function unshared({ label }: EdgeUrl): AgentError {
  const reason = `The edge ${label} is older than this agent: it lets one agent serve a tunnel, and not several`;
  return new AgentError("protocol_mismatch", reason, undefined, {
    remedy: "Bring the edge to this version, or leave --share out",
  });
}

function askForTunnel(connection: Connection, wish: TunnelWish, signal: AbortSignal): Promise<EdgeAnswer> {
  const { name, upstreamLabel: upstream = "", timeouts } = wish;
  const [force, share] = [wish.force, wish.share].map((isAsked) => isAsked ? true : undefined);
  const request = { kind: "http", upstream, name, force, share, timeouts };
  return askEdge(connection, wish, "POST", "/api/agent/tunnels", request, signal);
}

export interface EdgeAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks the edge on a stream of the agent's own.
 *
 * @param json the body; undefined: none
 * @throws {AgentError} where no answer comes
 */
export async function askEdge(
  connection: Connection,
  place: Pick<EdgeDialOptions, "edge" | "timeoutMs" | "clock">,
  method: "POST" | "DELETE",
  target: string,
  json: object | undefined,
  signal: AbortSignal,
): Promise<EdgeAnswer> {
  const { edge } = place;
  const body = json === undefined ? null : new TextEncoder().encode(JSON.stringify(json));
  const fields = body === null ? [] : ["Content-Type", "application/json", "Content-Length", String(body.length)];
  const head = { method, target, scheme: "http", authority: edge.authority, fields, client: "", id: "agent" } as const;
  try {
    return await answerInTime(place, signal, async (signal) => {
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
