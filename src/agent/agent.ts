/** The agent as a whole: keeps one tunnel open until it is stopped, and reconnects when the link is lost. */
import { type Backoff, type Clock, pause, systemClock } from "../base/mod.ts";
import { holdProcess } from "../net/mod.ts";
import type { SessionEnd } from "../session/mod.ts";
import { AgentError, type AgentErrorCode } from "./errors.ts";
import { LeavingSessions } from "./leaving_sessions.ts";
import { LinkReport, type ReconnectEvents } from "./link_report.ts";
import type { OpenTunnel, OpenTunnelOnce } from "./open_tunnel.ts";
import { ReconnectPauses } from "./reconnect_pauses.ts";
import { redialPauseMs } from "./redial_pauses.ts";

export interface AgentEvents extends ReconnectEvents {
  /** The tunnel is open; after each reconnect and renewal again. */
  onReady?(tunnel: OpenTunnel): void;
  /** Before the tunnel was ever open: an attempt failed with `because`, and attempt number `attempt` follows in `inMs`. */
  onConnecting?(attempt: number, inMs: number, because: AgentError): void;
}

export interface AgentOptions {
  /** Opens the tunnel, each time anew. */
  open: OpenTunnelOnce;
  /**
   * Milliseconds for which the first connection is tried, unless a cause comes that does not pass by itself. `Infinity`:
   * for ever, whatever the cause, but for a name that no tunnel can have. Reconnecting is tried for ever in any case.
   * Default 10,000.
   */
  connectTimeoutMs?: number;
  /** Milliseconds that a session must have lived for backoff and attempts to start anew. Default 10,000. */
  stableMs?: number;
  /** Between attempts behind a session. Default: see `ReconnectPauses`. */
  backoff?: Backoff;
  events?: AgentEvents;
  clock?: Clock;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_STABLE_MS = 10_000;
/** The pauses between the first attempts grow by this much, up to the longest. */
const FIRST_PAUSE_STEP_MS = 250;
const LONGEST_FIRST_PAUSE_MS = 1_000;

/** What is tried again within the time of the first connection, where it may pass by itself. */
const passingCodes: ReadonlySet<AgentErrorCode> = new Set(["edge_unreachable", "too_many_attempts"]);
/** What ends an agent that had a tunnel already. */
const endingCodes: ReadonlySet<AgentErrorCode> = new Set([
  ...["unauthorized", "name_not_allowed", "bad_name", "protocol_mismatch"] as const,
]);

const shuttingDown = "The agent is shutting down";

export class Agent {
  readonly #open: OpenTunnelOnce;
  readonly #connectTimeoutMs: number;
  /** True where only a wrong call ends the agent. */
  readonly #isPatient: boolean;
  readonly #stableMs: number;
  readonly #pauses: ReconnectPauses;
  readonly #events: AgentEvents;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #tunnel: OpenTunnel | null = null;
  /** Called when the session of `#tunnel` has ended. */
  #onEnd: (end: SessionEnd) => void = () => {};
  readonly #leaving = new LeavingSessions();
  #renewal: Promise<AgentError | null> | null = null;
  /** What a renewal has opened after the session before had ended by itself. */
  #renewed: OpenTunnel | null = null;
  /** Since the last session that was stable. */
  #reconnects = 0;
  readonly #link: LinkReport;

  constructor(options: AgentOptions) {
    this.#open = options.open;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#isPatient = this.#connectTimeoutMs === Infinity;
    this.#stableMs = options.stableMs ?? DEFAULT_STABLE_MS;
    this.#events = options.events ?? {};
    this.#link = new LinkReport(this.#events);
    this.#clock = options.clock ?? systemClock;
    this.#pauses = new ReconnectPauses(this.#clock, options.backoff);
  }

  /** The open tunnel; null while there is none. */
  get tunnel(): OpenTunnel | null {
    return this.#tunnel;
  }

  /** Exchanges under way. */
  get active(): number {
    return (this.#tunnel?.session.active ?? 0) + this.#leaving.active;
  }

  /**
   * Resolves after `drain()` or `close()`. Rejects with `AgentError` where no first connection comes about within its
   * time or ever, where the edge refuses for good, and with the code `replaced` where another agent took the name. The
   * process stays alive until then: between two attempts there is neither a socket nor a timer that would hold it.
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
      const renewed = await this.#takeRenewed();
      if (this.#stop.signal.aborted) return renewed?.session.close(shuttingDown);
      if (renewed !== null) {
        tunnel = renewed;
        continue;
      }
      if (!this.#link.isCut) this.#events.onDisconnected?.(end);
      if (end.code === "replaced") throw new AgentError("replaced", end.reason);
      if (this.#clock.now() - since >= this.#stableMs) {
        this.#pauses.reset();
        this.#reconnects = 0;
      }
      tunnel = await this.#reconnect();
    }
  }

  /**
   * Opens the tunnel once more, such as with another token, and lets the session before finish what runs on it. Resolves
   * to why it could not be opened: that session then goes on. Does nothing while there is no session.
   */
  renew(): Promise<AgentError | null> {
    const tunnel = this.#tunnel;
    if (tunnel === null) return Promise.resolve(null);
    return this.#renewal ??= this.#replace(tunnel).finally(() => this.#renewal = null);
  }

  /** Lets the requests under way end, then ends `run()`. */
  async drain(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#tunnel?.session.drain(), this.#leaving.drain()]);
  }

  /** Ends `run()` now; requests under way break off. */
  close(): void {
    this.#stop.abort();
    this.#tunnel?.session.close(shuttingDown);
    this.#leaving.close(shuttingDown);
  }

  /** Resolves when the session that serves the tunnel has ended, and not for a renewal. */
  #serve(tunnel: OpenTunnel): Promise<SessionEnd> {
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      this.#use(tunnel);
    });
  }

  #use(tunnel: OpenTunnel): void {
    this.#tunnel = tunnel;
    this.#link.isCut = false;
    tunnel.session.linkEvents = this.#link;
    this.#events.onReady?.(tunnel);
    void tunnel.session.peerLeaving?.then(() => this.#moveOn(tunnel));
    void tunnel.session.closed.then((end) => {
      if (this.#tunnel !== tunnel) return;
      this.#tunnel = null;
      this.#onEnd(end);
    });
  }

  /** The edge leaves. Opens the tunnel at the one that takes its place, as soon as there is one. */
  async #moveOn(tunnel: OpenTunnel): Promise<void> {
    const { signal } = this.#stop;
    this.#leaving.noteEdgeLeaves(tunnel.session);
    for (let attempt = 0; this.#tunnel === tunnel && !signal.aborted; attempt++) {
      await pause(redialPauseMs(attempt), signal, this.#clock);
      if (this.#tunnel !== tunnel) return;
      const failure = await this.renew();
      // It ends the agent when this session is over, and not before.
      if (failure !== null && this.#endsLater(failure)) return;
    }
  }

  async #replace(before: OpenTunnel): Promise<AgentError | null> {
    const result = await this.#attempt(this.#stop.signal);
    if (result === null || result instanceof AgentError) return result;
    if (this.#tunnel !== before) {
      this.#renewed = result;
      return null;
    }
    this.#use(result);
    this.#leaving.add(before.session);
    return null;
  }

  /** What a renewal has opened, or is about to, where the session before has ended by itself. */
  async #takeRenewed(): Promise<OpenTunnel | null> {
    await this.#renewal;
    const renewed = this.#renewed;
    this.#renewed = null;
    return renewed;
  }

  /** Null where the agent was stopped meanwhile. */
  async #connectFirst(): Promise<OpenTunnel | null> {
    const deadline = this.#clock.now() + this.#connectTimeoutMs;
    // An attempt that hangs is aborted when the time for all attempts is over, whatever its own timeout.
    const late = new AbortController();
    const timer = this.#isPatient ? null : this.#clock.after(this.#connectTimeoutMs, () => late.abort());
    const signal = AbortSignal.any([this.#stop.signal, late.signal]);
    let cause: AgentError | null = null;
    try {
      for (let attempt = 1;; attempt++) {
        const result = await this.#attempt(signal);
        if (!(result instanceof AgentError)) return result;
        if (this.#endsFirst(result)) throw result;
        if (!result.isCutShort) cause = result;
        if (late.signal.aborted) throw cause ?? this.#tooLate(result);
        const pauseMs = this.#firstPauseMs(attempt, deadline);
        this.#events.onConnecting?.(attempt + 1, pauseMs, result);
        await pause(pauseMs, this.#stop.signal, this.#clock);
        if (late.signal.aborted) throw cause ?? result;
      }
    } finally {
      timer?.cancel();
    }
  }

  #endsFirst(error: AgentError): boolean {
    if (this.#isPatient) return error.code === "bad_name";
    return !error.retryable || !passingCodes.has(error.code);
  }

  #endsLater(error: AgentError): boolean {
    return this.#isPatient ? error.code === "bad_name" : endingCodes.has(error.code);
  }

  /** Somebody waits for a first connection that is limited in time, so its pauses are short, without the backoff. */
  #firstPauseMs(attempt: number, deadline: number): number {
    if (this.#isPatient) return this.#pauses.next();
    const pauseMs = Math.min(FIRST_PAUSE_STEP_MS * attempt, LONGEST_FIRST_PAUSE_MS);
    return Math.max(0, Math.min(pauseMs, deadline - this.#clock.now()));
  }

  /** For an only attempt, which said no more than what it waited for. */
  #tooLate({ reason, cause, remedy }: AgentError): AgentError {
    return new AgentError("edge_unreachable", `${reason} within ${this.#connectTimeoutMs} ms`, cause, { remedy });
  }

  async #reconnect(): Promise<OpenTunnel | null> {
    for (let because: AgentError | null = null;;) {
      const inMs = this.#pauses.next();
      this.#events.onReconnecting?.(++this.#reconnects, inMs, because);
      await pause(inMs, this.#stop.signal, this.#clock);
      const result = await this.#attempt(this.#stop.signal);
      if (!(result instanceof AgentError)) return result;
      if (this.#endsLater(result)) throw result;
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
}
