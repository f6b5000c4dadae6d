/** A session with an edge that has several tunnels. `:tunnel` says which one a request is for. */
import { z } from "zod";
import { type Clock, pause, systemClock } from "../../base/mod.ts";
import { ExchangeError, type Handler } from "../../http/mod.ts";
import { type Connection, Feature, type Stream } from "../../httpstream/mod.ts";
import { type AskedTimeouts, lostTunnelOf, parseJson, serveExchange, type Session } from "../../session/mod.ts";
import type { EdgeUrl } from "../edge_url.ts";
import { AgentError } from "../errors.ts";
import {
  askEdge,
  connectV2,
  requestTunnel,
  type TunnelAnswer,
  type V2Connected,
  type V2ConnectOptions,
} from "../v2_dial.ts";

export interface TunnelSessionOptions extends Omit<V2ConnectOptions, "onStream" | "featureBits"> {
  /** The handler of a tunnel; undefined where none is served under that name. */
  handlerOf(tunnel: string): Handler | undefined;
  /** The edge took a tunnel from the session, which goes on. */
  onLost(session: TunnelSession, tunnel: string, code: string, reason: string): void;
}

/** What an edge says to an agent that has lost a tunnel. */
const lossNotice = z.object({ code: z.string().max(64), reason: z.string().max(1024) });

/** Streams that are opened at once, and a second afterwards: half of what an edge takes of an agent. */
const OPEN_BURST = 100;
const OPENS_PER_SECOND = 50;

export class TunnelSession {
  readonly session: Session;
  readonly #connection: Connection;
  readonly #options: TunnelSessionOptions;
  readonly #pace: Pace;
  /** The tunnel that requests without a name are for: they come while it is the only one that was opened. */
  readonly #first: { name: string | null };
  #hasOpened = false;

  private constructor(
    { connection, session }: V2Connected,
    options: TunnelSessionOptions,
    first: { name: string | null },
  ) {
    this.session = session;
    this.#connection = connection;
    this.#options = options;
    this.#first = first;
    this.#pace = new Pace(options.clock);
  }

  /** Dials the edge. @throws {AgentError} */
  static async connect(options: TunnelSessionOptions, signal: AbortSignal): Promise<TunnelSession> {
    const first: { name: string | null } = { name: null };
    const serve: Handler = (head, body, cancel) => {
      const name = head.tunnel ?? first.name;
      const handler = name === null ? undefined : options.handlerOf(name);
      if (handler !== undefined) return handler(head, body, cancel);
      return Promise.reject(new ExchangeError("tunnel_offline", `This agent does not serve the tunnel ${name}`));
    };
    let session: TunnelSession | null = null;
    const onStream = (stream: Stream) => {
      const lost = lostTunnelOf(stream.headers);
      if (lost === undefined) return serveExchange(stream, serve, options.onError);
      serveExchange(stream, async (_, body) => {
        const text = body === null ? "" : await new Response(body as BodyInit).text();
        const { code, reason } = lossNotice.safeParse(parseJson(text)).data ?? { code: "closed", reason: "" };
        if (session !== null) options.onLost(session, lost, code, reason);
        return { status: 204, fields: [], body: null };
      });
    };
    const connected = await connectV2({ ...options, onStream, featureBits: Feature.TUNNELS }, signal);
    return session = new TunnelSession(connected, options, first);
  }

  /** False until a tunnel was opened: until then the next one may be opened once the last one was answered. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  /**
   * Opens a tunnel, or has the edge do something else for an open one. Requests for it may come before this resolves.
   *
   * @param share it is served together with other agents. Default false.
   * @throws {AgentError}
   */
  async open(
    name: string,
    upstreamLabel: string,
    timeouts: AskedTimeouts | undefined,
    signal: AbortSignal,
    share = false,
  ): Promise<TunnelAnswer> {
    await this.#pace.wait(signal);
    if (this.#first.name === null) this.#first.name = name;
    else if (name !== this.#first.name) this.#checkSeveral();
    const { edge, timeoutMs, clock } = this.#options;
    const wish = { edge, timeoutMs, clock, name, upstreamLabel: upstreamLabel.slice(0, 1024), timeouts, share };
    try {
      const answer = await requestTunnel(this.#connection, wish, signal);
      this.#hasOpened = true;
      return answer;
    } catch (error) {
      if (!this.#hasOpened) this.#first.name = null;
      throw error;
    }
  }

  /** Gives a tunnel back. One that the session does not have any more is no fault. @throws {AgentError} */
  async giveBack(name: string, signal: AbortSignal): Promise<void> {
    await this.#pace.wait(signal);
    const path = `/api/agent/tunnels/${encodeURIComponent(name)}`;
    await askEdge(this.#connection, this.#options, "DELETE", path, undefined, signal);
  }

  #checkSeveral(): void {
    if ((this.#connection.peerFeatures & Feature.TUNNELS) !== 0) return;
    throw new AgentError("protocol_mismatch", severalRefused(this.#options.edge));
  }
}

function severalRefused({ label }: EdgeUrl): string {
  return `The edge ${label} is older than this agent: it takes one tunnel of an agent, and not several`;
}

/** A token bucket that is waited for. */
class Pace {
  readonly #clock: Clock;
  #tokens = OPEN_BURST;
  #filledAt: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#filledAt = clock.now();
  }

  async wait(signal: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    this.#tokens = Math.min(OPEN_BURST, this.#tokens + (now - this.#filledAt) * OPENS_PER_SECOND / 1000) - 1;
    this.#filledAt = now;
    if (this.#tokens < 0) await pause(-this.#tokens * 1000 / OPENS_PER_SECOND, signal, this.#clock);
  }
}
