/** Opens a tunnel by the JSON protocol: one WebSocket without a subprotocol, `register`, and the edge's word on it. */
import { type Clock, systemClock } from "../base/mod.ts";
import type { Dial } from "../http1/mod.ts";
import type { Handler } from "../http/mod.ts";
import { SocketError } from "../net/mod.ts";
import { dialWebSocket, HandshakeError, WebSocketConnection } from "../websocket/mod.ts";
import {
  type ErrorFrame,
  FeatureRequestCancel,
  FeatureResponseAbort,
  FrameError,
  JsonAgentSession,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeError,
  TypeRegister,
  TypeRegistered,
} from "../session/mod.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError, type AgentErrorCode } from "./errors.ts";
import type { OpenTunnel } from "./session.ts";

export interface JsonDialOptions {
  edge: EdgeUrl;
  token: string;
  name: string;
  upstream: Handler;
  /** Take the name over from a live agent with the same token. Default false. */
  force?: boolean;
  /** Milliseconds for the dial and the handshake together. Default 10,000. */
  timeoutMs?: number;
  /** How to reach the edge, such as `dialThrough(proxy)`. Default: directly. */
  dial?: Dial;
  clock?: Clock;
}

/** The largest frame of an edge: a request whose body is base64. */
const maxFrameBytes = 32 * 1024 * 1024;

/** @throws {AgentError} */
export async function openJsonTunnel(options: JsonDialOptions, signal: AbortSignal): Promise<OpenTunnel> {
  const clock = options.clock ?? systemClock;
  const link = await dial(options, clock, signal);
  const register: Register = {
    type: TypeRegister,
    tunnel_id: options.name,
    agent_token: options.token,
    features: [FeatureResponseAbort, FeatureRequestCancel],
    ...(options.force ? { force: true } : {}),
  };
  link.sendText(JSON.stringify(register));
  const registered = await answerTo(link, clock, options.timeoutMs ?? 10_000, signal);
  const session = new JsonAgentSession(link, {
    upstream: options.upstream,
    features: registered.features ?? [],
    clock,
  });
  link.resume();
  return { session, url: registered.url ?? "", name: options.name, tunnelId: options.name };
}

async function dial(options: JsonDialOptions, clock: Clock, signal: AbortSignal): Promise<WebSocketConnection> {
  const { edge } = options;
  try {
    const { socket, rest } = await dialWebSocket({
      target: edge.target,
      authority: edge.authority,
      path: "/agent",
      timeoutMs: options.timeoutMs ?? 10_000,
      signal,
      dial: options.dial,
    });
    const handlers = { onMessage() {}, onDrain() {}, onClose() {} };
    return new WebSocketConnection(socket, {
      role: "client",
      accept: "text",
      maxMessageBytes: maxFrameBytes,
      rest,
      clock,
      handlers,
    });
  } catch (error) {
    if (!(error instanceof SocketError || error instanceof HandshakeError)) throw error;
    throw new AgentError("edge_unreachable", `Cannot reach the edge ${edge.label}: ${error.reason}`, error);
  }
}

/** Waits for `registered`; an `error` frame, a close or a silence reject. */
function answerTo(
  link: WebSocketConnection,
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Registered> {
  return new Promise((resolve, reject) => {
    const fail = (error: AgentError) => {
      settle();
      link.abort();
      reject(error);
    };
    const onAbort = () => fail(new AgentError("edge_unreachable", "The dial was given up", signal.reason));
    const timer = clock.after(timeoutMs, () => fail(new AgentError("edge_unreachable", "The edge did not answer")));
    const settle = () => {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    link.handlers = {
      onMessage: (data) => {
        try {
          const frame = parseEdgeFrame(data as string);
          if (frame?.type === TypeError) return fail(refusal(frame));
          if (frame?.type !== TypeRegistered) return;
          settle();
          // Requests may follow in the same read: they wait for the session's handlers.
          link.pause();
          resolve(frame);
        } catch (error) {
          if (!(error instanceof FrameError)) throw error;
          fail(new AgentError("protocol_mismatch", `The edge does not speak this protocol: ${error.reason}`, error));
        }
      },
      onDrain: () => {},
      onClose: (close) => {
        fail(new AgentError("edge_unreachable", `The edge closed the link with ${close.code} ${close.reason}`.trim()));
      },
    };
  });
}

function refusal(frame: ErrorFrame): AgentError {
  const known: readonly AgentErrorCode[] = ["unauthorized", "too_many_attempts", "name_taken", "bad_name"];
  const code = known.find((item) => item === frame.code) ?? "refused";
  return new AgentError(code, frame.message);
}
