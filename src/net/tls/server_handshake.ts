/**
 * The server's handshake: from an accepted socket to one with TLS inside, or to one error that says why not.
 *
 *     reading ── hello ──▶ choosing ── certificate ──▶ securing ── handshake done ──▶ secured
 *        │                    │                           │
 *        └────────────────────┴── alert, FIN ─────────────┴──▶ refused ── the peer's FIN, or a second ──▶ closed
 */
import { X509Certificate } from "node:crypto";
import * as tls from "node:tls";
import { type Clock, messageOf, showText, Timeout } from "../../base/mod.ts";
import { release } from "../../memory/mod.ts";
import { formatAddress } from "../address.ts";
import { type Socket, SocketError, type SocketErrorCode, type SocketHandlers, type TlsFault } from "../socket.ts";
import { Alert, alertRecord } from "./alerts.ts";
import type { CertificateSource, ClientHello, ClientPolicy, TlsCertificate } from "./certificate_source.ts";
import type { CipherStream } from "./cipher_stream.ts";
import {
  type ClientCertificate,
  describeCertificate,
  distrustClient,
  MAX_CHAIN_LENGTH,
  NO_CERTIFICATE,
} from "./client_certificate.ts";
import { ClientHelloReader, HelloError } from "./client_hello.ts";
import type { ContextCache, TlsContext } from "./context_cache.ts";
import { closeLingering } from "./lingering_close.ts";
import { certificateFault, type Distrust } from "./tls_failure.ts";
import { ENGINE_TICKS, TlsSocket } from "./tls_socket.ts";

/** An accepted socket with TLS inside, and what was agreed. */
export interface SecuredSocket {
  /** Paused. */
  readonly socket: Socket;
  /** The name that the client asked for, in lower case; null without one. */
  readonly serverName: string | null;
  /** What the client and this end both speak (RFC 7301); null where the client offers nothing. */
  readonly protocol: string | null;
  /** The policy that the client has met; null where none was asked for. */
  readonly clientPolicyId: string | null;
  /** Of a client that had to show one; null elsewhere. */
  readonly clientCertificate: ClientCertificate | null;
}

export interface HandshakeSettings {
  readonly certificates: CertificateSource;
  readonly clientPolicyOf: (serverName: string | null) => ClientPolicy | null;
  /** What is spoken here, the preferred first. */
  readonly protocols: readonly string[];
  /** From the first byte that is read to the last of the handshake. */
  readonly timeoutMs: number;
  readonly contexts: ContextCache;
  readonly clock: Clock;
}

const plainText = "This is an HTTPS port: begin the address with https\n";
/** What a client without TLS can read. */
const plainAnswer = new TextEncoder().encode(
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n" +
    `Content-Length: ${plainText.length}\r\n\r\n${plainText}`,
);

/** What was chosen for a hello. */
interface Choice {
  readonly hello: ClientHello;
  readonly protocol: string | null;
  readonly policy: ClientPolicy | null;
  readonly context: TlsContext;
}

export class ServerHandshake implements SocketHandlers {
  readonly #raw: Socket;
  readonly #settings: HandshakeSettings;
  readonly #reader = new ClientHelloReader();
  readonly #timeout: Timeout;
  readonly #peer: string;
  #socket: TlsSocket | null = null;
  /** The hello came, and its certificate is being chosen. */
  #isChoosing = false;
  /** The peer is being told why it was refused. */
  #isRefused = false;
  #isOver = false;
  #resolve!: (socket: SecuredSocket) => void;
  #reject!: (error: SocketError) => void;

  /** @param raw paused; owned by this from now on, and then by the result */
  constructor(raw: Socket, settings: HandshakeSettings) {
    this.#raw = raw;
    this.#settings = settings;
    this.#peer = formatAddress(raw.remote);
    this.#timeout = new Timeout(settings.clock, () => this.#giveUp());
  }

  /** To be called once. @throws {SocketError} `tls_failed`, `connect_timeout`, `connection_reset`, `aborted` */
  run(): Promise<SecuredSocket> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#raw.closed) return this.#fail(this.#lost());
      this.#timeout.start(this.#settings.timeoutMs);
      this.#raw.handlers = this;
      this.#raw.resume();
    });
  }

  /** Ends it with `aborted`. */
  abort(why: string): void {
    this.#fail(this.#error("aborted", why));
  }

  onData(chunk: Uint8Array): void {
    let hello: ClientHello | null;
    try {
      hello = this.#reader.read(chunk);
    } catch (error) {
      return this.#refuseHello(error as HelloError);
    } finally {
      release(chunk);
    }
    if (hello === null) return;
    this.#raw.pause();
    this.#choose(hello);
  }

  onEnd(): void {
    this.#fail(this.#lost());
  }

  onDrain(): void {}

  onClose(error: SocketError | null): void {
    this.#fail(this.#lost(error ?? undefined));
  }

  #refuseHello(error: HelloError): void {
    const failure = this.#error("tls_failed", error.message, error, "no_tls");
    if (error.isText) this.#refuse(plainAnswer, failure);
    else if (error.alert !== null) this.#refuseWith(error.alert, error.message, error);
    else this.#fail(failure);
  }

  #choose(hello: ClientHello): void {
    const protocol = this.#settings.protocols.find((name) => hello.protocols.includes(name)) ?? null;
    if (protocol === null && hello.protocols.length > 0) {
      const offered = hello.protocols.slice(0, 8).map(showText).join(", ");
      return this.#refuseWith(Alert.NO_APPLICATION_PROTOCOL, `it speaks none of our protocols, but ${offered}`);
    }
    this.#isChoosing = true;
    try {
      const found = this.#settings.certificates.certificateFor(hello);
      if (!(found instanceof Promise)) return this.#take(found, hello, protocol);
      found.then(
        (certificate) => this.#take(certificate, hello, protocol),
        (error) => this.#refuseInternal(hello, error),
      );
    } catch (error) {
      this.#refuseInternal(hello, error);
    }
  }

  #take(certificate: TlsCertificate | null, hello: ClientHello, protocol: string | null): void {
    // The client may have left, or the time may be over.
    if (this.#isOver || this.#isRefused) return;
    this.#isChoosing = false;
    if (certificate === null) {
      return this.#refuseWith(Alert.UNRECOGNIZED_NAME, `there is no certificate for ${nameOf(hello)}`);
    }
    try {
      const policy = this.#settings.clientPolicyOf(hello.serverName);
      const context = this.#settings.contexts.get(certificate, policy);
      this.#secure({ hello, protocol, policy, context });
    } catch (error) {
      this.#refuseInternal(hello, error);
    }
  }

  #secure(choice: Choice): void {
    let engine!: tls.TLSSocket;
    let cipher!: CipherStream;
    const createEngine = (stream: CipherStream) => {
      cipher = stream;
      return engine = makeEngine(stream, choice);
    };
    const socket = new TlsSocket(this.#raw, createEngine, this.#settings.clock, this.#reader.bytes);
    this.#socket = socket;
    socket.handlers = {
      onData() {},
      onEnd: () => this.#fail(this.#lost()),
      onDrain() {},
      // The client's alert may wait to be read.
      onBroken: () => true,
      onClose: (error) => this.#takeFailure(error, cipher),
    };
    engine.once("secure", () => this.#takeSecured(engine, choice));
  }

  #takeSecured(engine: tls.TLSSocket, { hello, protocol, policy, context }: Choice): void {
    if (this.#isOver || this.#socket === null) return;
    let clientCertificate: ClientCertificate | null = null;
    if (context.authorities !== null) {
      const chain = shownChain(engine);
      // A session may resume from before the policy was there (Deno 2.9.6), so that its certificate is verified anew.
      const found = distrustClient(chain, context.authorities) ?? runtimeDistrust(engine);
      if (found !== null) return this.#fail(this.#error("tls_failed", found.reason, undefined, found.fault));
      clientCertificate = describeCertificate(chain[0]);
    }
    const socket = this.#socket;
    socket.secured();
    this.#finish();
    const { serverName } = hello;
    this.#resolve({ socket, serverName, protocol, clientPolicyId: policy?.id ?? null, clientCertificate });
  }

  /** The TLS socket has closed before the handshake was done. */
  #takeFailure(error: SocketError | null, cipher: CipherStream): void {
    if (this.#isOver) return;
    if (error?.code !== "tls_failed" || this.#raw.closed) return this.#fail(this.#lost(error ?? undefined));
    const { cause } = error;
    const fault = clientFault(cause);
    const reason = fault ?? messageOf(cause);
    this.#isRefused = true;
    const failure = this.#error("tls_failed", reason, cause, fault === null ? undefined : "certificate");
    this.#afterEngine(ENGINE_TICKS, () => {
      // Deno's engine keeps its alert to itself.
      this.#refuse(cipher.hasSent ? null : alertRecord(Alert.HANDSHAKE_FAILURE), failure);
    });
  }

  /** The runtime's TLS may send its alert after it has reported the failure. */
  #afterEngine(ticks: number, then: () => void): void {
    if (ticks === 0) then();
    else setImmediate(() => this.#afterEngine(ticks - 1, then));
  }

  #refuseInternal(hello: ClientHello, cause: unknown): void {
    this.#refuseWith(
      Alert.INTERNAL_ERROR,
      `no certificate could be had for ${nameOf(hello)}: ${messageOf(cause)}`,
      cause,
    );
  }

  #refuseWith(alert: Alert, reason: string, cause?: unknown): void {
    this.#refuse(alertRecord(alert), this.#error("tls_failed", reason, cause));
  }

  /** Tells the peer, where there is anything to tell, and rejects when the socket has closed. */
  #refuse(lastBytes: Uint8Array | null, error: SocketError): void {
    if (this.#isOver) return;
    this.#isRefused = true;
    this.#timeout.close();
    if (lastBytes !== null) this.#raw.write(lastBytes);
    closeLingering(this.#raw, this.#settings.clock, () => this.#fail(error));
  }

  #giveUp(): void {
    const detail = `it was not done within ${this.#settings.timeoutMs} ms`;
    const error = this.#error("connect_timeout", detail, undefined, "no_handshake");
    if (this.#isChoosing) this.#refuse(alertRecord(Alert.INTERNAL_ERROR), error);
    else this.#fail(error);
  }

  #fail(error: SocketError): void {
    if (this.#isOver) return;
    this.#finish();
    this.#reject(error);
    if (this.#socket !== null && !this.#socket.closed) this.#socket.reset();
    else this.#raw.reset();
  }

  #finish(): void {
    this.#isOver = true;
    this.#timeout.close();
  }

  #lost(cause?: unknown): SocketError {
    return this.#error("connection_reset", "the client left", cause);
  }

  #error(code: SocketErrorCode, detail: string, cause?: unknown, tlsFault?: TlsFault): SocketError {
    const reason = `The TLS handshake with ${this.#peer} failed: ${detail}`;
    const initiator = code === "aborted" ? "library" : "remote";
    return new SocketError({ code, reason, initiator, cause, tlsFault });
  }
}

function nameOf({ serverName }: ClientHello): string {
  return serverName ?? "a client that asks for no name";
}

function makeEngine(cipher: CipherStream, { protocol, policy, context }: Choice): tls.TLSSocket {
  // The types know no other stream than a socket here; the runtimes do.
  const stream = cipher as unknown as ConstructorParameters<typeof tls.TLSSocket>[0];
  return new tls.TLSSocket(stream, {
    isServer: true,
    secureContext: context.secure,
    ALPNProtocols: protocol === null ? undefined : [protocol],
    requestCert: policy !== null,
    // So that the client gets an alert, where the runtime sends one. `distrustClient` decides.
    rejectUnauthorized: policy !== null,
    allowHalfOpen: true,
  } as object);
}

const missingCertificate = /PEER_DID_NOT_RETURN_A_CERTIFICATE|peer sent no certificates/;

/** What an error of the runtime says of the client's certificate; null where it says nothing of one. */
function clientFault(error: unknown): string | null {
  return certificateFault(error) ?? (missingCertificate.test(messageOf(error)) ? NO_CERTIFICATE : null);
}

/** What the runtime says of the client's certificate; null where it says nothing against it. */
function runtimeDistrust(engine: tls.TLSSocket): Distrust | null {
  const { ssl } = engine as { ssl?: { verifyError?(): Error | string | null } | null };
  const error = ssl?.verifyError?.() ?? null;
  if (error === null || error === "") return null;
  return { reason: certificateFault(error) ?? `its certificate is bad: ${messageOf(error)}`, fault: "certificate" };
}

/** The certificates that the client has shown, its own first. */
function shownChain(engine: tls.TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let shown: tls.DetailedPeerCertificate | undefined = engine.getPeerCertificate(true);
  while (shown?.raw !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    chain.push(new X509Certificate(shown.raw));
    if (shown.issuerCertificate === shown) break;
    shown = shown.issuerCertificate;
  }
  return chain;
}
