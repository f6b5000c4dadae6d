/** The tunnels that an agent serves, and the change from some to others, which those that stay do not notice. */
import type { Clock, Timer } from "../../base/mod.ts";
import { formatTimeout, parseTimeout } from "../../config/mod.ts";
import type { Handler } from "../../http/mod.ts";
import { AgentError } from "../errors.ts";
import type { OpenTunnel } from "../open_tunnel.ts";
import type { TunnelAnswer } from "../v2_dial.ts";
import { asksTheSame, checkTunnel, hasSameUpstream, type TunnelConfig } from "./tunnel_config.ts";
import type { TunnelSession } from "./tunnel_session.ts";
import type { TunnelUpstream } from "./upstreams.ts";

export interface ServedTunnelsOptions {
  /** @throws {TunnelConfigError} where this agent cannot serve the tunnel */
  readonly makeUpstream: (tunnel: TunnelConfig) => TunnelUpstream;
  /** Milliseconds that the requests of a tunnel may take which is served no more, or by another upstream. */
  readonly drainMs: number;
  readonly clock: Clock;
  /** A tunnel is open, or has another upstream now. */
  readonly onReady: (tunnel: Omit<OpenTunnel, "session">, upstreamLabel: string) => void;
}

interface Served {
  readonly config: TunnelConfig;
  readonly upstream: TunnelUpstream;
}

/** For what has to be done even where nobody waits for it. It ends by its own timeout. */
const never = new AbortController().signal;
/** How often it is looked whether an upstream that is served no more has finished. */
const LOOK_MS = 1_000;
/** Tunnels that are opened, or given back, at one time. */
const OPEN_AT_ONCE = 8;

export class ServedTunnels {
  readonly #options: ServedTunnelsOptions;
  readonly #byName = new Map<string, Served>();
  /** What the edge answered when it opened each that is open now. */
  readonly #open = new Map<string, TunnelAnswer>();
  /** Upstreams that finish what runs on them, each with the time at which it is ended. */
  readonly #retired = new Map<TunnelUpstream, number>();
  #timer: Timer | null = null;

  constructor(options: ServedTunnelsOptions) {
    this.#options = options;
  }

  handlerOf(name: string): Handler | undefined {
    return this.#byName.get(name)?.upstream.handler;
  }

  /** Takes these tunnels as they are, none of them open. @throws {TunnelConfigError} Nothing has changed then. */
  replace(tunnels: readonly TunnelConfig[]): void {
    const made = this.#make(tunnels);
    for (const [name, { upstream }] of this.#byName) if (made.get(name)?.upstream !== upstream) this.#retire(upstream);
    this.#byName.clear();
    this.#open.clear();
    for (const [name, served] of made) this.#byName.set(name, served);
  }

  /**
   * Opens what is new, gives back what is gone, and swaps upstreams. Everything or nothing: where a tunnel cannot be
   * opened, those that were opened for this are given back.
   *
   * @throws {TunnelConfigError}
   * @throws {AgentError} where the edge refuses a tunnel
   */
  async change(tunnels: readonly TunnelConfig[], session: TunnelSession, signal: AbortSignal): Promise<void> {
    const made = this.#make(tunnels);
    const unused = new Set(Array.from(made.values(), ({ upstream }) => upstream));
    const undo: (() => Promise<unknown>)[] = [];
    try {
      const opened = await this.#openAll([...made.values()], session, undo, signal);
      for (const [name, next] of made) unused.delete(this.#settle(name, next, opened.has(name)));
      // Some may be left of a change that a later one has ended.
      const names = new Set([...this.#byName.keys(), ...this.#open.keys()]);
      const gone = [...names].filter((name) => !made.has(name));
      await eachOf(gone, session, (name) => this.#remove(name, session, signal));
    } catch (error) {
      // With the session, the tunnels that were opened on it are gone, too.
      for (const step of undo.reverse()) await step().catch(ignoreAgentError);
      throw error;
    } finally {
      for (const upstream of unused) if (!this.#isUsed(upstream)) upstream.close();
    }
  }

  /**
   * Opens the tunnels that are not open.
   *
   * @param isNew nothing is open on this session yet
   * @returns those that could not be opened, and why; none where the session was lost meanwhile
   */
  async openOn(
    session: TunnelSession,
    isNew: boolean,
    signal: AbortSignal,
  ): Promise<[name: string, error: AgentError][]> {
    const failed: [string, AgentError][] = [];
    if (isNew) this.#open.clear();
    const missing = [...this.#byName.values()].filter(({ config }) => !this.#open.has(config.name));
    await eachOf(missing, session, async (served) => {
      try {
        await this.#openOne(served, session, signal);
        this.#tell(served);
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        failed.push([served.config.name, error]);
      }
    });
    return failed;
  }

  /** No tunnel is open any more: the session is lost. */
  loseAll(): void {
    this.#open.clear();
  }

  /** The edge took a tunnel away. Returns false where it was not open. */
  lose(name: string): boolean {
    return this.#open.delete(name);
  }

  /** Ends all upstreams now. */
  close(): void {
    this.#timer?.cancel();
    for (const { upstream } of this.#byName.values()) upstream.close();
    for (const upstream of this.#retired.keys()) upstream.close();
    this.#retired.clear();
  }

  /** Upstreams that are the same go on as they are. */
  #make(tunnels: readonly TunnelConfig[]): Map<string, Served> {
    const made = new Map<string, Served>();
    const fresh: TunnelUpstream[] = [];
    try {
      for (const config of tunnels) {
        // What else it asks for may have changed with the upstream as it was.
        checkTunnel(config);
        const before = this.#byName.get(config.name);
        const isSame = before !== undefined && hasSameUpstream(before.config, config);
        const upstream = isSame ? before.upstream : this.#options.makeUpstream(config);
        if (!isSame) fresh.push(upstream);
        made.set(config.name, { config, upstream });
      }
    } catch (error) {
      for (const upstream of fresh) upstream.close();
      throw error;
    }
    return made;
  }

  /** Opens those that are not open, and those that ask for something else. Returns their names. */
  async #openAll(
    made: readonly Served[],
    session: TunnelSession,
    undo: (() => Promise<unknown>)[],
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const toOpen = made.filter(({ config }) => {
      const before = this.#byName.get(config.name);
      return before === undefined || !this.#open.has(config.name) || !asksTheSame(before.config, config);
    });
    await eachOf(toOpen, session, async (next) => {
      const { name } = next.config;
      const before = this.#byName.get(name);
      // Its first requests may come before the edge's answer.
      if (before === undefined) this.#byName.set(name, next);
      undo.push(async () => {
        if (before !== undefined) return await this.#openOne(before, session, never);
        this.#open.delete(name);
        await session.giveBack(name, never).finally(() => this.#byName.delete(name));
      });
      await this.#openOne(next, session, signal);
    });
    return new Set(toOpen.map(({ config }) => config.name));
  }

  /** Puts `next` in place of what serves the name. Returns the upstream that serves from now on. */
  #settle(name: string, next: Served, isOpened: boolean): TunnelUpstream {
    const before = this.#byName.get(name);
    this.#byName.set(name, next);
    const isSwapped = before !== undefined && before.upstream !== next.upstream;
    if (isSwapped) this.#retire(before.upstream);
    if (isSwapped || isOpened) this.#tell(next);
    return next.upstream;
  }

  /**
   * What runs goes on, and no further request comes once the edge has answered. Where `signal` aborts before, the next
   * change gives the tunnel back.
   */
  async #remove(name: string, session: TunnelSession, signal: AbortSignal): Promise<void> {
    // Where the session is lost, the tunnel is, too.
    if (this.#open.has(name)) {
      let isGivenBack = true;
      await session.giveBack(name, signal).catch((error) => {
        ignoreAgentError(error);
        isGivenBack = !signal.aborted;
      });
      if (isGivenBack) this.#open.delete(name);
    }
    const served = this.#byName.get(name);
    if (served === undefined) return;
    this.#byName.delete(name);
    this.#retire(served.upstream);
  }

  async #openOne({ config, upstream }: Served, session: TunnelSession, signal: AbortSignal): Promise<void> {
    const { name, timeouts, share } = config;
    this.#open.set(name, await session.open(name, upstream.label, timeouts, signal, share));
  }

  #tell({ config, upstream }: Served): void {
    const open = this.#open.get(config.name);
    if (open === undefined) return;
    const { id: tunnelId, name, url, urls = [url] } = open;
    this.#options.onReady({ tunnelId, name, url, urls, warnings: warningsOf(config, open) }, upstream.label);
  }

  #isUsed(upstream: TunnelUpstream): boolean {
    for (const served of this.#byName.values()) if (served.upstream === upstream) return true;
    return this.#retired.has(upstream);
  }

  #retire(upstream: TunnelUpstream): void {
    const { clock, drainMs } = this.#options;
    this.#retired.set(upstream, clock.now() + drainMs);
    this.#look();
  }

  #look(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = null;
    for (const [upstream, endAt] of this.#retired) {
      if (upstream.active > 0 && clock.now() < endAt) continue;
      this.#retired.delete(upstream);
      upstream.close();
    }
    if (this.#retired.size > 0) this.#timer = clock.after(LOOK_MS, () => this.#look());
  }
}

/** Calls `act` for each of them, several at a time once the session has opened its first tunnel. Rejects with the first error. */
async function eachOf<T>(
  items: readonly T[],
  session: TunnelSession,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  while (left.length > 0 && !session.hasOpened) await act(left.shift()!);
  let failure: { readonly error: unknown } | null = null;
  const worker = async () => {
    while (left.length > 0 && failure === null) {
      await act(left.shift()!).catch((error) => failure ??= { error });
    }
  };
  await Promise.all(Array.from({ length: OPEN_AT_ONCE }, worker));
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}

function ignoreAgentError(error: unknown): void {
  if (!(error instanceof AgentError)) throw error;
}

/** What was asked for and the edge does not do, each as a sentence without full stop. */
function warningsOf(
  { name, hostnames, timeouts = {} }: TunnelConfig,
  { url, urls = [url], timeouts: told }: TunnelAnswer,
): string[] {
  const warnings: string[] = [];
  for (const key of ["firstByte", "idle"] as const) {
    const asked = timeouts[key];
    if (asked === undefined) continue;
    const had = told?.[key] === undefined ? null : parseTimeout(told[key]);
    if (had === null) {
      warnings.push(`The edge does not know timeouts.${key} of the tunnel ${name}, and does as it is set`);
    } else if (had < parseTimeout(asked)!) {
      warnings.push(`The edge gives the tunnel ${name} ${formatTimeout(had)} as timeouts.${key}, not ${asked}`);
    }
  }
  const served = new Set(urls.map((item) => /^[a-z]+:\/\/([^/:]+)/.exec(item)?.[1]));
  for (const hostname of hostnames) {
    if (served.has(hostname.toLowerCase())) continue;
    warnings.push(`The edge does not serve ${hostname} for the tunnel ${name}: it must be declared there`);
  }
  return warnings;
}
