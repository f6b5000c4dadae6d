/** The client's handshake: from a connected socket to one with TLS inside, or one error that says why not. */
import { isIP } from "node:net";
import * as tls from "node:tls";
import { type Clock, systemClock, type Timer } from "../../base/mod.ts";
import { formatTarget } from "../address.ts";
import { checkCertificates } from "./certificates.ts";
import type { CipherStream } from "./cipher_stream.ts";
import { aborted, timedOut } from "../failure.ts";
import { type Socket, SocketError, type TcpTarget, type TlsOptions } from "../socket.ts";
import { distrust } from "./tls_failure.ts";
import { TlsSocket } from "./tls_socket.ts";

/** Who is spoken to, which need not be where the socket leads: a proxy may be between. */
export type TlsTarget = TcpTarget & { readonly tls?: TlsOptions };

export interface StartTlsOptions {
  /** Milliseconds from `begun` until `connect_timeout`. */
  readonly timeoutMs: number;
  /** When the dial began that this is a part of, on the clock. Default: now. */
  readonly begun?: number;
  /** Ends the handshake with `aborted`. */
  readonly signal?: AbortSignal;
}

/**
 * Speaks TLS 1.2 or 1.3 with `target` over `raw`, which is paused and no longer the caller's: it is reset where this
 * fails. The result comes paused.
 * @throws {SocketError} `tls_failed` where the certificate or the handshake is not in order, `connection_reset`,
 *   `connect_timeout`, `aborted`
 */
export async function startTls(
  raw: Socket,
  target: TlsTarget,
  options: StartTlsOptions,
  clock: Clock = systemClock,
): Promise<Socket> {
  const handshake = new Handshake(target, options);
  try {
    return await handshake.run(raw, clock);
  } catch (error) {
    handshake.abandon(raw);
    throw error instanceof SocketError ? error : handshake.failure("tls_failed", messageOf(error), error);
  } finally {
    handshake.settle();
  }
}

class Handshake {
  readonly #target: TlsTarget;
  readonly #options: StartTlsOptions;
  readonly #action: string;
  #socket: TlsSocket | null = null;
  #timer: Timer | null = null;
  #onAbort: (() => void) | null = null;

  constructor(target: TlsTarget, options: StartTlsOptions) {
    this.#target = target;
    this.#options = options;
    this.#action = `cannot connect to ${formatTarget(target)}`;
  }

  run(raw: Socket, clock: Clock): Promise<Socket> {
    const { timeoutMs, signal, begun = clock.now() } = this.#options;
    const { insecure = false, serverName: name = this.#target.host } = this.#target.tls ?? {};
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(this.#action, signal));
      if (raw.closed) return reject(this.#lost(null));
      this.#onAbort = () => reject(aborted(this.#action, signal!));
      signal?.addEventListener("abort", this.#onAbort);
      const left = Math.max(0, begun + timeoutMs - clock.now());
      this.#timer = clock.after(left, () => reject(timedOut(this.#action, timeoutMs)));
      let engine!: tls.TLSSocket;
      const socket = new TlsSocket(raw, (cipher) => engine = this.#connect(cipher, name));
      this.#socket = socket;
      socket.handlers = {
        onData() {},
        onEnd: () => reject(this.#lost(null)),
        onDrain() {},
        onClose: (error) => reject(this.#lost(error)),
      };
      engine.once("secureConnect", () => {
        const reason = insecure ? null : distrust(engine, name);
        if (reason !== null) return reject(this.failure("tls_failed", reason));
        socket.secured();
        resolve(socket);
      });
    });
  }

  abandon(raw: Socket): void {
    (this.#socket ?? raw).reset();
  }

  settle(): void {
    this.#timer?.cancel();
    if (this.#onAbort !== null) this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  failure(code: "tls_failed" | "connection_reset", detail: string, cause?: unknown): SocketError {
    const retryable = code === "connection_reset";
    return new SocketError({ code, reason: `${this.#action}: ${detail}`, initiator: "remote", retryable, cause });
  }

  #connect(cipher: CipherStream, name: string): tls.TLSSocket {
    const { ca } = this.#target.tls ?? {};
    if (ca !== undefined) checkCertificates(ca);
    return tls.connect({
      socket: cipher,
      // An address is no name to ask for (RFC 6066 §3), but the certificate must be for it all the same.
      host: name,
      servername: isIP(name) === 0 ? name : "",
      minVersion: "TLSv1.2",
      allowHalfOpen: true,
      // Judged by `distrust` before anything is sent, so that the reason can be told from the certificate.
      rejectUnauthorized: false,
      ...(ca === undefined ? {} : { ca }),
    } as tls.ConnectionOptions);
  }

  #lost(error: SocketError | null): SocketError {
    if (error?.code === "tls_failed") return this.failure("tls_failed", messageOf(error.cause), error.cause);
    return this.failure("connection_reset", "the connection ended in the TLS handshake", error ?? undefined);
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
