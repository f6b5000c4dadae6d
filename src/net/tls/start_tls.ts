/** The client's handshake: from a connected socket to one with TLS inside, or to one error that says why not. */
import { isIP } from "node:net";
import * as tls from "node:tls";
import { type Clock, messageOf, systemClock } from "../../base/mod.ts";
import { formatTarget } from "../address.ts";
import { attempt } from "../attempt.ts";
import { type Socket, SocketError, type TcpTarget, type TlsFault, type TlsOptions } from "../socket.ts";
import { checkCertificates } from "./certificates.ts";
import type { CipherStream } from "./cipher_stream.ts";
import { type Distrust, distrust, distrustKey } from "./tls_failure.ts";
import { NoTlsError, TlsSocket } from "./tls_socket.ts";

/** The other end of TLS. The socket may lead to a proxy on the way there. */
export type TlsTarget = TcpTarget & { readonly tls?: TlsOptions };

export interface StartTlsOptions {
  /** Milliseconds from `startedAt` until `connect_timeout`. */
  readonly timeoutMs: number;
  /** When the whole dial began, on the clock. Default: now. */
  readonly startedAt?: number;
  /** Ends the handshake with `aborted`. */
  readonly signal?: AbortSignal;
}

/**
 * Speaks TLS 1.2 or 1.3 with `target` over `raw`, which must be paused. `raw` is owned by the result, or reset where
 * this fails. The result is paused.
 *
 * @throws {SocketError} `tls_failed` where the certificate or the handshake is not in order, `connection_reset`,
 *   `connect_timeout`, `aborted`
 */
export function startTls(
  raw: Socket,
  target: TlsTarget,
  options: StartTlsOptions,
  clock: Clock = systemClock,
): Promise<Socket> {
  return new Handshake(raw, target).run(options, clock);
}

class Handshake {
  readonly #raw: Socket;
  readonly #target: TlsTarget;
  readonly #name: string;
  readonly #action: string;
  #socket: TlsSocket | null = null;

  constructor(raw: Socket, target: TlsTarget) {
    this.#raw = raw;
    this.#target = target;
    this.#name = target.tls?.serverName ?? target.host;
    this.#action = `Cannot connect to ${formatTarget(target)}`;
  }

  run(options: StartTlsOptions, clock: Clock): Promise<Socket> {
    const cleanUp = () => (this.#socket ?? this.#raw).reset();
    const timeoutError = () => this.#timedOut(options.timeoutMs);
    return attempt<Socket>({ ...options, action: this.#action, clock, cleanUp, timeoutError }, (resolve, reject) => {
      if (this.#raw.closed) return reject(this.#lost(null));
      try {
        this.#begin(clock, resolve, reject);
      } catch (error) {
        reject(this.#failure("tls_failed", messageOf(error), error));
      }
    });
  }

  #begin(clock: Clock, resolve: (socket: Socket) => void, reject: (error: unknown) => void): void {
    let engine!: tls.TLSSocket;
    const socket = new TlsSocket(this.#raw, (cipher) => engine = this.#createEngine(cipher), clock);
    this.#socket = socket;
    socket.handlers = {
      onData() {},
      onEnd: () => reject(this.#lost(null)),
      onDrain() {},
      // The server's alert may wait to be read.
      onBroken: () => true,
      onClose: (error) => reject(this.#lost(error)),
    };
    engine.once("secureConnect", () => {
      const found = this.#distrust(engine);
      if (found !== null) return reject(this.#failure("tls_failed", found.reason, undefined, found.fault));
      socket.secured();
      resolve(socket);
    });
  }

  #distrust(engine: tls.TLSSocket): Distrust | null {
    const { pins, insecure } = this.#target.tls ?? {};
    if (pins !== undefined) return distrustKey(engine, pins);
    return insecure ? null : distrust(engine, this.#name);
  }

  #createEngine(cipher: CipherStream): tls.TLSSocket {
    const { ca } = this.#target.tls ?? {};
    if (ca !== undefined) checkCertificates(ca);
    return tls.connect({
      socket: cipher,
      // SNI cannot carry an IP address (RFC 6066 §3), but the certificate must be for it all the same.
      host: this.#name,
      servername: isIP(this.#name) === 0 ? this.#name : "",
      minVersion: "TLSv1.2",
      allowHalfOpen: true,
      // `distrust` decides, before anything is sent: it can read the reason from the certificate.
      rejectUnauthorized: false,
      ca,
    } as tls.ConnectionOptions);
  }

  #timedOut(timeoutMs: number): SocketError {
    const detail = `the TLS handshake had no answer within ${timeoutMs} ms`;
    return this.#failure("connect_timeout", detail, undefined, "no_handshake");
  }

  #lost(error: SocketError | null): SocketError {
    if (error?.code === "tls_failed") {
      const { cause } = error;
      const fault = cause instanceof NoTlsError ? "no_tls" : undefined;
      return this.#failure("tls_failed", messageOf(cause), cause, fault);
    }
    return this.#failure("connection_reset", "the connection ended in the TLS handshake", error ?? undefined);
  }

  #failure(
    code: "tls_failed" | "connection_reset" | "connect_timeout",
    detail: string,
    cause?: unknown,
    tlsFault?: TlsFault,
  ): SocketError {
    const reason = `${this.#action}: ${detail}`;
    const retryable = code !== "tls_failed";
    return new SocketError({ code, reason, initiator: "remote", retryable, cause, tlsFault });
  }
}
