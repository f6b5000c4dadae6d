/** Opens a tunnel by the JSON protocol: a WebSocket without a subprotocol, `register`, and the edge's answer to it. */
import { systemClock } from "../base/mod.ts";
import { agentFeatures } from "../config/mod.ts";
import {
  FeatureChallengeLines,
  FeatureLatin1,
  FeatureReplaced,
  FeatureRequestCancel,
  FeatureResponseAbort,
  FrameError,
  JsonAgentSession,
  parseEdgeFrame,
  type Register,
  type Registered,
  TypeErrorFrame,
  TypeRegister,
  TypeRegistered,
} from "../session/mod.ts";
import { dialWebSocket, type WebSocketClose, WebSocketConnection } from "../websocket/mod.ts";
import { askedTimeouts, timeoutWarnings } from "./asked_timeouts.ts";
import { answerInTime, type EdgeDialOptions, webSocketTo } from "./edge_dial.ts";
import { edgeFailure, refusal } from "./edge_failure.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError } from "./errors.ts";
import { handshakeFields } from "./handshake_fields.ts";
import type { OpenTunnel } from "./open_tunnel.ts";

export interface JsonDialOptions extends EdgeDialOptions {
  name: string;
  /** This agent's version, for the log of the edge. Default: it is not told. */
  version?: string;
}

/** The largest frame of an edge: a request with its body in base64. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;
/** The largest body of a request that fits such a frame, with room for the head. */
const MAX_BODY_BYTES = 23 * 1024 * 1024;

/** @throws {AgentError} */
export async function openJsonTunnel(options: JsonDialOptions, signal: AbortSignal): Promise<OpenTunnel> {
  const { name, upstream, onError, clock = systemClock } = options;
  const link = await connect(options, signal);
  const register: Register = {
    type: TypeRegister,
    tunnel_id: name,
    agent_token: options.token,
    features: [
      FeatureResponseAbort,
      FeatureRequestCancel,
      FeatureLatin1,
      FeatureChallengeLines,
      FeatureReplaced,
    ],
    max_body_bytes: MAX_BODY_BYTES,
    force: options.force ? true : undefined,
    // Edges that do not know the key drop it, and say nothing of it.
    timeouts: askedTimeouts(options.firstByteMs),
  };
  link.sendText(JSON.stringify(register));
  const registered = await answerInTime(options, signal, (signal) => registration(link, options.edge, signal));
  const session = new JsonAgentSession(link, { upstream, features: registered.features ?? [], onError, clock });
  link.resume();
  const warnings = timeoutWarnings(options.firstByteMs, registered.timeouts);
  return { session, url: registered.url ?? "", urls: registered.urls, name, tunnelId: name, warnings };
}

async function connect(options: JsonDialOptions, signal: AbortSignal): Promise<WebSocketConnection> {
  const fields = handshakeFields(options, [agentFeatures.http, agentFeatures.hostHeader]);
  try {
    const { socket, rest } = await dialWebSocket({ ...webSocketTo(options, signal), fields });
    const link = new WebSocketConnection(socket, {
      role: "client",
      accept: "text",
      maxMessageBytes: MAX_FRAME_BYTES,
      rest,
      clock: options.clock ?? systemClock,
      handlers: { onMessage() {}, onDrain() {}, onClose() {} },
    });
    // What has come with the handshake waits for the handlers that can take it.
    link.pause();
    return link;
  } catch (error) {
    throw edgeFailure(options.edge, error);
  }
}

/** Resolves with `registered`. Rejects where the edge refuses, closes, or speaks another protocol. */
function registration(link: WebSocketConnection, edge: EdgeUrl, signal: AbortSignal): Promise<Registered> {
  return new Promise((resolve, reject) => {
    const fail = (error: AgentError) => {
      link.abort();
      reject(error);
    };
    const closed = (close: WebSocketClose) => {
      const reason = `The edge ${edge.label} closed the link with ${close.code} ${close.reason}`.trim();
      fail(new AgentError("edge_unreachable", reason));
    };
    if (signal.aborted) return fail(signal.reason);
    signal.addEventListener("abort", () => fail(signal.reason));
    link.handlers = {
      onMessage: (data) => {
        try {
          const frame = parseEdgeFrame(data as string);
          if (frame?.type === TypeErrorFrame) return fail(refusal(frame.code, frame.message));
          if (frame?.type !== TypeRegistered) return;
          // Requests may follow in the same read. They wait until the session has set its handlers.
          link.pause();
          resolve(frame);
        } catch (error) {
          if (!(error instanceof FrameError)) throw error;
          const reason = `The edge ${edge.label} does not speak this protocol: ${error.reason}`;
          fail(new AgentError("protocol_mismatch", reason, error));
        }
      },
      onDrain: () => {},
      onEnd: closed,
      onClose: closed,
    };
    link.resume();
  });
}
