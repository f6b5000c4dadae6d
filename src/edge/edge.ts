/** The edge, composed: one public listener, the router behind it, and the door through which agents come. */
import { type Clock, systemClock } from "../base/mod.ts";
import {
  defaultExchangeTimeouts,
  errorAnswer,
  type ExchangeTimeouts,
  fetchHandler,
  TimeoutGuard,
} from "../http/mod.ts";
import type { Session } from "../session/mod.ts";
import { HttpServer, type HttpServerOptions } from "../http1/mod.ts";
import { MemoryAccount } from "../httpstream/mod.ts";
import { listen, type Listener, type ListenTarget, type SocketAddress } from "../net/mod.ts";
import { AgentDoors, type AgentDoorsOptions } from "./agent_acceptor.ts";
import { createAgentApi } from "./agent_api.ts";
import { createApi, isOwnPath } from "./api.ts";
import { createIngress, type IngressOptions } from "./ingress.ts";
import { PublicUrls } from "./public_urls.ts";
import { Router } from "./router.ts";
import { sharedToken } from "./tokens.ts";
import { Tunnels, type TunnelsOptions } from "./tunnels.ts";

export interface EdgeOptions {
  listen: ListenTarget;
  /** Tunnels are served at NAME.domain. Default `localhost`. */
  domain?: string;
  /** Scheme and port of every printed URL, e.g. `https://example.com`. Default: `http`, the domain, the bound port. */
  publicUrl?: URL;
  /** Opens tunnels to whoever knows it. */
  token: string;
  /** Serves the domain itself, where the edge has no route of its own. */
  defaultTunnel?: string;
  /** Told to agents and by `/healthz`. Default 0.0.0. */
  version?: string;
  timeouts?: ExchangeTimeouts;
  http?: Partial<HttpServerOptions>;
  tunnels?: Omit<TunnelsOptions, "clock" | "onReplaced">;
  json?: AgentDoorsOptions["json"];
  /** Bytes that all agents' connections may hold together. Default 1 GiB. */
  maxHeldBytes?: number;
  events?: EdgeEvents;
  clock?: Clock;
}

/** What happens on an edge, for logs. Every member may be left out. */
export interface EdgeEvents {
  onSession?(id: string, tunnel: string, protocol: string): void;
  onSessionEnd?(id: string, tunnel: string, code: string, reason: string): void;
  onReplaced?(tunnel: string, why: string): void;
  onError?(error: unknown): void;
}

export interface Edge {
  readonly address: SocketAddress;
  /** The public URL of a tunnel, or of the domain itself. */
  urlOf(name?: string): string;
  readonly tunnels: Tunnels;
  /** Public connections. */
  readonly connections: number;
  /** Accepts nothing new, lets exchanges end, then tells the agents and closes. */
  drain(): Promise<void>;
  /** Ends everything now. */
  close(): Promise<void>;
}

type AgentApi = ReturnType<typeof createAgentApi>;
type OnTunnel = (session: Session, name: string) => void;

const defaultVersion = "0.0.0";

/** Starts an edge. Rejects with `SocketError` where it cannot listen. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const edge = new RunningEdge(options);
  await edge.listen(options.listen);
  return edge;
}

class RunningEdge implements Edge {
  readonly tunnels: Tunnels;
  readonly #urls: PublicUrls;
  readonly #doors: AgentDoors;
  readonly #server: HttpServer;
  #listener: Listener | null = null;
  #draining = false;

  constructor(options: EdgeOptions) {
    const clock = options.clock ?? systemClock;
    const events = options.events ?? {};
    const domain = (options.domain ?? "localhost").toLowerCase();
    this.#urls = new PublicUrls(domain, options.publicUrl);
    this.tunnels = new Tunnels({
      ...options.tunnels,
      clock,
      onReplaced: (name, why) => events.onReplaced?.(name, why),
    });
    const onTunnel = announcer(events);
    const agentApi = createAgentApi({ tunnels: this.tunnels, urlOf: (name) => this.#urls.of(name), onTunnel });
    this.#doors = this.#createDoors(options, clock, agentApi, onTunnel);
    const ingress = createIngress({
      router: new Router(this.tunnels, domain),
      tunnels: this.tunnels,
      guard: new TimeoutGuard(clock, options.timeouts ?? defaultExchangeTimeouts),
      own: this.#ownRoutes(options.version ?? defaultVersion, agentApi),
      ...(options.defaultTunnel === undefined ? {} : { defaultTunnel: options.defaultTunnel }),
    });
    this.#server = new HttpServer(ingress, {
      scheme: this.#urls.scheme,
      nextId: requestIds(),
      errorAnswer,
      onError: (error) => events.onError?.(error),
      clock,
      ...options.http,
    });
  }

  async listen(target: ListenTarget): Promise<void> {
    this.#listener = await listen(target, (socket) => this.#server.accept(socket));
    this.#urls.listenPort = this.#listener.address.port;
  }

  get address(): SocketAddress {
    return (this.#listener as Listener).address;
  }

  get connections(): number {
    return this.#server.connections;
  }

  urlOf(name?: string): string {
    return this.#urls.of(name);
  }

  async drain(): Promise<void> {
    const closed = this.#stopAccepting();
    await this.#server.drain();
    await this.#doors.drain();
    await closed;
  }

  async close(): Promise<void> {
    const closed = this.#stopAccepting();
    this.#doors.close("the edge is shutting down");
    this.#server.close();
    await closed;
  }

  #stopAccepting(): Promise<void> {
    this.#draining = true;
    this.#doors.dismissStrangers();
    return this.#listener?.close() ?? Promise.resolve();
  }

  #createDoors(options: EdgeOptions, clock: Clock, agentApi: AgentApi, onTunnel: OnTunnel): AgentDoors {
    return new AgentDoors({
      version: options.version ?? defaultVersion,
      tunnels: this.tunnels,
      checkToken: sharedToken(options.token),
      urlOf: (name) => this.#urls.of(name),
      agentRoutes: (agent) => fetchHandler((request) => agentApi.fetch(request, { agent }), this.#urls.of()),
      onTunnel,
      onError: (error) => options.events?.onError?.(error),
      memory: new MemoryAccount(options.maxHeldBytes ?? 1024 ** 3),
      clock,
      ...(options.json === undefined ? {} : { json: options.json }),
    });
  }

  #ownRoutes(version: string, agentApi: AgentApi): IngressOptions["own"] {
    const api = createApi({
      version,
      isReady: () => !this.#draining,
      tunnelsOnline: () => this.tunnels.online,
    });
    // Without an agent's session they say so.
    api.route("/", agentApi);
    const routes = fetchHandler((request) => api.fetch(request, {}), this.#urls.of());
    return (head, body, signal) => {
      if (!isOwnPath(head.target)) return null;
      return head.target === "/agent" ? Promise.resolve(this.#doors.admit(head)) : routes(head, body, signal);
    };
  }
}

/** Tells the log of each tunnel that a session opens, and of its end. */
function announcer(events: EdgeEvents): OnTunnel {
  return (session, name) => {
    events.onSession?.(session.id, name, session.protocol);
    void session.closed.then((end) => events.onSessionEnd?.(session.id, name, end.code, end.reason));
  };
}

/** Names of exchanges: short, unique in this process, and told apart from those of an earlier one in a log. */
function requestIds(): () => string {
  const boot = Math.floor(Date.now() / 1000).toString(36);
  let count = 0;
  return () => `${boot}-${(++count).toString(36)}`;
}
