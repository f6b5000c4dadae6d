/** The listeners of an edge: on each, plain connections or TLS, and an HTTP server that serves them. */
import type { Handler } from "../http/mod.ts";
import { HttpServer, type HttpServerInit } from "../http1/mod.ts";
import {
  listen,
  type Listener,
  type ListenTarget,
  type SecuredSocket,
  type ShedReason,
  type Socket,
  type SocketAddress,
  SocketError,
  type SocketTaker,
  TlsAcceptor,
  type TlsAcceptorOptions,
} from "../net/mod.ts";
import type { ConnectionLimits } from "../limits/mod.ts";
import { answeringChallenges, type ChallengeAnswer } from "./challenges.ts";
import { type ClientPolicyOf, underPolicy } from "./client_policies.ts";
import type { ProxyHeaders } from "./proxy_headers.ts";
import { redirectHandler, type RedirectOptions } from "./redirect.ts";

export interface EdgeListener {
  readonly target: ListenTarget;
  /** Connections have TLS inside. Default: they are plain. */
  readonly tls?: TlsAcceptorOptions;
  /**
   * Visitors of this plain listener are sent to `https` at this port (308); 0: that of the first listener with TLS.
   * Agents, probes, challenges of ACME and the hosts of `EdgeOptions.isPlainHost` are served. Default null: all are.
   */
  readonly redirectPort?: number | null;
}

/** What listeners have in common. */
export interface ListenerParts extends Omit<RedirectOptions, "port"> {
  /** Serves the public and the agents. */
  readonly handler: Handler;
  /** The same for connections that are past the descriptors. */
  readonly surplusHandler: Handler;
  /** Tells the observers of what a handler is asked. */
  observe(handler: Handler): Handler;
  /** Options of a server whose visitors use that scheme. */
  http(scheme: "http" | "https"): HttpServerInit;
  /** What visitors of plain listeners use: `https` where a proxy in front ends TLS. */
  readonly plainScheme: "http" | "https";
  readonly tcpTimeoutMs: number | undefined;
  readonly limits: ConnectionLimits;
  /** Read before anything else of a connection; null: connections begin without one. */
  readonly proxyHeaders: ProxyHeaders | null;
  /** That of the listeners with TLS, which holds on the others, too: nobody can show a certificate there. */
  readonly clientPolicyOf?: ClientPolicyOf;
  /** Answers the challenges of the edge's own orders, whoever must show a certificate. Default: there are none. */
  readonly challengeAnswer?: ChallengeAnswer;
  onShed(why: ShedReason): void;
  onError(error: unknown): void;
}

/** For connections past the descriptors: each must soon make room for the next one. */
const surplusWaits = { headTimeoutMs: 2_000, keepAliveMs: 1_000, lingerMs: 1_000, lingerTotalMs: 1_000 };
const SURPLUS_HANDSHAKE_TIMEOUT_MS = 2_000;

/** All listeners of an edge. */
export class EdgeListeners {
  readonly #listeners: readonly ServedListener[];

  /** @param listeners at least one */
  constructor(listeners: readonly EdgeListener[], parts: ListenerParts) {
    this.#listeners = listeners.map((listener) => new ServedListener(listener, parts, () => this.#tlsPort));
  }

  /** Listens on all of them, or on none. @throws {SocketError} for the first that fails */
  async listen(): Promise<void> {
    try {
      for (const listener of this.#listeners) await listener.listen();
    } catch (error) {
      this.close();
      await this.stop();
      throw error;
    }
  }

  /** Where they listen, in their order. */
  get addresses(): SocketAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  /** The port that public URLs have: that of the first listener with TLS, else that of the first. */
  get publicPort(): number {
    return (this.#firstWithTls ?? this.#listeners[0]!).address.port;
  }

  /** That of the first plain listener; null without one. */
  get plainPort(): number | null {
    return this.#listeners.find(({ hasTls }) => !hasTls)?.address.port ?? null;
  }

  /** Public connections that are open, those in their TLS handshake among them. */
  get connections(): number {
    return this.#sum((listener) => listener.connections);
  }

  /** Exchanges of the public that are under way. */
  get active(): number {
    return this.#sum((listener) => listener.active);
  }

  /** See `HttpServer.unreadBytes`. */
  get unreadBytes(): number {
    return this.#sum((listener) => listener.unreadBytes);
  }

  /** Accepts nothing new. Resolves when the descriptors are closed. */
  async stop(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
  }

  /** Behind `stop()`: lets exchanges end. Resolves when there is no connection. */
  async drain(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.drain()));
  }

  /** Resets all connections. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
  }

  /** Resolves behind `stop()`, when all connections have closed. */
  get emptied(): Promise<void> {
    return Promise.all(this.#listeners.map((listener) => listener.emptied)).then(() => {});
  }

  get #firstWithTls(): ServedListener | undefined {
    return this.#listeners.find(({ hasTls }) => hasTls);
  }

  get #tlsPort(): number {
    return this.#firstWithTls?.address.port ?? 0;
  }

  #sum(count: (listener: ServedListener) => number): number {
    return this.#listeners.reduce((sum, listener) => sum + count(listener), 0);
  }
}

class ServedListener {
  readonly #options: EdgeListener;
  readonly #parts: ListenerParts;
  /** Before the rule of client certificates: a visitor of a plain listener is sent to where he can show one. */
  readonly #redirected: (handler: Handler) => Handler;
  readonly #acceptor: TlsAcceptor | null = null;
  readonly #surplusAcceptor: TlsAcceptor | null = null;
  /** By the policy for client certificates that their connections were accepted under; null: none. */
  readonly #servers = new Map<string | null, HttpServer>();
  /** Serves one request on each connection that is past the descriptors. */
  readonly #surplusServer: HttpServer;
  /** Connections in their handshake. */
  readonly #handshakes = new Set<Promise<void>>();
  #listener: Listener | null = null;
  #isDraining = false;
  #isClosed = false;

  constructor(options: EdgeListener, parts: ListenerParts, tlsPort: () => number) {
    this.#options = options;
    this.#parts = parts;
    const { tls, redirectPort = null } = options;
    const port = () => redirectPort || tlsPort();
    this.#redirected = (handler) => redirectPort === null ? handler : redirectHandler(handler, { ...parts, port });
    this.#surplusServer = this.#createServer(parts.surplusHandler, surplusWaits);
    void this.#surplusServer.drain();
    if (tls === undefined) return;
    this.#acceptor = new TlsAcceptor(tls);
    this.#surplusAcceptor = new TlsAcceptor({ ...tls, handshakeTimeoutMs: SURPLUS_HANDSHAKE_TIMEOUT_MS });
  }

  get hasTls(): boolean {
    return this.#acceptor !== null;
  }

  get address(): SocketAddress {
    return (this.#listener as Listener).address;
  }

  get emptied(): Promise<void> {
    return (this.#listener as Listener).emptied;
  }

  get connections(): number {
    let count = this.#handshakes.size;
    for (const server of this.#allServers()) count += server.connections;
    return count;
  }

  get active(): number {
    let count = 0;
    for (const server of this.#allServers()) count += server.active;
    return count;
  }

  get unreadBytes(): number {
    let bytes = 0;
    for (const server of this.#allServers()) bytes += server.unreadBytes;
    return bytes;
  }

  async listen(): Promise<void> {
    const { onShed, tcpTimeoutMs, limits } = this.#parts;
    this.#listener = await listen(this.#options.target, this.#admitted(this.#onSocket()), {
      onSurplus: this.#admitted((socket) => this.#acceptSurplus(socket)),
      onShed,
      admit: (address) => limits.admit(address),
      isOverfull: () => limits.isOverfull,
      tcpTimeoutMs,
    });
  }

  stop(): Promise<void> {
    return this.#listener?.close() ?? Promise.resolve();
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    for (const server of this.#allServers()) void server.drain();
    await Promise.all(this.#handshakes);
    await Promise.all(this.#allServers().map((server) => server.drain()));
  }

  close(): void {
    this.#isClosed = true;
    this.#acceptor?.close();
    this.#surplusAcceptor?.close();
    for (const server of this.#allServers()) server.close();
  }

  /** What stands before `serve`: the PROXY header, the limit of the address that it tells, that of handshakes. */
  #admitted(serve: (socket: Socket) => void): SocketTaker {
    const { proxyHeaders, limits } = this.#parts;
    const admitted = !this.hasTls ? serve : (socket: Socket) => {
      if (limits.admitHandshake(addressOf(socket))) serve(socket);
      else socket.reset();
    };
    if (proxyHeaders === null) return admitted;
    return (socket, lease) =>
      proxyHeaders.accept(socket, (proxied) => {
        if (lease?.assign(addressOf(proxied)) === false) proxied.reset();
        else admitted(proxied);
      });
  }

  /** What each accepted socket goes to. */
  #onSocket(): (socket: Socket) => void {
    const acceptor = this.#acceptor;
    if (acceptor !== null) return (socket) => this.#secure(acceptor, socket, (secured) => this.#serve(secured));
    const server = this.#serverFor(null);
    return (socket) => server.accept(socket);
  }

  #acceptSurplus(socket: Socket): void {
    const server = this.#surplusServer;
    if (this.#surplusAcceptor === null) return server.accept(socket);
    this.#secure(this.#surplusAcceptor, socket, (secured) => server.accept(secured.socket));
  }

  #secure(acceptor: TlsAcceptor, raw: Socket, serve: (secured: SecuredSocket) => void): void {
    const handshake = acceptor.accept(raw).then(serve).catch((error) => {
      // A client that does not finish its handshake, or is refused, concerns nobody else.
      if (!(error instanceof SocketError)) this.#parts.onError(error);
    }).finally(() => this.#handshakes.delete(handshake));
    this.#handshakes.add(handshake);
  }

  #serve({ socket, clientPolicyId }: SecuredSocket): void {
    this.#serverFor(clientPolicyId).accept(socket);
  }

  #serverFor(policyId: string | null): HttpServer {
    const known = this.#servers.get(policyId);
    if (known !== undefined) return known;
    const policyOf = this.#parts.clientPolicyOf;
    const { handler } = this.#parts;
    const ruled = policyOf === undefined ? handler : underPolicy(handler, policyId, policyOf);
    const server = this.#createServer(this.#redirected(ruled));
    if (this.#isDraining) void server.drain();
    if (this.#isClosed) server.close();
    this.#servers.set(policyId, server);
    return server;
  }

  #createServer(handler: Handler, waits: HttpServerInit = {}): HttpServer {
    const { observe, http, plainScheme, challengeAnswer, traffic } = this.#parts;
    const scheme = this.#options.tls === undefined ? plainScheme : "https";
    const served = challengeAnswer === undefined ? handler : answeringChallenges(handler, challengeAnswer, traffic);
    return new HttpServer(observe(served), { ...http(scheme), ...waits });
  }

  #allServers(): HttpServer[] {
    return [...this.#servers.values(), this.#surplusServer];
  }
}

/** Empty on a unix socket, whose other end has none. */
function addressOf({ remote }: Socket): string {
  return remote.kind === "unix" ? "" : remote.host;
}
