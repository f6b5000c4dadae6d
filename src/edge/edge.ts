/** The edge as a whole: one public listener, the router of its requests, and the acceptor of agents. */
import { randomBytes } from "node:crypto";
import { callAtTickEnd, type Clock, systemClock } from "../base/mod.ts";
import { declaredRefusal } from "../config/mod.ts";
import {
  type Answer,
  errorAnswer,
  type ExchangeTimeouts,
  fetchHandler,
  Forwarding,
  LiveTypes,
  pathOf,
  problemAnswer,
  problemCodeOf,
  type RequestHead,
  TimeoutGuard,
  type TrustedProxies,
} from "../http/mod.ts";
import type { HttpServerInit } from "../http1/mod.ts";
import { MemoryAccount } from "../memory/mod.ts";
import { heldReadBytes, type ListenTarget, type ShedReason, type SocketAddress } from "../net/mod.ts";
import { AccessObserver, type AccessRecord, RequestIds, type RequestObserver } from "./access.ts";
import { AgentAcceptor, type AgentAcceptorOptions } from "./agent_acceptor.ts";
import { createAgentApi } from "./agent_api.ts";
import { type AgentPeer } from "./agent_identity.ts";
import { createApi } from "./api.ts";
import type { ChallengeAnswer } from "./challenges.ts";
import { type DeclaredTunnels, noneDeclared } from "./declared.ts";
import { acceptOf, inAcceptedForm } from "./error_page.ts";
import { EdgeFigures } from "./figures.ts";
import { createIngress, type IngressOptions } from "./ingress.ts";
import { type EdgeListener, EdgeListeners } from "./listeners.ts";
import { createNodeApi, DEFAULT_POLL_INTERVAL_MS } from "./node_api.ts";
import type { NodeService } from "./node_service.ts";
import { isAgentPath, isOwnPath, isProbePath } from "./own_paths.ts";
import { EdgeLimits, type EdgeLimitsInit } from "./limits.ts";
import { ProxyHeaders } from "./proxy_headers.ts";
import { publicOriginOf, PublicUrls } from "./public_urls.ts";
import { ReasonCounts, type ReasonReporter, RefusalCounts } from "./refusals.ts";
import { Router } from "./router.ts";
import { type SessionFacts, SessionList, type SessionListEvents } from "./sessions.ts";
import { SharedWork } from "./shared_work.ts";
import { sheddingHandler } from "./shedding.ts";
import { strictAnswer, withStrictTransport } from "./strict_transport.ts";
import { sharedOwner, sharedToken, type TokenCheck } from "./tokens.ts";
import { TrafficTable } from "./traffic_table.ts";
import { TunnelTimeouts } from "./tunnel_timeouts.ts";
import { Tunnels, type TunnelsOptions } from "./tunnels.ts";
import { visitorOption } from "./visitors.ts";
import { WaitingVisitors } from "./waiting_visitors.ts";

export interface EdgeOptions {
  /** Where it listens: one address for all, in plain HTTP, or several. */
  listen: ListenTarget | readonly EdgeListener[];
  /** Tunnels are served at NAME.domain. Default `localhost`. */
  domain?: string;
  /**
   * Scheme and port of every printed URL, e.g. `https://example.com`. Default: the domain, with scheme and bound port of
   * the first listener with TLS, else of the first.
   */
  publicUrl?: URL;
  /**
   * True for hosts (in lower case) that a listener with `redirectPort` serves; URLs of tunnels there are `http`. Default:
   * there are none.
   *
   * @param isDrawn true where an agent asks for a name that was drawn at random; else false, or it is known
   */
  isPlainHost?: (host: string, isDrawn: boolean) => boolean;
  /** `Strict-Transport-Security` for answers by `https` that have none (RFC 6797 §6.1). Default: none is added. */
  strictTransport?: string;
  /** The token with which agents may open tunnels. */
  token: string;
  /** What else agents may show: returns the owner of a token that is not the edge's own. Default: nothing. */
  checkToken?: TokenCheck;
  /** Tunnels that belong to owners whether an agent has opened them or not. Default: there are none. */
  declared?: DeclaredTunnels;
  /** What agents of nodes are told, and what they tell. Default: the edge has no such routes. */
  nodes?: NodeService;
  /** Milliseconds between two times that an agent asks for its config without being told to. Default 60,000. */
  pollIntervalMs?: number;
  /** The name of the tunnel that serves the domain itself, but for the edge's own paths. Default none. */
  defaultTunnel?: string;
  /**
   * True: visitors connect to this edge themselves, without a proxy in front. Their connections are then named to
   * agents, which can keep an upstream connection for each (NTLM). Default false.
   */
  directVisitors?: boolean;
  /** Proxies in front that are believed who the visitor is. Default: none. */
  trustedProxies?: TrustedProxies;
  /**
   * True: each connection begins with a header of the PROXY protocol, of a trusted proxy; others are refused. Default
   * false.
   */
  proxyProtocol?: boolean;
  /** Names of fields of a visitor's address, beside the known ones, that pass from trusted proxies alone. Default none. */
  clientAddressFields?: readonly string[];
  /** Told to agents. Default 0.0.0. */
  version?: string;
  /** Those that are not to have their defaults. */
  timeouts?: Partial<ExchangeTimeouts>;
  /** The most milliseconds until an answer's head that an agent may ask for its tunnel. Default `Infinity`. */
  maxFirstByteMs?: number;
  /** Media types of answers that may be silent for any time, beside the known ones. Default none. */
  liveTypes?: readonly string[];
  http?: HttpServerInit;
  /** Milliseconds until a visitor or an agent that vanished is given up; see `ListenOptions`. Default 90,000. */
  tcpTimeoutMs?: number;
  tunnels?: Omit<TunnelsOptions, "clock" | "traffic" | "onFull" | "onReplaced" | "onServed">;
  /** Tunnels whose requests are counted by themselves, and not with the rest. Default 1,000. */
  maxCountedTunnels?: number;
  /** Agents that may be connected with one token at one time. Default 200. */
  maxSessionsPerOwner?: number;
  json?: AgentAcceptorOptions["json"];
  /**
   * Milliseconds for which a session of `runnel.v2` outlives a lost link: what runs on it stands still until its agent is
   * back. 0: it ends with its link. Default 30,000.
   */
  resumeTimeoutMs?: number;
  /**
   * Milliseconds for which a request waits for a tunnel whose agent has lost its link, 256 of them a tunnel. 0: none
   * waits. Default 10,000.
   */
  resumeWaitMs?: number;
  /** When silent agents of `runnel.v2` are asked, and given up. Default: see `ConnectionLimits`. */
  link?: AgentAcceptorOptions["link"];
  /** Asked before all routes for `GET /.well-known/acme-challenge/TOKEN`. Default: the edge has ordered no certificate. */
  challengeAnswer?: ChallengeAnswer;
  /** What visitors may take, and how many connections there may be. Default: see src/limits. */
  limits?: EdgeLimitsInit;
  /** Bytes that the connections of agents and visitors may hold together. Default 1 GiB. */
  maxHeldBytes?: number;
  events?: EdgeEvents;
  clock?: Clock;
}

/** What happens on an edge, for logs. Connected agents, with tunnels or without, are told of as `SessionListEvents`. */
export interface EdgeEvents extends SessionListEvents {
  /** A session opened a tunnel. Each of its tunnels is told of by itself. */
  onSession?(id: string, tunnel: string, protocol: string, peer: AgentPeer): void;
  /** A session does not have a tunnel any more, of which `onSession` told: mostly since it is over. */
  onSessionEnd?(id: string, tunnel: string, code: string, reason: string, peer: AgentPeer): void;
  onReplaced?(tunnel: string, why: string): void;
  /**
   * Wrong tokens were refused: the first one of an address, then how many more there were in each minute.
   *
   * @param address null: of many addresses together
   */
  onTokensRefused?(address: string | null, count: number): void;
  /**
   * An agent sent a frame with a value that cannot be taken, which cost one answer: the first one of each kind in a
   * session. `reason` names frame and key.
   */
  onBadFrame?(id: string, tunnel: string, reason: string): void;
  /** Tunnels or sessions were refused for `reason`: the first one, then how many more there were in each minute. */
  onQuotaReached?(reason: string, count: number): void;
  /**
   * An agent may not have the tunnel that it asked for: the first time for each address and `reason`, then how often it
   * was in each minute.
   *
   * @param address of the agent; null: of many agents together
   */
  onTunnelRefused?(address: string | null, reason: string, count: number): void;
  /**
   * A connection was refused, since descriptors run out or there are too many connections; then how many more there were
   * in each minute.
   */
  onShed?(count: number, why: ShedReason): void;
  /**
   * Connections were refused that did not begin with the PROXY header of a trusted proxy: the first one of each address,
   * then how many more there were in each minute.
   */
  onProxyRefused?: ReasonReporter;
  /**
   * A request, a connection or a handshake was refused for a limit: the first one for each address and reason, then how
   * many more there were in each minute.
   *
   * @param address null: the limit is not that of one address
   * @param reason the end of a sentence: "more than --visitor-rate lets a visitor have"
   */
  onLimitReached?(address: string | null, reason: string, count: number): void;
  onError?(error: unknown): void;
  /** A request of the public is over. Without this, requests are observed while `Edge.observeRequests` is asked to. */
  onRequest?(record: AccessRecord): void;
}

export interface Edge {
  /** Of the first listener. */
  readonly address: SocketAddress;
  /** Of all listeners, in the order of the options. */
  readonly addresses: readonly SocketAddress[];
  /** The public URL of a tunnel, or of the domain itself. */
  urlOf(name?: string): string;
  readonly tunnels: Tunnels;
  /** Public connections that are open. */
  readonly connections: number;
  /** Exchanges of the public that are under way. */
  readonly active: number;
  /** Bytes that are held for them: what waits for agents and visitors, and requests that are being read. */
  readonly bufferedBytes: number;
  /** The agents that are connected, from the oldest session to the newest. Made at the call. */
  sessions(): SessionFacts[];
  /**
   * Tells `observer` of the public's requests that begin from now on, and of the ends of those that another observer, such
   * as `EdgeEvents.onRequest`, saw begin. The returned function ends that.
   */
  observeRequests(observer: RequestObserver): () => void;
  /** True once it accepts nothing new. */
  readonly isDraining: boolean;
  /** What there is, and what was counted. */
  readonly figures: EdgeFigures;
  /** Ends the sessions of a token, which has ended itself. */
  closeToken(tokenId: string, reason: string): void;
  /**
   * To be called when what is declared of a tunnel has changed: a session whose token may not open it any more ends, and
   * nobody keeps the name of a tunnel that is offline.
   */
  recheckTunnel(name: string): void;
  /**
   * Accepts nothing new, tells the agents so, lets exchanges end, then closes. Visitors' idle connections close after 3 s
   * (`http.drainIdleMs`), or with the answer to a request that comes until then.
   */
  drain(): Promise<void>;
  /** Ends everything now. Agents are told: a process that ends at once would take that along. */
  close(): Promise<void>;
  /** Resolves when all connections have closed behind `drain()` or `close()`. */
  readonly emptied: Promise<void>;
}

type AgentApi = ReturnType<typeof createAgentApi>;
type OnTunnel = AgentAcceptorOptions["onTunnel"];

/** What the acceptor of agents shares with the rest of the edge. */
interface AcceptorParts {
  readonly clock: Clock;
  readonly agentApi: AgentApi;
  readonly timeouts: TunnelTimeouts;
  readonly onTunnel: OnTunnel;
}

/** Of a reason, which names what an agent asked for. */
const MAX_REFUSAL_CHARACTERS = 300;
const DEFAULT_VERSION = "0.0.0";
/** For requests that cross the edge's FIN: longer than a client's way to the edge, and shorter than anybody waits. */
const DRAIN_IDLE_MS = 3_000;
const DEFAULT_MAX_HELD_BYTES = 1024 ** 3;

/** Starts an edge. Rejects with `SocketError` where it cannot listen. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const edge = new RunningEdge(options);
  await edge.listen();
  return edge;
}

class RunningEdge implements Edge {
  readonly tunnels: Tunnels;
  readonly figures: EdgeFigures;
  readonly #urls: PublicUrls;
  readonly #acceptor: AgentAcceptor;
  readonly #listeners: EdgeListeners;
  readonly #quotaCounts: RefusalCounts;
  readonly #tunnelCounts: ReasonCounts;
  readonly #sessions: SessionList;
  readonly #access: AccessObserver;
  readonly #memory: MemoryAccount;
  readonly #shedCounts: RefusalCounts;
  readonly #limits: EdgeLimits;
  readonly #waiting: WaitingVisitors;
  readonly #nodes: NodeService | undefined;
  /** Null where connections begin without a PROXY header. */
  readonly #proxyHeaders: ProxyHeaders | null;
  readonly #clock: Clock;
  readonly #drainIdleMs: number;
  #isDraining = false;

  constructor(options: EdgeOptions) {
    const clock = this.#clock = options.clock ?? systemClock;
    this.#drainIdleMs = options.http?.drainIdleMs ?? DRAIN_IDLE_MS;
    const events = options.events ?? {};
    this.#memory = new MemoryAccount(options.maxHeldBytes ?? DEFAULT_MAX_HELD_BYTES);
    const limits = this.#limits = new EdgeLimits(limitsOf(options), clock, this.#memory, (...refusal) => {
      events.onLimitReached?.(...refusal);
    });
    const domain = (options.domain ?? "localhost").toLowerCase();
    const listeners = listenersOf(options);
    const hasTls = listeners.some(({ tls }) => tls !== undefined);
    this.#urls = new PublicUrls(domain, options.publicUrl, hasTls ? "https" : "http", options.isPlainHost);
    this.#quotaCounts = new RefusalCounts(clock, (reason, count) => events.onQuotaReached?.(reason as string, count));
    const traffic = new TrafficTable(options.maxCountedTunnels);
    this.#waiting = new WaitingVisitors({ clock, waitMs: options.resumeWaitMs });
    this.tunnels = new Tunnels({
      ...options.tunnels,
      clock,
      traffic,
      onFull: (reason) => this.#quotaCounts.add(reason),
      onReplaced: (name, why) => events.onReplaced?.(name, why),
      // Behind the answer to the agent: one of the JSON protocol takes no requests before.
      onServed: (name) => callAtTickEnd(() => this.#waiting.wake(name)),
    });
    this.#tunnelCounts = new ReasonCounts(clock, "Further tunnels were refused", (...refusal) => {
      events.onTunnelRefused?.(...refusal);
    });
    this.#sessions = new SessionList(events);
    const onTunnel = tunnelReporter(events, this.#sessions);
    const timeouts = new TunnelTimeouts(options.timeouts, options.maxFirstByteMs);
    const { declared = noneDeclared } = options;
    const agentApi = createAgentApi({
      tunnels: this.tunnels,
      timeouts,
      declared,
      urls: this.#urls,
      onTunnel,
      onTunnelRefused: this.#onTunnelRefused,
    });
    this.#nodes = options.nodes;
    if (options.nodes !== undefined) this.#addNodeApi(agentApi, options.nodes, options);
    this.#acceptor = this.#createAcceptor(options, { clock, agentApi, timeouts, onTunnel });
    const ids = new RequestIds();
    const access = this.#access = new AccessObserver(ids);
    if (events.onRequest !== undefined) access.add({ onRequest: (record) => events.onRequest?.(record) });
    const router = new Router(this.tunnels, domain, declared);
    const liveTypes = new LiveTypes(options.liveTypes);
    const ingress = createIngress({
      router,
      tunnels: this.tunnels,
      traffic,
      forwarding: new Forwarding(options.clientAddressFields),
      guard: new TimeoutGuard(clock, timeouts.defaults, liveTypes),
      sharedWork: new SharedWork(clock),
      waiting: this.#waiting,
      limits: limits.visitors,
      ownRoutes: this.#ownRoutes(agentApi),
      defaultTunnel: options.defaultTunnel,
      // While nobody asks, nothing is made to be told.
      get onRouted() {
        return access.onRouted;
      },
    });
    const nameConnection = options.directVisitors === true ? { nameConnection: connectionNames() } : {};
    const { strictTransport } = options;
    const http = (scheme: "http" | "https"): HttpServerInit => ({
      scheme,
      isLive: (contentType) => liveTypes.has(contentType),
      nextId: ids.next,
      ...nameConnection,
      visitorOf: visitorOption(options.trustedProxies),
      errorAnswer(error, head, client) {
        const plain = visitorErrorAnswer(error, head, router);
        const isStrict = strictTransport !== undefined && (head?.scheme ?? scheme) === "https";
        const answer = isStrict ? strictAnswer(plain, strictTransport) : plain;
        access.failed(error, head, client, answer);
        return answer;
      },
      onError: (error) => events.onError?.(error),
      memory: this.#memory,
      clock,
      maxConnections: limits.connections.most,
      ...options.http,
      drainIdleMs: this.#drainIdleMs,
    });
    this.#shedCounts = new RefusalCounts(clock, (why, count) => events.onShed?.(count, why as ShedReason));
    this.#proxyHeaders = ProxyHeaders.of(options, clock);
    this.#listeners = new EdgeListeners(listeners, {
      handler: strictTransport === undefined ? ingress : withStrictTransport(ingress, strictTransport),
      surplusHandler: sheddingHandler(ingress, router),
      observe: (handler) => access.observe(handler, clock),
      http,
      // A proxy in front ends TLS where the public URL says so, and this edge does not do it.
      plainScheme: hasTls ? "http" : this.#urls.scheme,
      clientPolicyOf: listeners.find(({ tls }) => tls?.clientPolicyOf !== undefined)?.tls?.clientPolicyOf,
      router,
      traffic,
      isPlainHost: (host) => options.isPlainHost?.(host, false) === true,
      tcpTimeoutMs: options.tcpTimeoutMs,
      proxyHeaders: this.#proxyHeaders,
      onShed: (why) => this.#shedCounts.add(why),
      limits: limits.connections,
      challengeAnswer: options.challengeAnswer,
      onError: (error) => events.onError?.(error),
    });
    this.figures = new EdgeFigures({
      tunnels: this.tunnels,
      traffic,
      sessions: () => this.#acceptor.sessions,
      refusals: () => ({
        tokens: this.#acceptor.refusedTokens,
        quota: this.#quotaCounts.total,
        descriptors: this.#shedCounts.total,
        limits: limits.refused,
      }),
    });
  }

  async listen(): Promise<void> {
    await this.#listeners.listen();
    this.#urls.listenPort = this.#listeners.publicPort;
    this.#urls.plainPort = this.#listeners.plainPort;
  }

  get address(): SocketAddress {
    return this.#listeners.addresses[0]!;
  }

  get addresses(): readonly SocketAddress[] {
    return this.#listeners.addresses;
  }

  get emptied(): Promise<void> {
    return this.#listeners.emptied;
  }

  get connections(): number {
    return this.#listeners.connections;
  }

  get active(): number {
    return this.#listeners.active;
  }

  get bufferedBytes(): number {
    return this.#memory.heldBytes + this.#listeners.unreadBytes + heldReadBytes();
  }

  urlOf(name?: string): string {
    return this.#urls.of(name);
  }

  sessions(): SessionFacts[] {
    return this.#sessions.list();
  }

  observeRequests(observer: RequestObserver): () => void {
    return this.#access.add(observer);
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  closeToken(tokenId: string, reason: string): void {
    this.#acceptor.closeToken(tokenId, reason);
  }

  recheckTunnel(name: string): void {
    this.#acceptor.recheckTunnel(name);
  }

  async drain(): Promise<void> {
    // First of all: what comes from now on is another edge's, where one has the same listeners.
    await this.#stopAccepting();
    this.#acceptor.announceDrain();
    const untold = this.#clock.after(this.#drainIdleMs, () => this.#acceptor.drainUntold());
    try {
      await this.#listeners.drain();
    } finally {
      untold.cancel();
    }
    await this.#acceptor.drain();
  }

  async close(): Promise<void> {
    const closed = this.#stopAccepting();
    this.#acceptor.close("The edge is shutting down");
    this.#listeners.close();
    await closed;
  }

  #stopAccepting(): Promise<void> {
    this.#isDraining = true;
    this.#acceptor.closeUnregistered();
    this.#nodes?.endStreams();
    this.#quotaCounts.close();
    this.#tunnelCounts.close();
    this.#shedCounts.close();
    this.#proxyHeaders?.close();
    this.#limits.close();
    // Their agents are to go to another edge.
    this.#waiting.close();
    return this.#listeners.stop();
  }

  #createAcceptor(options: EdgeOptions, parts: AcceptorParts): AgentAcceptor {
    const { clock, agentApi, timeouts, onTunnel } = parts;
    return new AgentAcceptor({
      version: options.version ?? DEFAULT_VERSION,
      tunnels: this.tunnels,
      timeouts,
      checkToken: checkOf(options),
      declared: options.declared ?? noneDeclared,
      urls: this.#urls,
      agentRoutes: (agent) => fetchHandler((request) => agentApi.fetch(request, { agent }), this.#urls.of()),
      onTunnel,
      onSession: (session, owner, peer) => this.#sessions.add(session, owner, peer),
      onTunnelRefused: this.#onTunnelRefused,
      maxSessionsPerOwner: options.maxSessionsPerOwner,
      onQuotaReached: (reason) => this.#quotaCounts.add(reason),
      onTokensRefused: (address, count) => options.events?.onTokensRefused?.(address, count),
      onBadFrame: (session, name, { reason }) => options.events?.onBadFrame?.(session.id, name, reason),
      onError: (error) => options.events?.onError?.(error),
      memory: this.#memory,
      json: options.json,
      resumeTimeoutMs: options.resumeTimeoutMs,
      link: options.link,
      clock,
    });
  }

  #addNodeApi(agentApi: AgentApi, nodes: NodeService, options: EdgeOptions): void {
    agentApi.route(
      "/",
      createNodeApi({
        nodes,
        checkToken: checkOf(options),
        refuseToken: (address, signal) => this.#acceptor.refuseToken(address, signal),
        urls: this.#urls,
        pollIntervalMs: options.pollIntervalMs ?? DEFAULT_POLL_INTERVAL_MS,
      }),
    );
  }

  readonly #onTunnelRefused = ({ address }: AgentPeer, reason: string): void =>
    this.#tunnelCounts.add(address, reason.slice(0, MAX_REFUSAL_CHARACTERS));

  #ownRoutes(agentApi: AgentApi): IngressOptions["ownRoutes"] {
    const api = createApi({ isReady: () => !this.#isDraining });
    // Requests of the public have no session, and are told where they need one.
    api.route("/", agentApi);
    const routes = fetchHandler(
      (request, head) => api.fetch(request, { client: head.client, origin: publicOriginOf(head) }),
      this.#urls.of(),
    );
    return (head, body, signal) => {
      if (!isOwnPath(head.target)) return null;
      const refusal = probeRefusal(head);
      if (refusal !== null) return Promise.resolve(refusal);
      return pathOf(head.target) === "/agent" ? this.#acceptor.accept(head, signal) : routes(head, body, signal);
    };
  }
}

/** @throws {TypeError} where there is no listener */
function listenersOf({ listen }: EdgeOptions): readonly EdgeListener[] {
  const listeners = "kind" in listen ? [{ target: listen }] : listen;
  if (listeners.length === 0) throw new TypeError("An edge needs a listener");
  return listeners;
}

/** The answer to a probe of another method than those that read; null for any other request. */
function probeRefusal(head: RequestHead): Answer | null {
  const { method, target } = head;
  if (method === "GET" || method === "HEAD" || !isProbePath(target)) return null;
  const problem = problemAnswer("method_not_allowed", `${pathOf(target)} has no ${method}`, ["Allow", "GET, HEAD"]);
  return inAcceptedForm(problem, "method_not_allowed", acceptOf(head));
}

/** The edge's own token first: to look another one up takes longer. It opens what is not declared. */
function checkOf({ token, checkToken, declared }: EdgeOptions): TokenCheck {
  const refusalOf = (name: string) => declared?.has(name) ? declaredRefusal(name) : null;
  const own = sharedToken(token, sharedOwner(refusalOf));
  return checkToken === undefined ? own : (given) => own(given) ?? checkToken(given);
}

/** The answer where a handler rejects, and where there is no head because it could not be read. */
function visitorErrorAnswer(error: unknown, head: RequestHead | null, router: Router): Answer {
  const accept = head === null || isForAgents(head, router) ? null : acceptOf(head);
  return inAcceptedForm(errorAnswer(error), problemCodeOf(error), accept);
}

/** True where a path is that of the agents, and not a tunnel's own. */
function isForAgents({ authority, target }: RequestHead, router: Router): boolean {
  if (!isAgentPath(target)) return false;
  const { kind } = router.route(authority);
  return kind === "own" || kind === "foreign";
}

/** No limit of one address holds for a trusted proxy, by which many come. */
function limitsOf({ limits = {}, trustedProxies }: EdgeOptions): EdgeLimitsInit {
  if (trustedProxies === undefined) return limits;
  return { isExempt: (address) => trustedProxies.isTrusted(address), ...limits };
}

/** Names of visitors' connections. An agent may still know those of an earlier process, so that they begin at random. */
function connectionNames(): () => string {
  const process = randomBytes(12).toString("base64url");
  let count = 0;
  return () => `${process}-${(++count).toString(36)}`;
}

/** Tells `events` of each tunnel that a session opens, and of its end. */
function tunnelReporter(events: EdgeEvents, sessions: SessionList): OnTunnel {
  return (session, name, peer, ended) => {
    sessions.opened(session, name);
    events.onSession?.(session.id, name, session.protocol, peer);
    void ended.then(({ code, reason }) => {
      sessions.lost(session, name);
      events.onSessionEnd?.(session.id, name, code, reason, peer);
    });
  };
}
