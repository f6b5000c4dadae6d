/** What opening a tunnel has in common, whichever protocol it is opened by: how to dial, how long to wait, how to fail. */
import { type Clock, systemClock } from "../base/mod.ts";
import type { Dial } from "../http1/mod.ts";
import type { Handler } from "../http/mod.ts";
import type { WebSocketDialOptions } from "../websocket/mod.ts";
import { cutShort, edgeAdvice } from "./edge_failure.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError } from "./errors.ts";

export interface EdgeDialOptions {
  edge: EdgeUrl;
  token: string;
  /** Asked for each request of the public. */
  upstream: Handler;
  /** Takes the name over from a live agent with the same token. Default false. */
  force?: boolean;
  /** See `newAgentKey`. A session takes the name over from an earlier one with the same key. Default: from none. */
  agentKey?: string;
  /** Stays the same when the agent's process is started anew; see `keptInstance`. Default: none is told. */
  instance?: string;
  /** Milliseconds that the edge waits for an answer of this tunnel; `Infinity`: for ever. Default: its own setting. */
  firstByteMs?: number;
  /** Milliseconds for the dial with its handshake, and as many for the edge's answer after it. Default 10,000. */
  timeoutMs?: number;
  /** How to reach the edge, such as `dialThrough(proxy)`. Default: directly. */
  dial?: Dial;
  /**
   * A request or an answer that could not be passed on, or a mistake of our own, which cost one exchange; for the log.
   * Default: does nothing.
   */
  onError?(error: unknown): void;
  clock?: Clock;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** The WebSocket to dial, without what one protocol alone adds to it. */
export function webSocketTo(
  options: Pick<EdgeDialOptions, "edge" | "dial" | "timeoutMs" | "clock">,
  signal: AbortSignal,
): WebSocketDialOptions {
  const { edge, dial, timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock } = options;
  return { target: edge.target, authority: edge.authority, path: "/agent", timeoutMs, signal, dial, clock };
}

/**
 * Waits for the edge's answer, for `timeoutMs`.
 *
 * @param ask gets a signal that aborts when the time is over, and when `signal` aborts. Its reason is an `AgentError`.
 */
export async function answerInTime<T>(
  options: Pick<EdgeDialOptions, "edge" | "timeoutMs" | "clock">,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { edge, timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock } = options;
  const stop = new AbortController();
  const onAbort = () => stop.abort(cutShort(edge, "Cannot open the tunnel", edgeAdvice.silent, signal.reason));
  const timer = clock.after(timeoutMs, () => {
    const reason = `Cannot reach the edge ${edge.label}: Cannot open the tunnel: no answer within ${timeoutMs} ms`;
    stop.abort(new AgentError("edge_unreachable", reason, undefined, { remedy: edgeAdvice.silent.remedy }));
  });
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await ask(stop.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
  }
}
