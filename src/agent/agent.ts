/** The agent as a whole: keeps one tunnel open until it is stopped, and reconnects when the link is lost. */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { holdProcess } from "../net/mod.ts";
import type { SessionEnd } from "../session/mod.ts";
import { Backoff } from "./backoff.ts";
import { AgentError } from "./errors.ts";
import type { OpenTunnel, OpenTunnelOnce } from "./open_tunnel.ts";

export interface AgentEvents {
  /** The tunnel is open; after each reconnect again. */
  onReady?(tunnel: OpenTunnel): void;
  /** The session is over, other than by `drain()` or `close()`. */
  onDisconnected?(end: SessionEnd): void;
  /** Attempt number `attempt` follows in `inMs`. `because`: why the last one failed; null before the first. */
  onReconnecting?(attempt: number, inMs: number, because: AgentError | null): void;
}

export interface AgentOptions {
  /** Opens the tunnel, each time anew. */
  open: OpenTunnelOnce;
  /** Milliseconds for which the first connection is tried. Reconnecting is tried for ever. Default 10,000. */
  connectTimeoutMs?: number;
  /** Milliseconds that a session must have lived for the backoff to start anew. Default 10,000. */
  stableMs?: number;
  backoff?: Backoff;
  events?: AgentEvents;
  clock?: Clock;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_STABLE_MS = 10_000;
/** The pauses between the first attempts grow by this much, up to the longest. */
const FIRST_PAUSE_STEP_MS = 250;
const LONGEST_FIRST_PAUSE_MS = 1_000;

const shuttingDown = "The agent is shutting down";

export class Agent {
  readonly #open: OpenTunnelOnce;
  readonly #connectTimeoutMs: number;
  readonly #stableMs: number;
  readonly #backoff: Backoff;
  readonly #events: AgentEvents;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #tunnel: OpenTunnel | null = null;

  constructor(options: AgentOptions) {
    this.#open = options.open;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#stableMs = options.stableMs ?? DEFAULT_STABLE_MS;
    this.#backoff = options.backoff ?? new Backoff();
    this.#events = options.events ?? {};
    this.#clock = options.clock ?? systemClock;
  }

  /** The open tunnel; null while there is none. */
  get tunnel(): OpenTunnel | null {
    return this.#tunnel;
  }

  /**
   * Resolves after `drain()` or `close()`. Rejects with `AgentError` where no first connection comes about within its
   * time, and where the edge refuses for good. The process stays alive until then: between two attempts there is neither
   * a socket nor a timer that would hold it.
   */
  async run(): Promise<void> {
    const endHold = holdProcess();
    try {
      await this.#stayOpen();
    } finally {
      endHold();
    }
  }

  async #stayOpen(): Promise<void> {
    let tunnel: OpenTunnel | null = await this.#connectFirst();
    while (tunnel !== null) {
      const since = this.#clock.now();
      const end = await this.#serve(tunnel);
      if (this.#stop.signal.aborted) return;
      this.#events.onDisconnected?.(end);
      if (this.#clock.now() - since >= this.#stableMs) this.#backoff.reset();
      tunnel = await this.#reconnect();
    }
  }

  /** Lets the requests under way end, then ends `run()`. */
  async drain(): Promise<void> {
    this.#stop.abort();
    await this.#tunnel?.session.drain();
  }

  /** Ends `run()` now; requests under way break off. */
  close(): void {
    this.#stop.abort();
    this.#tunnel?.session.close(shuttingDown);
  }

  async #serve(tunnel: OpenTunnel): Promise<SessionEnd> {
    this.#tunnel = tunnel;
    this.#events.onReady?.(tunnel);
    const end = await tunnel.session.closed;
    this.#tunnel = null;
    return end;
  }

  /** Null where the agent was stopped meanwhile. */
  async #connectFirst(): Promise<OpenTunnel | null> {
    const deadline = this.#clock.now() + this.#connectTimeoutMs;
    // An attempt that hangs is aborted when the time for all attempts is over, whatever its own timeout.
    const late = new AbortController();
    const timer = this.#clock.after(this.#connectTimeoutMs, () => late.abort());
    const signal = AbortSignal.any([this.#stop.signal, late.signal]);
    try {
      for (let attempt = 1;; attempt++) {
        const result = await this.#attempt(signal);
        if (!(result instanceof AgentError)) return result;
        if (result.code !== "edge_unreachable" && result.code !== "too_many_attempts") throw result;
        if (late.signal.aborted) throw result.code === "edge_unreachable" ? this.#tooLate(result) : result;
        // Somebody waits for the first connection, so the pauses are short, without the backoff of a reconnect.
        const pauseMs = Math.min(FIRST_PAUSE_STEP_MS * attempt, LONGEST_FIRST_PAUSE_MS);
        await this.#pause(Math.max(0, Math.min(pauseMs, deadline - this.#clock.now())));
        if (late.signal.aborted) throw result;
      }
    } finally {
      timer.cancel();
    }
  }

  #tooLate(cause: AgentError): AgentError {
    return new AgentError("edge_unreachable", `The edge did not answer within ${this.#connectTimeoutMs} ms`, cause);
  }

  async #reconnect(): Promise<OpenTunnel | null> {
    let because: AgentError | null = null;
    for (let attempt = 1;; attempt++) {
      const inMs = this.#backoff.next();
      this.#events.onReconnecting?.(attempt, inMs, because);
      await this.#pause(inMs);
      const result = await this.#attempt(this.#stop.signal);
      if (!(result instanceof AgentError)) return result;
      if (!result.retryable) throw result;
      because = result;
    }
  }

  async #attempt(signal: AbortSignal): Promise<OpenTunnel | AgentError | null> {
    if (this.#stop.signal.aborted) return null;
    try {
      const tunnel = await this.#open(signal);
      if (!this.#stop.signal.aborted) return tunnel;
      tunnel.session.close(shuttingDown);
      return null;
    } catch (error) {
      if (this.#stop.signal.aborted) return null;
      if (error instanceof AgentError) return error;
      throw error;
    }
  }

  /** Resolves after `ms`, or at once when the agent is stopped. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      let timer: Timer | null = null;
      const done = () => {
        timer?.cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done);
      timer = this.#clock.after(ms, done);
      if (signal.aborted) done();
    });
  }
}
