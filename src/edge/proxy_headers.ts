/** Sockets of a listener behind proxies that speak the PROXY protocol: each begins with a header, or is refused. */
import { type Clock, OptionError } from "../base/mod.ts";
import { peerOf, type TrustedProxies } from "../http/mod.ts";
import { readProxyHeader, type Socket, SocketError } from "../net/mod.ts";
import { ReasonCounts, type ReasonReporter } from "./refusals.ts";

/** The part of an edge's options that says so. */
export interface ProxyHeaderSettings {
  readonly proxyProtocol?: boolean;
  readonly trustedProxies?: TrustedProxies;
  readonly events?: { readonly onProxyRefused?: ReasonReporter };
}

/** Sockets whose header is not whole yet. A proxy sends it with its first bytes. */
export const MAX_PENDING_PROXY_HEADERS = 1_024;

export class ProxyHeaders {
  readonly #trusted: TrustedProxies;
  readonly #clock: Clock;
  readonly #counts: ReasonCounts;
  readonly #maxPending: number;
  readonly #pending = new Set<Socket>();

  /** @param maxPending connections whose header is not whole yet; further ones are reset. Default 1,024. */
  constructor(
    trusted: TrustedProxies,
    clock: Clock,
    report: ReasonReporter,
    maxPending = MAX_PENDING_PROXY_HEADERS,
  ) {
    this.#maxPending = maxPending;
    this.#trusted = trusted;
    this.#clock = clock;
    this.#counts = new ReasonCounts(clock, "They did not begin with a PROXY header of a trusted proxy", report);
  }

  /**
   * Those of an edge; null where its connections begin without a header.
   *
   * @throws {OptionError} where no proxy could ever send one
   */
  static of(
    { proxyProtocol, trustedProxies, events }: ProxyHeaderSettings,
    clock: Clock,
  ): ProxyHeaders | null {
    if (proxyProtocol !== true) return null;
    if (trustedProxies === undefined) throw new OptionError("The option proxyProtocol needs trustedProxies");
    return new ProxyHeaders(trustedProxies, clock, (...refusal) => events?.onProxyRefused?.(...refusal));
  }

  /** Connections whose header is awaited. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Gives `socket` to `onSocket` once its header is read, with the client's address as its `remote`. */
  accept(socket: Socket, onSocket: (socket: Socket) => void): void {
    const address = peerOf(socket.remote);
    if (this.#pending.size >= this.#maxPending) {
      socket.reset();
      return this.#counts.add(address, `${this.#maxPending} connections wait for their PROXY headers`);
    }
    this.#pending.add(socket);
    const header = readProxyHeader(socket, {
      isTrusted: (peer) => this.#trusted.isTrusted(peerOf(peer)),
      clock: this.#clock,
    });
    header.then((proxied) => {
      this.#pending.delete(socket);
      if (!proxied.closed) onSocket(proxied);
    }, (error) => {
      this.#pending.delete(socket);
      // Load balancers connect and leave in order to see whether somebody listens.
      if (error instanceof SocketError && error.code === "connection_reset") return;
      this.#counts.add(address, error instanceof SocketError ? error.reason : String(error));
    });
  }

  /** Resets what still waits. */
  close(): void {
    for (const socket of this.#pending) socket.reset();
    this.#counts.close();
  }
}
