/** TLS as a server, over sockets that were accepted. */
import { checkRange, type Clock, systemClock } from "../../base/mod.ts";
import type { Socket } from "../socket.ts";
import type { CertificateSource, ClientPolicy } from "./certificate_source.ts";
import { ContextCache, DEFAULT_MAX_CONTEXTS } from "./context_cache.ts";
import { type HandshakeSettings, type SecuredSocket, ServerHandshake } from "./server_handshake.ts";

export interface TlsAcceptorOptions {
  readonly certificates: CertificateSource;
  /**
   * Whose certificate a client must show that asks for this name (null: for none); null: it is not asked for one.
   * Default: nobody is.
   */
  readonly clientPolicyOf?: (serverName: string | null) => ClientPolicy | null;
  /** The protocols that are spoken here (RFC 7301), the preferred first. Default `http/1.1`. */
  readonly protocols?: readonly string[];
  /** Milliseconds for a handshake, the choice of its certificate included. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Pairs of a certificate and a client policy that are kept ready, with the sessions that resume. Default 1,024. */
  readonly maxContexts?: number;
  readonly clock?: Clock;
}

const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;
const defaultProtocols: readonly string[] = ["http/1.1"];

/**
 * Speaks TLS 1.2 and 1.3 with clients. Their sessions resume: on Bun under the certificate that they began with, on Deno
 * under the next one of the same name, too. A client policy is never met by a session alone: the certificate in it is
 * verified again. A client that is refused gets the alert that says why, as far as the runtime lets us.
 */
export class TlsAcceptor {
  readonly #settings: HandshakeSettings;
  readonly #running = new Set<ServerHandshake>();
  #isClosed = false;

  /** @throws {OptionError} */
  constructor(options: TlsAcceptorOptions) {
    const { handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS, maxContexts = DEFAULT_MAX_CONTEXTS } = options;
    checkRange("handshakeTimeoutMs", handshakeTimeoutMs, 1);
    checkRange("maxContexts", maxContexts, 1);
    this.#settings = {
      certificates: options.certificates,
      clientPolicyOf: options.clientPolicyOf ?? (() => null),
      protocols: options.protocols ?? defaultProtocols,
      timeoutMs: handshakeTimeoutMs,
      contexts: new ContextCache(maxContexts),
      clock: options.clock ?? systemClock,
    };
  }

  /** Handshakes that run, and clients that are being told why they were refused. */
  get pending(): number {
    return this.#running.size;
  }

  /**
   * Does the handshake over `raw`, which must be paused. `raw` is owned by the result, whose socket is paused, or has
   * closed when this rejects.
   *
   * @throws {SocketError} `tls_failed`, `connect_timeout`, `connection_reset`; `aborted` after `close()`
   */
  async accept(raw: Socket): Promise<SecuredSocket> {
    const handshake = new ServerHandshake(raw, this.#settings);
    this.#running.add(handshake);
    try {
      const done = handshake.run();
      if (this.#isClosed) handshake.abort();
      return await done;
    } finally {
      this.#running.delete(handshake);
    }
  }

  /** Ends all handshakes that run, with `aborted`. Later ones fail with the same. */
  close(): void {
    this.#isClosed = true;
    for (const handshake of this.#running) handshake.abort();
  }
}
