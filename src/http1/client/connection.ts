/**
 * One connection to the upstream, which carries one exchange after another. It passes the events of its socket to the
 * current exchange. The pool knows which connections are idle.
 *
 *     busy ── release ──▶ idle ── assign ──▶ busy
 *       └──── end ─────────┴─────▶ closing ── both FINs, or CLOSE_TIMEOUT_MS ──▶ closed
 */
import { cachedClock, type Clock, Timeout, type Timer } from "../../base/mod.ts";
import type { UpstreamError } from "../../http/mod.ts";
import type { Socket, SocketError, SocketHandlers } from "../../net/mod.ts";
import { type HttpLimits, ResponseParser } from "../codec/mod.ts";

/** How long the upstream may take to send its FIN after ours. */
const CLOSE_TIMEOUT_MS = 1_000;
/** So much sooner than the upstream an idle connection is closed here. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** The exchange on a connection, which gets the events of its socket. */
export interface ConnectionUser extends SocketHandlers {
  onBroken(): boolean;
  /** The client was closed. The exchange resets the connection. */
  fail(error: UpstreamError): void;
}

export interface ConnectionOwner {
  /** It was idle for too long. */
  onIdleTimeout(connection: ClientConnection): void;
  /** The upstream ended an idle connection, or sent bytes on it without a request. It must not be used any more. */
  onUnusable(connection: ClientConnection): void;
  /** The socket has closed. `user` is the exchange on it, whose `onClose` must still be called. */
  onConnectionClosed(connection: ClientConnection, user: ConnectionUser | null, error: SocketError | null): void;
}

export class ClientConnection implements SocketHandlers {
  readonly socket: Socket;
  readonly parser: ResponseParser;
  /** True after the first exchange: the upstream may have closed the connection meanwhile. */
  isReused = false;
  /** The upstream has authenticated it, or may have: it serves one visitor alone. */
  isAuthenticated = false;
  /** The visitor's connection to which it belongs while it is idle. Written by `BoundConnections` alone. */
  boundTo: string | null = null;
  /** Since when the upstream may count it as idle, on the client's clock. */
  idleSince = 0;
  /** The most milliseconds for which it may be idle. 0: it is not used again. */
  idleLimitMs = Infinity;
  /** The pool starts it when the connection becomes idle, and stops it when it is used. */
  readonly idleTimeout: Timeout;

  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  #user: ConnectionUser | null = null;
  #isPaused = false;
  #pausedAt = 0;
  /** When the pause before the last read began: what was read then may have come as early. */
  #lastPausedAt = Infinity;
  /** While closing. */
  #closeTimer: Timer | null = null;

  constructor(socket: Socket, owner: ConnectionOwner, limits: HttpLimits, clock: Clock) {
    this.socket = socket;
    this.parser = new ResponseParser(limits);
    this.#owner = owner;
    this.#clock = cachedClock(clock);
    this.idleTimeout = new Timeout(clock, () => owner.onIdleTimeout(this));
    socket.handlers = this;
    socket.resume();
  }

  /** Sets the exchange on the connection; `null` while it is idle. */
  assign(user: ConnectionUser | null): void {
    this.#user = user;
  }

  /**
   * The upstream says how long it keeps an idle connection. Servers round that to whole seconds, and 0 means less than
   * one, so of a short time half is used.
   */
  keepFor(upstreamMs: number): void {
    this.idleLimitMs = Math.max(upstreamMs - KEEP_ALIVE_MARGIN_MS, upstreamMs / 2);
  }

  /** The exchange on it is over, and another one may follow. */
  becomeIdle(): void {
    this.#user = null;
    this.isReused = true;
    this.idleSince = Math.min(this.#clock.now(), this.#lastPausedAt);
    this.resume();
    this.#lastPausedAt = Infinity;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#pausedAt = this.#clock.now();
    this.socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#lastPausedAt = this.#pausedAt;
    this.socket.resume();
  }

  /** Closes the connection in order: sends FIN, and waits for the upstream's. */
  end(): void {
    this.#user = null;
    if (this.socket.closed || this.#closeTimer !== null) return;
    this.#closeTimer = this.#clock.after(CLOSE_TIMEOUT_MS, () => this.socket.reset());
    this.socket.end();
    this.resume();
  }

  /** Resets the connection, so that the upstream stops its work for the current request. */
  reset(): void {
    this.#user = null;
    this.socket.reset();
  }

  /** Resets the connection, and fails the exchange on it with `error`. */
  destroy(error: UpstreamError): void {
    this.idleTimeout.close();
    if (this.#user !== null) this.#user.fail(error);
    else this.socket.reset();
  }

  onData(chunk: Uint8Array): void {
    if (this.#user !== null) return this.#user.onData(chunk);
    if (this.#closeTimer !== null) return;
    this.#owner.onUnusable(this);
    this.reset();
  }

  onEnd(): void {
    if (this.#user !== null) return this.#user.onEnd();
    if (this.#closeTimer !== null) return;
    this.#owner.onUnusable(this);
    this.end();
  }

  onDrain(): void {
    this.#user?.onDrain();
  }

  onBroken(): boolean {
    if (this.#user !== null) return this.#user.onBroken();
    if (this.#closeTimer === null) this.#owner.onUnusable(this);
    return false;
  }

  onClose(error: SocketError | null): void {
    this.#closeTimer?.cancel();
    this.idleTimeout.close();
    const user = this.#user;
    this.#user = null;
    this.#owner.onConnectionClosed(this, user, error);
  }
}
