/**
 * HTTP/1.1 for the public (RFC 9110, RFC 9112): accepted sockets in, exchanges with a `Handler` out. Listening is
 * `src/net`'s affair: `listen(target, (socket) => server.accept(socket))`.
 */
import type { Socket } from "../../net/mod.ts";
import type { Handler } from "../../http/mod.ts";
import { ServerConnection } from "./connection.ts";
import { type HttpServerInit, type HttpServerOptions, verifyServerOptions } from "./options.ts";
import { emptyBytes } from "../../memory/mod.ts";

export class HttpServer {
  readonly #handler: Handler;
  readonly #options: HttpServerOptions;
  readonly #connections = new Set<ServerConnection>();
  readonly #onOver = (connection: ServerConnection): void => this.#forget(connection);
  #isDraining = false;
  #isClosed = false;
  #onEmpty: (() => void)[] = [];

  /**
   * @throws {OptionError} for an option out of its range
   */
  constructor(handler: Handler, options?: HttpServerInit) {
    this.#handler = handler;
    this.#options = verifyServerOptions(options);
  }

  /** Connections that are served or closing; those that were handed over by an upgrade are not counted. */
  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Serves a connection, and owns its socket from now on. Past `maxConnections`, and after `close()`, it is reset;
   * after `drain()` it gets one answer.
   *
   * @param first bytes that were already read from the socket
   */
  accept(socket: Socket, first: Uint8Array = emptyBytes): void {
    if (this.#isClosed || this.#connections.size >= this.#options.maxConnections) return socket.reset();
    const connection = new ServerConnection(socket, this.#handler, this.#options, this.#onOver);
    this.#connections.add(connection);
    connection.start(first, this.#isDraining);
  }

  /**
   * Lets every exchange under way end, as long as it takes, and closes each connection behind it; idle ones at once.
   * Resolves when there is none left. The caller has stopped listening before, and may call `close()` meanwhile.
   */
  drain(): Promise<void> {
    this.#isDraining = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Resets every connection; handlers see their signals abort. */
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

/** A server for `handler`; see `HttpServerOptions` for the defaults. Throws as the constructor does. */
export function createHttpServer(handler: Handler, options?: HttpServerInit): HttpServer {
  return new HttpServer(handler, options);
}
