/**
 * The HTTP/1.1 server (RFC 9110, RFC 9112): accepted sockets in, exchanges with a `Handler` out. Sockets come from
 * `listen(target, (socket) => server.accept(socket))` (src/net).
 */
import type { Handler } from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import type { Socket } from "../../net/mod.ts";
import { ServerConnection } from "./connection.ts";
import { RequestMemory } from "./request_memory.ts";
import { type HttpServerInit, type HttpServerOptions, verifyServerOptions } from "./options.ts";

export class HttpServer {
  readonly #handler: Handler;
  readonly #options: HttpServerOptions;
  readonly #memory: RequestMemory;
  readonly #connections = new Set<ServerConnection>();
  readonly #onOver = (connection: ServerConnection): void => this.#forget(connection);
  #isDraining = false;
  #isClosed = false;
  #onEmpty: (() => void)[] = [];

  /**
   * @param options see `HttpServerOptions` for the defaults
   * @throws {OptionError} for an option out of its range
   */
  constructor(handler: Handler, options?: HttpServerInit) {
    this.#handler = handler;
    const { maxReadAheadBytes, maxHeadsBytes, memory } = this.#options = verifyServerOptions(options);
    this.#memory = new RequestMemory(maxReadAheadBytes, maxHeadsBytes, memory);
  }

  /** Connections that are served or closing, without those whose socket was given away by an upgrade. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes of requests that wait for whoever reads them, and of heads that are incomplete. */
  get bufferedBytes(): number {
    return this.#memory.heldBytes + this.unreadBytes;
  }

  /** Those of them that the runtime holds for paused sockets, which no account knows. Summed up at the call. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const { socket } of this.#connections) bytes += socket.unreadBytes;
    return bytes;
  }

  /** Exchanges under way, counted at the call. */
  get active(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.isServing) count++;
    return count;
  }

  /**
   * Serves a connection, and owns its socket from now on. Over `maxConnections`, and after `close()`, it is reset.
   * After `drain()` one request is served.
   *
   * @param first bytes that were read from the socket already
   */
  accept(socket: Socket, first: Uint8Array = emptyBytes): void {
    if (this.#isClosed || this.#connections.size >= this.#options.maxConnections) return socket.reset();
    const connection = new ServerConnection(socket, this.#handler, this.#options, this.#memory, this.#onOver);
    this.#connections.add(connection);
    connection.start(first, this.#isDraining);
  }

  /**
   * Closes idle connections, at once or after `drainIdleMs`, and others after their current exchange, however long that
   * takes. With `drainIdleMs` the close is announced first: by the answer under way, where its head was not sent, else by
   * that to the next request. Resolves when there is no connection. To be called when the listener is closed; `close()`
   * may be called meanwhile.
   */
  drain(): Promise<void> {
    this.#isDraining = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Resets all connections. The signals of all handlers abort. */
  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#connections]) connection.close();
  }

  #forget(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    const waiters = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiters) resolve();
  }
}
