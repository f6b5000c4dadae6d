/**
 * Keeps several tunnels open on one session, and the session over lost links, until it is stopped. Which tunnels these
 * are may change at any time: those that stay do not notice.
 *
 *     apply(tunnels) ─▶ ServedTunnels ◀─ session 1 ── (link lost) ── session 2 …
 */
import { Backoff, type Clock, pause, systemClock, type Timer } from "../../base/mod.ts";
import { holdProcess } from "../../net/mod.ts";
import type { SessionEnd } from "../../session/mod.ts";
import { AgentError } from "../errors.ts";
import { LeavingSessions } from "../leaving_sessions.ts";
import { LinkReport, type ReconnectEvents } from "../link_report.ts";
import type { OpenTunnel } from "../open_tunnel.ts";
import { ReconnectPauses } from "../reconnect_pauses.ts";
import { redialPauseMs } from "../redial_pauses.ts";
import { ServedTunnels, type ServedTunnelsOptions } from "./served_tunnels.ts";
import type { TunnelConfig } from "./tunnel_config.ts";
import type { TunnelSession, TunnelSessionOptions } from "./tunnel_session.ts";

/** How a session is made, with what the keeper has for it. */
export type ConnectSession = (
  hooks: Pick<TunnelSessionOptions, "handlerOf" | "onLost">,
  signal: AbortSignal,
) => Promise<TunnelSession>;

export interface KeeperEvents extends ReconnectEvents {
  /** A tunnel is open; after each reconnect and renewal, and with another upstream, again. */
  onReady?(tunnel: Omit<OpenTunnel, "session">, upstreamLabel: string): void;
  /** A tunnel could not be opened, or the edge took it away. It is tried again. */
  onTunnelLost?(name: string, reason: string): void;
  /** Before there was ever a session: an attempt failed, and attempt number `attempt` follows in `inMs`. */
  onConnecting?(attempt: number, inMs: number, because: AgentError): void;
}

export interface KeeperOptions extends Pick<ServedTunnelsOptions, "makeUpstream" | "drainMs"> {
  readonly connect: ConnectSession;
  readonly events?: KeeperEvents;
  /**
   * Between attempts, and between those for a tunnel that could not be opened. Default: see `ReconnectPauses`, and up to
   * 1 s, then up to 30 s.
   */
  readonly backoff?: () => Backoff;
  /** Milliseconds that a session must have lived for attempts to start anew. Default 10,000. */
  readonly stableMs?: number;
  readonly clock?: Clock;
}

const DEFAULT_STABLE_MS = 10_000;
/** Until a change is tried again during which the session was lost. */
const SESSION_LOOK_MS = 250;
const shuttingDown = "The agent is shutting down";

export class TunnelKeeper {
  readonly #options: KeeperOptions;
  readonly #events: KeeperEvents;
  readonly #clock: Clock;
  readonly #served: ServedTunnels;
  readonly #stop = new AbortController();
  readonly #pauses: ReconnectPauses;
  readonly #tunnelBackoff: Backoff;
  readonly #leaving = new LeavingSessions();
  #session: TunnelSession | null = null;
  /** Those that wait for a session. */
  #waiters: (() => void)[] = [];
  /** Changes of tunnels and of the session's tunnels are made one after the other. */
  #work: Promise<unknown> = Promise.resolve();
  #renewal: Promise<AgentError | null> | null = null;
  #reconnects = 0;
  #hasConnected = false;
  #retry: Timer | null = null;
  readonly #link: LinkReport;

  constructor(options: KeeperOptions) {
    const { makeUpstream, drainMs, clock = systemClock, backoff } = options;
    this.#options = options;
    this.#events = options.events ?? {};
    this.#link = new LinkReport(this.#events);
    this.#clock = clock;
    this.#pauses = new ReconnectPauses(clock, backoff?.());
    this.#tunnelBackoff = backoff?.() ?? new Backoff();
    this.#served = new ServedTunnels({
      makeUpstream,
      drainMs,
      clock,
      onReady: (tunnel, label) => this.#events.onReady?.(tunnel, label),
    });
  }

  /** The session that serves; null while there is none. */
  get tunnel(): TunnelSession | null {
    return this.#session;
  }

  /** Exchanges under way. */
  get active(): number {
    return (this.#session?.session.active ?? 0) + this.#leaving.active;
  }

  /** Resolves after `drain()` or `close()`. The process stays alive until then. */
  async run(): Promise<void> {
    const endHold = holdProcess();
    try {
      while (!this.#stop.signal.aborted) await this.#liveOnce();
      await this.#leaving.closed();
    } finally {
      endHold();
      this.#retry?.cancel();
      this.#served.close();
    }
  }

  /**
   * Takes these tunnels without waiting for the edge. Those that cannot be opened are tried again and again.
   *
   * @throws {TunnelConfigError} where they cannot be served. Nothing has changed then.
   */
  start(tunnels: readonly TunnelConfig[]): void {
    this.#served.replace(tunnels);
    this.#openMissing();
  }

  /**
   * Serves these tunnels instead of those before. Resolves when all of them are open at the edge, for which it waits as
   * long as there is no session. Where one cannot be had, or `ended` aborts, those before go on.
   *
   * @throws {TunnelConfigError} where one cannot be served by this agent
   * @throws {AgentError} where the edge refuses one, and when `ended` aborts or the agent is stopped
   */
  async apply(tunnels: readonly TunnelConfig[], ended: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, ended]);
    for (;;) {
      const session = await this.#nextSession(signal);
      try {
        await this.#exclusively(() => this.#served.change(tunnels, session, signal));
        return this.#retireRetry();
      } catch (error) {
        if (signal.aborted || !(error instanceof AgentError) || error.code !== "edge_unreachable") throw error;
        // The session was lost meanwhile, or is about to be.
        await pause(SESSION_LOOK_MS, signal, this.#clock);
      }
    }
  }

  /**
   * Makes another session, such as with another token, and lets the one before finish what runs on it. Resolves to why it
   * could not be made: the one before then goes on. Does nothing while there is none.
   */
  renew(): Promise<AgentError | null> {
    if (this.#session === null) return Promise.resolve(null);
    return this.#renewal ??= this.#exclusively(() => this.#replaceSession()).finally(() => this.#renewal = null);
  }

  /** Lets the requests under way end, then ends `run()`. */
  async drain(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#session?.session.drain(), this.#leaving.drain()]);
  }

  /** Ends `run()` now; requests under way break off. */
  close(): void {
    this.#stop.abort();
    this.#session?.session.close(shuttingDown);
    this.#leaving.close(shuttingDown);
  }

  /** Connects, and serves until the session has ended. */
  async #liveOnce(): Promise<void> {
    const session = await this.#connectAtLast();
    if (session === null) return;
    const since = this.#clock.now();
    // Before those who wait for a session change anything on it.
    void this.#exclusively(() => this.#openOn(session, true));
    this.#use(session);
    const end = await this.#endOfSessions();
    if (this.#stop.signal.aborted) return;
    if (!this.#link.isCut) this.#events.onDisconnected?.(end);
    if (this.#clock.now() - since < (this.#options.stableMs ?? DEFAULT_STABLE_MS)) return;
    this.#pauses.reset();
    this.#reconnects = 0;
  }

  /** Resolves when the session that serves has ended, and no renewal has put another one in its place. */
  async #endOfSessions(): Promise<SessionEnd> {
    for (;;) {
      const serving = this.#session!;
      const end = await serving.session.closed;
      await this.#renewal;
      if (this.#session !== serving) continue;
      this.#session = null;
      this.#served.loseAll();
      return end;
    }
  }

  #use(session: TunnelSession): void {
    this.#session = session;
    this.#link.isCut = false;
    session.session.linkEvents = this.#link;
    this.#hasConnected = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
    void session.session.peerLeaving?.then(() => this.#moveOn(session));
  }

  /** The edge leaves. Makes a session with the one that takes its place, as soon as there is one. */
  async #moveOn(session: TunnelSession): Promise<void> {
    const { signal } = this.#stop;
    this.#leaving.noteEdgeLeaves(session.session);
    for (let attempt = 0; this.#session === session && !signal.aborted; attempt++) {
      await pause(redialPauseMs(attempt), signal, this.#clock);
      if (this.#session === session) await this.renew();
    }
  }

  /** Tries until there is a session, whatever the cause; null where the agent was stopped meanwhile. */
  async #connectAtLast(): Promise<TunnelSession | null> {
    const { signal } = this.#stop;
    let because: AgentError | null = null;
    for (let attempt = 1; !signal.aborted; attempt++) {
      // The very first attempt is made at once.
      if (this.#hasConnected || because !== null) {
        const inMs = this.#pauses.next();
        if (this.#hasConnected) this.#events.onReconnecting?.(++this.#reconnects, inMs, because);
        else this.#events.onConnecting?.(attempt, inMs, because!);
        await pause(inMs, signal, this.#clock);
        if (signal.aborted) return null;
      }
      const result = await this.#connect();
      if (!(result instanceof AgentError)) return result;
      because = result;
    }
    return null;
  }

  async #connect(): Promise<TunnelSession | AgentError | null> {
    const { signal } = this.#stop;
    const hooks = {
      handlerOf: (name: string) => this.#served.handlerOf(name),
      onLost: (session: TunnelSession, name: string, _: string, reason: string) => this.#onLost(session, name, reason),
    };
    try {
      const session = await this.#options.connect(hooks, signal);
      if (!signal.aborted) return session;
      session.session.close(shuttingDown);
      return null;
    } catch (error) {
      if (signal.aborted) return null;
      if (error instanceof AgentError) return error;
      throw error;
    }
  }

  async #replaceSession(): Promise<AgentError | null> {
    const before = this.#session;
    const result = await this.#connect();
    if (result === null || result instanceof AgentError) return result;
    let isOver = false;
    void result.session.closed.then(() => isOver = true);
    // Each tunnel goes over when it is opened there, since both sessions are of the same agent.
    await this.#openOn(result, true);
    if (this.#stop.signal.aborted) result.session.close(shuttingDown);
    else if (isOver) {
      if (before !== null) await this.#openOn(before, true);
      return new AgentError("edge_unreachable", "The new session was lost at once");
    } else {
      this.#use(result);
      if (before !== null) this.#leaving.add(before.session);
    }
    return null;
  }

  /** Opens the tunnels that are not open on the session, one by one, whatever becomes of the others. */
  #openMissing(): void {
    this.#retry?.cancel();
    this.#retry = null;
    void this.#exclusively(async () => {
      if (this.#session !== null) await this.#openOn(this.#session, false);
    });
  }

  async #openOn(session: TunnelSession, isNew: boolean): Promise<void> {
    const failed = await this.#served.openOn(session, isNew, this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    for (const [name, { reason }] of failed) this.#events.onTunnelLost?.(name, reason);
    if (failed.length > 0) this.#retryLater();
    else this.#retireRetry();
  }

  #onLost(session: TunnelSession, name: string, reason: string): void {
    if (session !== this.#session || !this.#served.lose(name)) return;
    this.#events.onTunnelLost?.(name, reason);
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stop.signal.aborted) return;
    this.#retry ??= this.#clock.after(this.#tunnelBackoff.next(), () => this.#openMissing());
  }

  #retireRetry(): void {
    this.#retry?.cancel();
    this.#retry = null;
    this.#tunnelBackoff.reset();
  }

  /** @throws {AgentError} when `signal` aborts */
  async #nextSession(signal: AbortSignal): Promise<TunnelSession> {
    for (;;) {
      if (signal.aborted) throw new AgentError("edge_unreachable", shuttingDown, undefined, { isCutShort: true });
      if (this.#session !== null) return this.#session;
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(work);
    this.#work = result.catch(() => {});
    return result;
  }
}
