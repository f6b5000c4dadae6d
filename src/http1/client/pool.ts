/**
 * The connections to one upstream, and the requests that wait for one. Connections count from the dial until their
 * socket has closed, so that `maxSockets` limits descriptors.
 */
import { cachedClock, type Clock } from "../../base/mod.ts";
import { UpstreamError } from "../../http/mod.ts";
import type { Socket, SocketError } from "../../net/mod.ts";
import { BoundConnections } from "./bound_connections.ts";
import { ClientConnection, type ConnectionOwner, type ConnectionUser } from "./connection.ts";
import type { ClientSettings } from "./options.ts";

/** A request that needs a connection. One of the methods is called, once, unless the request is canceled before. */
export interface PendingRequest {
  /** True where the request cannot be sent again: it gets a fresh connection or a new one. */
  readonly needsFreshConnection: boolean;
  /** The visitor's connection that may have an upstream connection of its own; undefined where none may. */
  readonly visitorConnection: string | undefined;
  start(connection: ClientConnection): void;
  fail(error: UpstreamError): void;
}

export class ConnectionPool implements ConnectionOwner {
  readonly #settings: ClientSettings;
  readonly #clock: Clock;
  /** In the order in which they became idle: used from the end, closed from the beginning. */
  readonly #idle: ClientConnection[] = [];
  /** Idle, too, and each for one visitor's connection. */
  readonly #bound: BoundConnections;
  readonly #open = new Set<ClientConnection>();
  readonly #dials = new Map<PendingRequest, AbortController>();
  /** First in, first out. Empty unless there are `maxSockets` connections. */
  readonly #waiting = new Set<PendingRequest>();
  /** Dials that have not ended, with those of canceled requests. */
  #dialing = 0;
  #isClosed = false;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#clock = cachedClock(settings.clock);
    this.#bound = new BoundConnections(settings.maxBound, settings.boundIdleMs);
  }

  get idle(): number {
    return this.#idle.length + this.#bound.size;
  }

  /** Connections that are busy, being dialed or closing. */
  get active(): number {
    return this.#open.size + this.#dialing - this.idle;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  acquire(request: PendingRequest): void {
    if (this.#isClosed) return request.fail(closedError());
    if (request.visitorConnection !== undefined) {
      const bound = this.#bound.take(request.visitorConnection);
      // However old it is: a new one would not be authenticated.
      if (bound !== undefined) return request.start(bound);
    }
    const newest = this.#idle.at(-1);
    if (newest !== undefined && (!request.needsFreshConnection || this.#idleMs(newest) < this.#settings.freshMs)) {
      this.#idle.pop();
      newest.idleTimeout.stop();
      return request.start(newest);
    }
    if (this.#canDial) return void this.#dial(request);
    if (this.#waiting.size >= this.#settings.maxWaiting) {
      return request.fail(new UpstreamError("overloaded", `${this.#waiting.size} requests wait for a socket`));
    }
    this.#waiting.add(request);
    // There may be an idle connection that is not fresh enough for this request. It is closed for a new one.
    this.#endOldest();
  }

  /** Dials for the second attempt of a request whose connection has just closed. */
  acquireNew(request: PendingRequest): void {
    if (this.#isClosed) return request.fail(closedError());
    this.#dial(request);
  }

  /** The request needs no connection any more. */
  cancel(request: PendingRequest): void {
    if (this.#waiting.delete(request)) return;
    this.#dials.get(request)?.abort();
    this.#dials.delete(request);
  }

  /** Takes a connection back on which another exchange may follow, after that of `request`. */
  release(connection: ClientConnection, request: PendingRequest): void {
    connection.becomeIdle();
    if (connection.isAuthenticated) return this.#bind(connection, request.visitorConnection);
    const next = this.#nextWaiting();
    if (next !== undefined) return next.start(connection);
    const { maxIdle, idleMs } = this.#settings;
    if (maxIdle === 0 || connection.idleLimitMs <= 0) return connection.end();
    if (this.#idle.length >= maxIdle) this.#endOldest();
    connection.idleTimeout.start(Math.min(idleMs, connection.idleLimitMs));
    this.#idle.push(connection);
  }

  onUnusable(connection: ClientConnection): void {
    this.#bound.remove(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    connection.idleTimeout.stop();
  }

  onIdleTimeout(connection: ClientConnection): void {
    this.onUnusable(connection);
    connection.end();
  }

  onConnectionClosed(connection: ClientConnection, user: ConnectionUser | null, error: SocketError | null): void {
    this.onUnusable(connection);
    this.#open.delete(connection);
    // Before the waiting requests, because its own may have to be sent once more.
    user?.onClose(error);
    this.#serveWaiting();
  }

  /** Fails the waiting requests, ends the dials and resets all connections. */
  close(): void {
    this.#isClosed = true;
    this.#idle.length = 0;
    this.#bound.clear();
    for (const request of this.#waiting) request.fail(closedError());
    this.#waiting.clear();
    for (const [request, abort] of this.#dials) {
      abort.abort();
      request.fail(closedError());
    }
    this.#dials.clear();
    for (const connection of this.#open) connection.destroy(closedError());
  }

  /** It serves the visitor's connection alone, or nobody any more. */
  #bind(connection: ClientConnection, visitorConnection: string | undefined): void {
    if (visitorConnection === undefined || this.#waiting.size > 0) connection.end();
    else this.#bound.keep(visitorConnection, connection);
  }

  #endOldest(): void {
    const oldest = this.#idle.shift();
    if (oldest === undefined) return this.#bound.endOldest();
    oldest.idleTimeout.stop();
    oldest.end();
  }

  get #canDial(): boolean {
    return this.#open.size + this.#dialing < this.#settings.maxSockets;
  }

  #idleMs(connection: ClientConnection): number {
    return this.#clock.now() - connection.idleSince;
  }

  #nextWaiting(): PendingRequest | undefined {
    for (const request of this.#waiting) {
      this.#waiting.delete(request);
      return request;
    }
    return undefined;
  }

  #serveWaiting(): void {
    while (this.#canDial) {
      const next = this.#nextWaiting();
      if (next === undefined) return;
      this.#dial(next);
    }
  }

  async #dial(request: PendingRequest): Promise<void> {
    const { target, dial, connectTimeoutMs, limits, clock } = this.#settings;
    const abort = new AbortController();
    this.#dials.set(request, abort);
    this.#dialing++;
    let socket: Socket | null = null;
    let failure: unknown;
    try {
      socket = await dial(target, { timeoutMs: connectTimeoutMs, signal: abort.signal }, clock);
    } catch (cause) {
      failure = cause;
    }
    this.#dialing--;
    const isWanted = this.#dials.delete(request);
    if (socket === null) {
      if (isWanted) request.fail(UpstreamError.ofDial(failure, target));
      return this.#serveWaiting();
    }
    const connection = new ClientConnection(socket, this, limits, clock);
    this.#open.add(connection);
    if (isWanted) request.start(connection);
    else connection.reset();
  }
}

function closedError(): UpstreamError {
  return new UpstreamError("canceled", "The client of this upstream was closed");
}
