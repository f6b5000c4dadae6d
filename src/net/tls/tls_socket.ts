/**
 * `Socket` with TLS inside, over any other `Socket`. The runtime's TLS does the cryptography, on a `CipherStream`; the
 * flow of bytes is governed here. That gives what `node:tls` on a socket of its own does not: backpressure and resets
 * on Deno, a real RST on Bun, a truncated stream told from an ended one on both, and TLS within TLS.
 *
 *     owner ⇄ TlsSocket ⇄ engine (node:tls) ⇄ CipherStream ⇄ socket
 *
 * The engine always flows: `pause()` stops the socket under it, and what the engine still has then is held here. That
 * is the text of one read, which bounds it.
 */
import type * as tls from "node:tls";
import { formatAddress } from "../address.ts";
import { concat, disown, reportGarbage } from "../../memory/mod.ts";
import { CipherStream } from "./cipher_stream.ts";
import { HIGH_WATER_BYTES } from "../node_socket.ts";
import { noHandlers, type Socket, type SocketAddress, SocketError, type SocketHandlers } from "../socket.ts";
import { atTickEnd, type TickListener } from "../../base/mod.ts";

/** A turn's writes up to here become one record (RFC 8446 §5.1). */
const RECORD_BYTES = 16 * 1024;
/** Turns of the event loop in which the engine has surely told of a close_notify that it was given. */
const TURNS_TO_NOTICE_END = 3;

export class TlsSocket implements Socket, TickListener {
  handlers: SocketHandlers = noHandlers;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;

  readonly #raw: Socket;
  readonly #cipher: CipherStream;
  readonly #engine: tls.TLSSocket;
  /** Encrypted bytes came at all; the first one tells whether the peer speaks TLS. */
  #spoken = false;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #flushWaits = false;
  #drainWanted = false;
  /** Decrypted while the owner did not want it. */
  #held: Uint8Array[] = [];
  #paused = true;
  #ended = false;
  /** The peer's close_notify was decrypted; the owner may not have been told yet. */
  #notified = false;
  #peerEnded = false;
  #reset = false;
  /** The socket below has closed in order, and the owner is still to be told what came before. */
  #closeWaits = false;
  #closed = false;
  #error: SocketError | null = null;
  readonly #onWritten = () => this.#drain();

  /**
   * @param raw paused, and owned by this socket from now on
   * @param createEngine makes the client's or the server's end of TLS on the stream that it is given
   */
  constructor(raw: Socket, createEngine: (cipher: CipherStream) => tls.TLSSocket) {
    this.#raw = raw;
    this.local = raw.local;
    this.remote = raw.remote;
    this.#cipher = new CipherStream(raw);
    this.#engine = createEngine(this.#cipher);
    this.#engine.on("data", (bytes: Uint8Array) => this.#takeText(bytes));
    this.#engine.on("end", () => this.#takeNotified());
    this.#engine.on("error", (cause: Error) => this.#failTls(cause));
    this.#cipher.on("error", (cause: Error) => this.#failTls(cause));
    raw.handlers = {
      onData: (bytes) => this.#takeCipher(bytes),
      onEnd: () => this.#checkTruncated(TURNS_TO_NOTICE_END),
      onDrain: () => this.#drain(),
      onClose: (error) => this.#takeClose(error),
    };
    raw.resume();
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#engine.writableLength + this.#raw.bufferedBytes;
  }

  get closed(): boolean {
    return this.#closed || this.#reset;
  }

  /** To be called when the handshake is done: from then on the owner decides what is read. */
  secured(): void {
    if (this.#paused) this.#raw.pause();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.#reset || this.#closed) return true;
    if (bytes.length > 0) {
      this.#gathered.push(bytes);
      this.#gatheredBytes += bytes.length;
      this.#flushSoon();
    }
    if (this.bufferedBytes < HIGH_WATER_BYTES) return true;
    this.#drainWanted = true;
    return false;
  }

  end(): void {
    if (this.#ended || this.closed) return;
    this.#ended = true;
    this.#flushSoon();
  }

  reset(): void {
    if (this.closed) return;
    this.#reset = true;
    // A socket that has closed already will not tell so again.
    if (this.#closeWaits) this.#flushSoon();
    this.#abandon();
  }

  pause(): void {
    this.#paused = true;
    this.#raw.pause();
  }

  resume(): void {
    if (this.closed) return;
    this.#paused = false;
    if (this.#hasNews) this.#flushSoon();
    else this.#raw.resume();
  }

  flush(): void {
    if (this.closed) return;
    if (this.#gatheredBytes > 0) this.#writeGathered();
    this.#raw.flush();
  }

  /** Tells the owner what was held, then gives away what was gathered. */
  onTickEnd(): void {
    this.#flushWaits = false;
    if (this.#reset && this.#closeWaits && !this.#closed) return this.#finish(null);
    if (this.closed) return this.#drop();
    this.#tellHeld();
    if (this.closed) return;
    if (this.#gatheredBytes > 0) this.#writeGathered();
    if (this.#ended) this.#endEngine();
  }

  /** True where the owner has something to be told of that is here already. */
  get #hasNews(): boolean {
    return this.#held.length > 0 || (this.#notified && !this.#peerEnded);
  }

  #flushSoon(): void {
    if (this.#flushWaits) return;
    this.#flushWaits = true;
    atTickEnd(this);
  }

  #tellHeld(): void {
    if (this.#paused || !this.#hasNews) return;
    while (this.#held.length > 0) {
      this.handlers.onData(this.#held.shift()!);
      if (this.#paused || this.closed) return;
    }
    if (this.#notified) this.#tellEnd();
    if (this.#closeWaits && !this.closed) this.#finish(null);
    else this.#raw.resume();
  }

  #writeGathered(): void {
    const chunks = this.#gathered;
    for (const chunk of chunks) disown(chunk);
    const total = this.#gatheredBytes;
    reportGarbage(total);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    const written = this.#drainWanted ? this.#onWritten : undefined;
    if (total <= RECORD_BYTES && chunks.length > 1) return void this.#engine.write(concat(chunks, total), written);
    const last = chunks.length - 1;
    for (let i = 0; i < last; i++) this.#engine.write(chunks[i]);
    this.#engine.write(chunks[last], written);
  }

  /**
   * The close_notify, and FIN behind it: Deno's engine is done a tick before it gives the close_notify away, and
   * Bun's has gone by the time the peer's own is told.
   */
  #endEngine(): void {
    if (this.#engine.writableEnded) return;
    if (this.#engine.destroyed) this.#raw.end();
    else this.#engine.end(() => setImmediate(() => this.#raw.end()));
  }

  #drain(): void {
    if (!this.#drainWanted || this.closed || this.bufferedBytes >= HIGH_WATER_BYTES) return;
    this.#drainWanted = false;
    this.handlers.onDrain();
  }

  #takeCipher(bytes: Uint8Array): void {
    if (!this.#spoken) {
      this.#spoken = true;
      if (!looksLikeTls(bytes[0])) return this.#failTls(new Error("the other end does not speak TLS"));
    }
    // The runtime's TLS does not count references.
    this.#cipher.receive(disown(bytes));
  }

  #takeText(bytes: Uint8Array): void {
    if (this.closed || this.#error !== null) return;
    reportGarbage(bytes.length);
    if (this.#paused || this.#held.length > 0) this.#held.push(bytes);
    else this.handlers.onData(bytes);
  }

  #takeNotified(): void {
    // An engine that was destroyed may end its stream too.
    if (this.closed || this.#error !== null || this.#notified) return;
    this.#notified = true;
    if (!this.#paused && this.#held.length === 0) this.#tellEnd();
  }

  #tellEnd(): void {
    this.#peerEnded = true;
    this.end();
    this.handlers.onEnd();
  }

  /** After the peer's FIN: the engine is given the time to decrypt what came before it. */
  #checkTruncated(turns: number): void {
    if (this.closed || this.#notified) return;
    if (turns > 0) return void setImmediate(() => this.#checkTruncated(turns - 1));
    const reason = `connection with ${formatAddress(this.remote)} was cut short: it ended without close_notify`;
    this.#fail(new SocketError({ code: "connection_reset", reason, initiator: "remote", retryable: true }));
  }

  #failTls(cause: Error): void {
    const reason = `TLS with ${formatAddress(this.remote)} failed: ${cause.message}`;
    this.#fail(new SocketError({ code: "tls_failed", reason, initiator: "remote", cause }));
  }

  #fail(error: SocketError): void {
    if (this.closed || this.#error !== null || this.#notified) return;
    this.#error = error;
    this.#abandon();
  }

  #abandon(): void {
    this.#drop();
    this.#raw.reset();
    this.#engine.destroy();
  }

  #drop(): void {
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#held = [];
  }

  #takeClose(error: SocketError | null): void {
    if (this.#closed) return;
    if (this.#reset) return this.#finish(null);
    if (this.#error !== null) return this.#finish(this.#error);
    // After the peer's close_notify nothing of its was lost; that it did not wait for ours is usual.
    const failure = this.#notified && this.#gatheredBytes === 0 ? null : error;
    if (failure !== null || !this.#hasNews) return this.#finish(failure);
    this.#closeWaits = true;
    if (!this.#paused) this.#flushSoon();
  }

  #finish(error: SocketError | null): void {
    this.#closed = true;
    this.#drop();
    this.#engine.destroy();
    this.handlers.onClose(error);
  }
}

/** A handshake or an alert (RFC 8446 §5.1). */
function looksLikeTls(contentType: number): boolean {
  return contentType === 0x16 || contentType === 0x15;
}
