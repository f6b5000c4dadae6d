/**
 * One socket to the upstream, which carries one exchange after another. It knows who listens to its socket now; what
 * the bytes mean is the exchange's affair, and where it waits between two exchanges the pool's.
 *
 *     busy ── release ──▶ idle ── assign ──▶ busy
 *       └──── retire ──────┴─────▶ leaving ── both FINs, or LEAVE_MS ──▶ closed
 */
import { type Clock, Timeout, type Timer } from "../../base/mod.ts";
import type { Socket, SocketError, SocketHandlers } from "../../net/mod.ts";
import type { UpstreamError } from "../../http/mod.ts";
import { type HttpLimits, ResponseParser } from "../codec/mod.ts";

/** How long the upstream may keep its half of a connection that we ended. */
const LEAVE_MS = 1_000;

/** The exchange on a connection, which hears what its socket tells. */
export interface ConnectionUser extends SocketHandlers {
  /** The client was closed: the exchange is over, and so is the connection. */
  refuse(error: UpstreamError): void;
}

export interface ConnectionOwner {
  /** It was idle for as long as it may be. */
  idleTooLong(connection: ClientConnection): void;
  /** An idle connection is of no more use: the upstream ended it, or spoke without having been asked. */
  forget(connection: ClientConnection): void;
  /** The descriptor is free again. `user` is who was on it, and still has to hear of it. */
  closed(connection: ClientConnection, user: ConnectionUser | null, error: SocketError | null): void;
}

export class ClientConnection implements SocketHandlers {
  readonly socket: Socket;
  readonly parser: ResponseParser;
  /** True once an exchange was completed here: the upstream may have given this connection up meanwhile. */
  reused = false;
  /** Since when it is idle, on the client's clock. */
  idleSince = 0;
  /** Ends the connection when it was idle for too long. Its pool starts and stops it. */
  readonly idleTimeout: Timeout;

  readonly #owner: ConnectionOwner;
  readonly #clock: Clock;
  #user: ConnectionUser | null = null;
  #paused = false;
  #leaving: Timer | null = null;

  constructor(socket: Socket, owner: ConnectionOwner, limits: HttpLimits, clock: Clock) {
    this.socket = socket;
    this.parser = new ResponseParser(limits);
    this.#owner = owner;
    this.#clock = clock;
    this.idleTimeout = new Timeout(clock, () => owner.idleTooLong(this));
    socket.handlers = this;
    socket.resume();
  }

  /** Who hears of this socket from now on; `null` while it is idle. */
  assign(user: ConnectionUser | null): void {
    this.#user = user;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  /** Ends the connection in order: nothing of the upstream's is awaited any more but its FIN. */
  retire(): void {
    this.#user = null;
    if (this.socket.closed || this.#leaving !== null) return;
    this.#leaving = this.#clock.after(LEAVE_MS, () => this.socket.reset());
    this.socket.end();
    this.resume();
  }

  /** Breaks the connection off, so that the upstream stops what it is doing for it. */
  abort(): void {
    this.#user = null;
    this.socket.reset();
  }

  /** Ends at once whatever goes on here. */
  close(error: UpstreamError): void {
    this.idleTimeout.close();
    if (this.#user !== null) this.#user.refuse(error);
    else this.socket.reset();
  }

  onData(chunk: Uint8Array): void {
    if (this.#user !== null) return this.#user.onData(chunk);
    if (this.#leaving !== null) return;
    this.#owner.forget(this);
    this.abort();
  }

  onEnd(): void {
    if (this.#user !== null) return this.#user.onEnd();
    if (this.#leaving !== null) return;
    this.#owner.forget(this);
    this.retire();
  }

  onDrain(): void {
    this.#user?.onDrain();
  }

  onClose(error: SocketError | null): void {
    this.#leaving?.cancel();
    this.idleTimeout.close();
    const user = this.#user;
    this.#user = null;
    this.#owner.closed(this, user, error);
  }
}
