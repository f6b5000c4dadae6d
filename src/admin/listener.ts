/** The admin API on a listener of its own. */
import { systemClock } from "../base/mod.ts";
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
/** For commands that are under way. Streams of events have no end. */
const LEAVE_MS = 2_000;

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

  /** Accepts nothing new, and ends what still runs in 2 s. Another edge can listen there at once. */
  async leave(): Promise<void> {
    await this.#listener.close();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = systemClock.after(LEAVE_MS, resolve);
    await Promise.race([this.#server.drain(), late]);
    timer.cancel();
    this.#server.close();
  }

  /** Accepts nothing new, and ends every connection, streams included. */
  async close(): Promise<void> {
    const closed = this.#listener.close();
    this.#server.close();
    await closed;
  }
}
