/**
 * The bound connections of a pool that are idle. A bound connection was authenticated as a whole, by NTLM or Negotiate,
 * and belongs to the one connection of a visitor whose request did that. Nobody tells when the visitor's connection has
 * closed: what it leaves here is closed for being idle, or for newer ones.
 */
import type { ClientConnection } from "./connection.ts";

export class BoundConnections {
  readonly #max: number;
  readonly #idleMs: number;
  /** By the name of the visitor's connection, in the order in which they became idle. */
  readonly #byVisitor = new Map<string, ClientConnection>();

  constructor(max: number, idleMs: number) {
    this.#max = max;
    this.#idleMs = idleMs;
  }

  get size(): number {
    return this.#byVisitor.size;
  }

  /** The one of the visitor's connection, which is idle no more; undefined where there is none. */
  take(visitorConnection: string): ClientConnection | undefined {
    const connection = this.#byVisitor.get(visitorConnection);
    if (connection !== undefined) this.remove(connection);
    return connection;
  }

  /** Keeps an idle connection. One that the visitor's connection has already, from a request beside it, is closed. */
  keep(visitorConnection: string, connection: ClientConnection): void {
    this.take(visitorConnection)?.end();
    if (this.#max === 0) return connection.end();
    if (this.#byVisitor.size >= this.#max) this.endOldest();
    connection.boundTo = visitorConnection;
    connection.idleTimeout.start(this.#idleMs);
    this.#byVisitor.set(visitorConnection, connection);
  }

  /** It is used, closed or unusable. */
  remove(connection: ClientConnection): void {
    if (connection.boundTo === null) return;
    this.#byVisitor.delete(connection.boundTo);
    connection.boundTo = null;
    connection.idleTimeout.stop();
  }

  endOldest(): void {
    for (const connection of this.#byVisitor.values()) {
      this.remove(connection);
      return connection.end();
    }
  }

  /** Forgets all of them, without closing any. */
  clear(): void {
    for (const connection of this.#byVisitor.values()) this.remove(connection);
  }
}
