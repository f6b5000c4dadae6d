/**
 * An agent that its edge configures: it fetches the config of its node, listens for word of changes, applies each version
 * and acknowledges what became of it.
 *
 *     GET config ─▶ apply (TunnelKeeper) ─▶ keep on disk ─▶ POST ack
 *         ▲                                                    │ cannot be applied: the last good one goes on
 *         └── config_changed (push), or a poll now and then ◀──┘
 */
import { z } from "zod";
import { Backoff, type Clock, messageOf, RunnelError, systemClock } from "../../base/mod.ts";
import { parseJson } from "../../session/mod.ts";
import { AgentError } from "../errors.ts";
import { Acknowledger } from "./acknowledger.ts";
import type { EdgeApi } from "./edge_api.ts";
import { Alarm } from "./alarm.ts";
import { PushStream } from "./push_stream.ts";
import type { AgentState } from "./state_file.ts";
import { type EdgeConfig, TunnelConfigError } from "./tunnel_config.ts";
import type { TunnelKeeper } from "./tunnel_keeper.ts";

/** What an edge may tell its agents to do. */
export type AgentAction = "reconnect" | "drain" | "shutdown";

export interface ManagedAgentEvents {
  /** A version was applied, or could not be (`error`). */
  onConfig?(version: number, error: string | null): void;
  /** Something with the edge does not work, and is tried again: its config, its events or an acknowledgement. */
  onTrouble?(what: string, reason: string): void;
  /** The same goes on as before. @param what see `onTrouble` */
  onRecovered?(what: string): void;
  /** The edge asks the agent to leave: to finish what runs, or at once. */
  onLeave?(action: "drain" | "shutdown"): void;
}

export interface ManagedAgentOptions {
  readonly api: EdgeApi;
  readonly keeper: TunnelKeeper;
  /** What was served last, which is served until the edge says otherwise. Default: nothing. */
  readonly lastGood?: AgentState | null;
  /** Keeps what is served now. Its failure is told as trouble. Default: keeps nothing. */
  save?(state: AgentState): Promise<void>;
  readonly events?: ManagedAgentEvents;
  /** Between attempts to reach the edge. Default: up to 1 s, then up to 30 s. */
  readonly backoff?: () => Backoff;
  readonly clock?: Clock;
  /** The system's time in milliseconds since 1970, for what expires. */
  readonly wallClock?: () => number;
}

/** Between polls, where the edge has not said anything yet. */
const DEFAULT_POLL_MS = 60_000;
const MIN_POLL_MS = 1_000;
const MAX_POLL_MS = 24 * 3_600_000;

const configChanged = z.object({ version: z.number().optional() });
const pollInterval = z.object({ pollIntervalMs: z.number() });
const action = z.object({
  action: z.enum(["reconnect", "drain", "shutdown"]),
  expiresAt: z.union([z.string(), z.number()]),
});

export class ManagedAgent {
  readonly #options: ManagedAgentOptions;
  readonly #events: ManagedAgentEvents;
  readonly #acknowledger: Acknowledger;
  readonly #push: PushStream;
  readonly #stop = new AbortController();
  #pollMs = DEFAULT_POLL_MS;
  #etag: string | null = null;
  #pushPath: string | null = null;
  #hasToldForeign = false;
  /** Rings when a poll is wanted before its time. */
  readonly #pollAlarm: Alarm;
  /** The version that is to be applied next. */
  #pending: EdgeConfig | null = null;
  /** Rings when there is one. */
  readonly #applyAlarm: Alarm;
  /** Ends the attempt to apply a version for which a later one has come. */
  #applying: AbortController | null = null;
  #told: { readonly version: number; readonly reason: string | null } | null = null;
  readonly #troubles = new Map<string, string>();

  constructor(options: ManagedAgentOptions) {
    const { api, clock = systemClock, backoff = () => new Backoff() } = options;
    this.#options = options;
    this.#events = options.events ?? {};
    this.#pollAlarm = new Alarm(clock);
    this.#applyAlarm = new Alarm(clock);
    this.#acknowledger = new Acknowledger({
      send: (ack, signal) => api.acknowledge(ack, signal),
      onTrouble: (reason) => this.#trouble("acknowledgement", reason),
      onSent: () => this.#recovered("acknowledgement"),
      // Of a version that the edge does not know, another one may be the newest now.
      onRefused: () => this.#pollNow(),
      backoff: backoff(),
      clock,
    });
    this.#push = new PushStream({
      open: (lastEventId, cancel) => api.push(this.#pushPath!, lastEventId, cancel),
      onEvent: (type, data) => this.#take(type, data),
      onOpen: (hasMissed) => {
        this.#recovered("events");
        if (hasMissed) this.#pollNow();
      },
      onEnd: (reason) => this.#trouble("events", reason),
      backoff: backoff(),
      clock,
    });
  }

  /** Resolves after `drain()` or `close()`, which the edge may ask for. */
  async run(): Promise<void> {
    const { lastGood = null, keeper, api } = this.#options;
    if (lastGood !== null) this.#startWith(lastGood);
    const serving = keeper.run();
    const loops = [this.#pollOn(), this.#applyOn(), this.#acknowledger.run(this.#stop.signal)];
    try {
      await serving;
    } finally {
      this.#end();
      await Promise.all(loops);
      api.close();
    }
  }

  /** To be called when the token has changed, and the session was renewed with it. */
  tokenChanged(): void {
    this.#push.restart();
  }

  /** Asks for the config now. */
  reload(): void {
    this.#pollNow();
  }

  /** Lets the requests under way end, then ends `run()`. */
  async drain(): Promise<void> {
    this.#end();
    await this.#options.keeper.drain();
  }

  /** Ends `run()` now; requests under way break off. */
  close(): void {
    this.#end();
    this.#options.keeper.close();
  }

  #end(): void {
    this.#stop.abort();
    this.#applying?.abort();
    this.#pollAlarm.ring();
    this.#applyAlarm.ring();
  }

  #startWith({ tunnels }: AgentState): void {
    try {
      this.#options.keeper.start(tunnels);
    } catch (error) {
      // The agent may permit less than it did before.
      if (!(error instanceof TunnelConfigError)) throw error;
      this.#trouble("the config that was kept", error.reason);
    }
  }

  async #pollOn(): Promise<void> {
    const backoff = this.#options.backoff?.() ?? new Backoff();
    const { signal } = this.#stop;
    let isListening = false;
    while (!signal.aborted) {
      this.#pollAlarm.clear();
      let pauseMs: number;
      try {
        await this.#poll();
        backoff.reset();
        this.#recovered("config");
        // Not all agents at the same time.
        pauseMs = this.#pollMs * (0.9 + Math.random() * 0.2);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AgentError)) throw error;
        this.#trouble("config", error.reason);
        pauseMs = backoff.next();
      }
      if (!isListening && this.#pushPath !== null) {
        isListening = true;
        void this.#push.run(signal);
      }
      if (!signal.aborted) await this.#pollAlarm.wait(pauseMs);
    }
  }

  async #poll(): Promise<void> {
    const { api } = this.#options;
    const fetched = await api.config(this.#etag, this.#stop.signal);
    if (fetched === null) return;
    const { config, etag } = fetched;
    this.#etag = etag;
    this.#pollMs = allowedPollMs(config.pollIntervalMs);
    this.#setPushPath(config.pushUrl);
    this.#pending = config;
    this.#applying?.abort();
    this.#applyAlarm.ring();
  }

  #setPushPath(pushUrl: string): void {
    const { path, isForeign } = this.#options.api.pushPathOf(pushUrl);
    if (isForeign && !this.#hasToldForeign) {
      this.#hasToldForeign = true;
      this.#trouble("pushUrl", "it has another origin than --edge, and the edge itself is asked instead");
    }
    const isOther = this.#pushPath !== null && this.#pushPath !== path;
    this.#pushPath = path;
    if (isOther) this.#push.restart();
  }

  /** However often it is called while a poll runs, one more follows. */
  #pollNow(): void {
    this.#pollAlarm.ring();
  }

  /** An event of the edge. Those that are not known are passed over. */
  #take(type: string, data: string): void {
    const json = parseJson(data);
    if (type === "config_changed" && configChanged.safeParse(json).success) return this.#pollNow();
    if (type === "poll_interval") {
      const { data: told } = pollInterval.safeParse(json);
      if (told === undefined || !(told.pollIntervalMs > 0)) return;
      this.#pollMs = allowedPollMs(told.pollIntervalMs);
      return this.#pollNow();
    }
    if (type !== "action") return;
    const { data: told } = action.safeParse(json);
    if (told !== undefined) this.#obey(told.action, told.expiresAt);
  }

  #obey(what: AgentAction, expiresAt: string | number): void {
    const now = this.#options.wallClock?.() ?? Date.now();
    const deadline = typeof expiresAt === "number" ? expiresAt : Date.parse(expiresAt);
    if (!(deadline > now)) {
      return this.#trouble("action", `${what} came too late: it was to be obeyed until ${expiresAt}`);
    }
    if (what !== "reconnect") return this.#events.onLeave?.(what);
    this.#push.restart();
    void this.#options.keeper.renew().then((error) => {
      if (error !== null) this.#trouble("reconnect", error.reason);
    });
  }

  /** Applies the newest version, one at a time; a later one ends the attempt with an earlier one. */
  async #applyOn(): Promise<void> {
    const backoff = this.#options.backoff?.() ?? new Backoff();
    const { signal } = this.#stop;
    /** One that the edge has refused, and may take later. */
    let toRetry: EdgeConfig | null = null;
    while (!signal.aborted) {
      this.#applyAlarm.clear();
      const config: EdgeConfig | null = this.#pending ?? toRetry;
      if (this.#pending !== null) backoff.reset();
      this.#pending = toRetry = null;
      let pauseMs = Infinity;
      if (config !== null) {
        const isApplied = await this.#apply(config);
        if (isApplied === "later") {
          toRetry = config;
          pauseMs = backoff.next();
        }
      }
      if (!signal.aborted && this.#pending === null) await this.#applyAlarm.wait(pauseMs);
    }
  }

  /** Acknowledges what has become of a version, unless a later one has come. `later`: it is worth another attempt. */
  async #apply({ version, checksum, tunnels, fault }: EdgeConfig): Promise<"applied" | "never" | "later"> {
    const applying = this.#applying = new AbortController();
    let reason = fault;
    let mayPass = false;
    try {
      if (fault === null) await this.#options.keeper.apply(tunnels, applying.signal);
    } catch (error) {
      if (!(error instanceof RunnelError)) throw error;
      reason = error.reason;
      mayPass = !(error instanceof TunnelConfigError);
    } finally {
      this.#applying = null;
    }
    if (this.#stop.signal.aborted || (applying.signal.aborted && reason !== null)) return "never";
    if (this.#told?.version !== version || this.#told.reason !== reason) this.#events.onConfig?.(version, reason);
    this.#told = { version, reason };
    if (reason === null) await this.#save({ version, checksum, tunnels });
    this.#acknowledger.acknowledge({ version, checksum, error: reason });
    return reason === null ? "applied" : mayPass ? "later" : "never";
  }

  async #save(state: AgentState): Promise<void> {
    try {
      await this.#options.save?.(state);
      this.#recovered("data folder");
    } catch (error) {
      this.#trouble("data folder", messageOf(error));
    }
  }

  #trouble(what: string, reason: string): void {
    if (this.#stop.signal.aborted || this.#troubles.get(what) === reason) return;
    this.#troubles.set(what, reason);
    this.#events.onTrouble?.(what, reason);
  }

  #recovered(what: string): void {
    if (this.#troubles.delete(what)) this.#events.onRecovered?.(what);
  }
}

function allowedPollMs(toldMs: number): number {
  return Math.min(Math.max(toldMs, MIN_POLL_MS), MAX_POLL_MS);
}
