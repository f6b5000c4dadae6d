/** The admin API on a listener of its own. */
import { errorAnswer, fetchHandler } from "../http/mod.ts";
import { HttpServer } from "../http1/mod.ts";
import { formatAddress, listen, type Listener, type ListenTarget } from "../net/mod.ts";
import type { AdminBindings } from "./actor.ts";

export interface AdminListenerOptions {
  listen: ListenTarget;
  /** The API, see `createAdmin`. */
  fetch(request: Request, bindings: AdminBindings): Response | Promise<Response>;
  /** A mistake of our own; for the log. */
  onError(error: unknown): void;
}

/** Requests of administrators and scrapers: a few at one time. */
const MAX_CONNECTIONS = 256;

export class AdminListener {
  readonly #listener: Listener;
  readonly #server: HttpServer;

  private constructor(listener: Listener, server: HttpServer) {
    this.#listener = listener;
    this.#server = server;
  }

  /** Rejects with `SocketError` where it cannot listen. */
  static async start(options: AdminListenerOptions): Promise<AdminListener> {
    const { onError } = options;
    const handler = fetchHandler((request, { client }) => options.fetch(request, { client }), "http://localhost");
    const server = new HttpServer(handler, { maxConnections: MAX_CONNECTIONS, errorAnswer, onError });
    return new AdminListener(await listen(options.listen, (socket) => server.accept(socket)), server);
  }

  /** `127.0.0.1:4480`, `unix:PATH`. */
  get address(): string {
    return formatAddress(this.#listener.address);
  }

  /** Accepts nothing new, and ends every connection, streams included. */
  async close(): Promise<void> {
    const closed = this.#listener.close();
    this.#server.close();
    await closed;
  }
}
