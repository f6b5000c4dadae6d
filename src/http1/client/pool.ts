/**
 * The connections to one upstream: who has which, which are idle, and who waits. Every connection, dial and waiting
 * request is counted here until it is really gone, so that `maxSockets` bounds descriptors, not intentions.
 */
import { cachedClock, type Clock } from "../../base/mod.ts";
import type { Socket, SocketError } from "../../net/mod.ts";
import { ClientConnection, type ConnectionOwner, type ConnectionUser } from "./connection.ts";
import { UpstreamError } from "../../http/mod.ts";
import type { ClientSettings } from "./options.ts";

/** How long an idle connection is trusted with a request that could not be sent a second time. */
const FRESH_MS = 1_000;

/** A request that wants a connection. It is given one, or refused, exactly once, unless it withdraws before. */
export interface Applicant {
  /** True where the request cannot be sent twice: it gets a connection that was idle for at most a second. */
  readonly wantsFresh: boolean;
  start(connection: ClientConnection): void;
  refuse(error: UpstreamError): void;
}

export class ConnectionPool implements ConnectionOwner {
  readonly #settings: ClientSettings;
  readonly #clock: Clock;
  /** In the order in which they became idle: taken from the end, evicted from the beginning. */
  readonly #idle: ClientConnection[] = [];
  readonly #open = new Set<ClientConnection>();
  readonly #dials = new Map<Applicant, AbortController>();
  /** First come, first served; there is only something in it while every slot is taken. */
  readonly #waiting = new Set<Applicant>();
  /** Dials that have not settled, the withdrawn ones included. */
  #dialing = 0;
  #closed = false;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#clock = cachedClock(settings.clock);
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** Connections that are busy, being dialed or on their way out. */
  get active(): number {
    return this.#open.size + this.#dialing - this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  acquire(applicant: Applicant): void {
    if (this.#closed) return applicant.refuse(closedError());
    const newest = this.#idle.at(-1);
    if (newest !== undefined && (!applicant.wantsFresh || this.#idleMs(newest) < FRESH_MS)) {
      this.#idle.pop();
      newest.idleTimeout.stop();
      return applicant.start(newest);
    }
    if (this.#hasRoom()) return void this.#dial(applicant);
    if (this.#waiting.size >= this.#settings.maxWaiting) {
      return applicant.refuse(new UpstreamError("overloaded", `${this.#waiting.size} requests wait for a socket`));
    }
    this.#waiting.add(applicant);
    // Every slot is taken and one of them by a connection too old for this request: it makes room.
    this.#retireOldest();
  }

  /** For the second attempt of a request whose connection was just reported as closed: its slot is free. */
  acquireNew(applicant: Applicant): void {
    if (this.#closed) return applicant.refuse(closedError());
    this.#dial(applicant);
  }

  /** The applicant has gone: it will neither be started nor refused. */
  withdraw(applicant: Applicant): void {
    if (this.#waiting.delete(applicant)) return;
    this.#dials.get(applicant)?.abort();
    this.#dials.delete(applicant);
  }

  /** Takes back a connection on which an exchange was completed and another one may follow. */
  release(connection: ClientConnection): void {
    connection.assign(null);
    connection.reused = true;
    const next = this.#nextWaiting();
    if (next !== undefined) return next.start(connection);
    if (this.#settings.maxIdle === 0) return connection.retire();
    if (this.#idle.length >= this.#settings.maxIdle) this.#retireOldest();
    connection.idleSince = this.#clock.now();
    connection.idleTimeout.start(this.#settings.idleMs);
    this.#idle.push(connection);
  }

  forget(connection: ClientConnection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    connection.idleTimeout.stop();
  }

  idleTooLong(connection: ClientConnection): void {
    this.forget(connection);
    connection.retire();
  }

  closed(connection: ClientConnection, user: ConnectionUser | null, error: SocketError | null): void {
    this.forget(connection);
    this.#open.delete(connection);
    // First the one that was on it: it may need the slot for its second attempt.
    user?.onClose(error);
    this.#serveWaiting();
  }

  /** Refuses who waits, ends the dials and resets every connection. */
  close(): void {
    this.#closed = true;
    this.#idle.length = 0;
    for (const applicant of this.#waiting) applicant.refuse(closedError());
    this.#waiting.clear();
    for (const [applicant, abort] of this.#dials) {
      abort.abort();
      applicant.refuse(closedError());
    }
    this.#dials.clear();
    for (const connection of this.#open) connection.close(closedError());
  }

  #retireOldest(): void {
    const oldest = this.#idle.shift();
    oldest?.idleTimeout.stop();
    oldest?.retire();
  }

  #hasRoom(): boolean {
    return this.#open.size + this.#dialing < this.#settings.maxSockets;
  }

  #idleMs(connection: ClientConnection): number {
    return this.#clock.now() - connection.idleSince;
  }

  #nextWaiting(): Applicant | undefined {
    for (const applicant of this.#waiting) {
      this.#waiting.delete(applicant);
      return applicant;
    }
    return undefined;
  }

  #serveWaiting(): void {
    while (this.#hasRoom()) {
      const next = this.#nextWaiting();
      if (next === undefined) return;
      this.#dial(next);
    }
  }

  async #dial(applicant: Applicant): Promise<void> {
    const { target, dial, connectTimeoutMs } = this.#settings;
    const abort = new AbortController();
    this.#dials.set(applicant, abort);
    this.#dialing++;
    let socket: Socket | null = null;
    let failure: unknown;
    try {
      socket = await dial(target, { timeoutMs: connectTimeoutMs, signal: abort.signal });
    } catch (cause) {
      failure = cause;
    }
    this.#dialing--;
    const isWanted = this.#dials.delete(applicant);
    if (socket === null) {
      if (isWanted) applicant.refuse(UpstreamError.ofDial(failure));
      return this.#serveWaiting();
    }
    const { limits, clock } = this.#settings;
    const connection = new ClientConnection(socket, this, limits, clock);
    this.#open.add(connection);
    if (isWanted) applicant.start(connection);
    else connection.abort();
  }
}

function closedError(): UpstreamError {
  return new UpstreamError("canceled", "the client of this upstream was closed");
}
