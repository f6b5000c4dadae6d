/**
 * `Socket` with TLS inside, over any other `Socket`. The runtime's TLS does the cryptography, on a `CipherStream`; the
 * flow of bytes is controlled here. `node:tls` on a socket of its own lacks backpressure and resets on Deno, a real RST
 * on Bun, and on both the distinction of a truncated stream from an ended one, and TLS within TLS.
 *
 *     owner ⇄ TlsSocket ⇄ engine (node:tls) ⇄ CipherStream ⇄ raw socket
 *
 * The engine is never paused: `pause()` pauses the raw socket, and what the engine still decrypts then waits here. That
 * is bounded, by the plaintext of one read.
 */
import type * as tls from "node:tls";
import {
  atTickEnd,
  type Clock,
  nameErrorClass,
  systemClock,
  type TickListener,
  Timeout,
  work,
} from "../../base/mod.ts";
import { concat, count, isCounted, release, reportGarbage } from "../../memory/mod.ts";
import { formatAddress } from "../address.ts";
import { runtime } from "../current_runtime.ts";
import { HeldReads, type HeldReadsOwner } from "../held_reads.ts";
import { HIGH_WATER_BYTES } from "../node_socket.ts";
import {
  BROKEN_WAIT_MS,
  noHandlers,
  type Socket,
  type SocketAddress,
  SocketError,
  type SocketHandlers,
} from "../socket.ts";
import { CHEAP_UNITS, turns, UNITS_PER_ITERATION } from "../turns.ts";
import { CipherStream } from "./cipher_stream.ts";

/** The writes of a tick become one record up to here (RFC 8446 §5.1). */
const RECORD_BYTES = 16 * 1024;
/** Event-loop ticks in which the engine has surely reported what was passed to it: plaintext, or a close_notify. */
export const ENGINE_TICKS = 3;

/** The first bytes of the other end are no TLS. */
export class NoTlsError extends Error {
  static {
    nameErrorClass(this, "NoTlsError");
  }

  constructor() {
    super("the other end does not speak TLS");
  }
}

export class TlsSocket implements Socket, TickListener, HeldReadsOwner {
  handlers: SocketHandlers = noHandlers;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;

  readonly #raw: Socket;
  readonly #cipher: CipherStream;
  readonly #engine: tls.TLSSocket;
  /** False until encrypted bytes arrived: the first one shows whether the peer speaks TLS. */
  #hasReceived = false;
  /** A server's handshake runs. Where it fails, the raw socket stays open, so that the client can be told why. */
  #isAccepting: boolean;
  /** Written and not yet encrypted. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #isTickEndScheduled = false;
  #isDrainWanted = false;
  /** Decrypted while paused, or dear (turns.ts). */
  readonly #undelivered = new HeldReads(this);
  /** A read waits for a turn where so many units were spent in this iteration; 0 while reads are dear. */
  #unitLimit = UNITS_PER_ITERATION;
  #isPaused = true;
  #hasEnded = false;
  /** The peer's close_notify arrived. */
  #hasPeerEnded = false;
  /** The peer's FIN came. Whether without a close_notify is looked at behind what waits. */
  #isCheckDue = false;
  /** `onEnd` was called. */
  #isEndDelivered = false;
  #isReset = false;
  /** The raw socket is broken, and the owner wants what came before. */
  #isRestWanted = false;
  #isRawClosed = false;
  /** The raw socket has closed, the engine has decrypted all, and the owner must get that before the close. */
  #isCloseDeferred = false;
  /** What the raw socket closed with. */
  #closeError: SocketError | null = null;
  /** While the close waits for a reader. */
  #restTimeout: Timeout | null = null;
  #isClosed = false;
  #error: SocketError | null = null;
  readonly #clock: Clock;
  readonly #onWritten = () => this.#drain();

  /**
   * @param raw paused; owned by this socket from now on
   * @param createEngine makes the client's or the server's end of TLS on the given stream
   * @param hello for a server's end: what was read of `raw` before. A handshake that fails leaves `raw` open, paused and
   *   without handlers, where it has not closed
   */
  constructor(
    raw: Socket,
    createEngine: (cipher: CipherStream) => tls.TLSSocket,
    clock: Clock = systemClock,
    hello: Uint8Array | null = null,
  ) {
    this.#raw = raw;
    this.#isAccepting = hello !== null;
    this.#clock = clock;
    this.local = raw.local;
    this.remote = raw.remote;
    this.#cipher = new CipherStream(raw);
    this.#engine = createEngine(this.#cipher);
    runtime.spareTlsCopy(this.#engine);
    this.#engine.on("data", (bytes: Uint8Array) => this.#takePlaintext(bytes));
    this.#engine.on("end", () => this.#takeCloseNotify());
    this.#engine.on("error", (cause: Error) => this.#failTls(cause));
    this.#cipher.on("error", (cause: Error) => this.#failTls(cause));
    raw.handlers = {
      onData: (bytes) => this.#takeCipher(bytes),
      onEnd: () => this.#checkTruncated(ENGINE_TICKS),
      onDrain: () => this.#drain(),
      onBroken: () => this.#wantsRest(),
      onClose: (error) => this.#takeClose(error),
    };
    if (hello === null) raw.resume();
    // Deno's engine can crash where it gets bytes in the tick in which it was made (2.9.6).
    else setImmediate(() => this.#takeHello(hello));
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#engine.writableLength + this.#raw.bufferedBytes;
  }

  get unreadBytes(): number {
    return this.#engine.readableLength + this.#raw.unreadBytes;
  }

  get closed(): boolean {
    return this.#isClosed || this.#isReset;
  }

  /** Must be called when the handshake is done. Until then the raw socket is read although this one is paused. */
  secured(): void {
    this.#isAccepting = false;
    if (this.#isPaused) this.#raw.pause();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#hasEnded || this.#isReset || this.#isClosed) return true;
    if (bytes.length > 0) {
      this.#gathered.push(bytes);
      this.#gatheredBytes += bytes.length;
      this.#scheduleTickEnd();
    }
    if (this.bufferedBytes < HIGH_WATER_BYTES) return true;
    this.#isDrainWanted = true;
    return false;
  }

  end(): void {
    if (this.#hasEnded || this.closed) return;
    this.#hasEnded = true;
    this.#scheduleTickEnd();
  }

  reset(): void {
    if (this.closed) return;
    this.#isReset = true;
    // The raw socket will not report its close a second time.
    if (this.#isRawClosed) this.#scheduleTickEnd();
    this.#abandon();
  }

  pause(): void {
    this.#isPaused = true;
    this.#raw.pause();
  }

  resume(): void {
    if (this.closed) return;
    this.#isPaused = false;
    this.#restTimeout?.start(BROKEN_WAIT_MS);
    if (this.#hasUndelivered) this.#scheduleTickEnd();
    else this.#raw.resume();
  }

  get canTakeReads(): boolean {
    return !this.#isPaused && !this.closed;
  }

  takeRead(part: Uint8Array): void {
    this.handlers.onData(part);
  }

  heldReadsTaken(isCheap: boolean): void {
    this.#unitLimit = isCheap ? UNITS_PER_ITERATION : 0;
    if (this.canTakeReads) this.#afterDelivered();
  }

  flush(): void {
    if (this.closed) return;
    if (this.#gatheredBytes > 0) this.#writeGathered();
    this.#raw.flush();
  }

  /** Delivers what has waited, then encrypts what was gathered. */
  onTickEnd(): void {
    this.#isTickEndScheduled = false;
    if (this.#isReset && this.#isRawClosed && !this.#isClosed) return this.#finish(null);
    if (this.closed) return this.#drop();
    this.#deliverWaiting();
    if (this.closed) return;
    if (this.#gatheredBytes > 0) this.#writeGathered();
    if (this.#hasEnded) this.#endEngine();
  }

  /** True while plaintext, or the peer's end, waits for its delivery. */
  get #hasUndelivered(): boolean {
    return !this.#undelivered.isEmpty || (this.#hasPeerEnded && !this.#isEndDelivered);
  }

  #scheduleTickEnd(): void {
    if (this.#isTickEndScheduled) return;
    this.#isTickEndScheduled = true;
    atTickEnd(this);
  }

  #deliverWaiting(): void {
    if (this.#isPaused || !this.#hasUndelivered) return;
    while (!this.#undelivered.isEmpty) {
      if (this.#mustWait) return this.#undelivered.wait(this.#unitLimit > 0);
      this.#deliver(this.#undelivered.shift());
      if (this.#isPaused || this.closed) return;
    }
    this.#afterDelivered();
  }

  #afterDelivered(): void {
    if (this.#isCheckDue) return this.#checkTruncated(0);
    if (this.#hasPeerEnded && !this.#isEndDelivered) this.#deliverEnd();
    if (this.#isCloseDeferred && !this.closed) this.#finish(this.#closeError);
    else this.#raw.resume();
  }

  #writeGathered(): void {
    const chunks = this.#gathered;
    const total = this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (total <= RECORD_BYTES && chunks.length > 1) {
      const whole = concat(chunks, total);
      for (const chunk of chunks) release(chunk);
      return this.#encrypt(whole);
    }
    for (const chunk of chunks) this.#encrypt(chunk);
  }

  #encrypt(chunk: Uint8Array): void {
    if (isCounted(chunk)) return void this.#engine.write(chunk, (error) => this.#releaseEncrypted(chunk, error));
    reportGarbage(chunk.length);
    this.#engine.write(chunk, this.#isDrainWanted ? this.#onWritten : undefined);
  }

  #releaseEncrypted(chunk: Uint8Array, error: Error | null | undefined): void {
    // The engine may still use it where it broke.
    if (!error && !this.#engine.destroyed) release(chunk);
    this.#drain();
  }

  /**
   * Sends close_notify and FIN. Deno's engine calls back a tick before it writes the close_notify; Bun's is destroyed
   * before it reports the peer's.
   */
  #endEngine(): void {
    if (this.#engine.writableEnded) return;
    if (this.#engine.destroyed) this.#raw.end();
    else this.#engine.end(() => setImmediate(() => this.#raw.end()));
  }

  #drain(): void {
    if (!this.#isDrainWanted || this.closed || this.bufferedBytes >= HIGH_WATER_BYTES) return;
    this.#isDrainWanted = false;
    this.handlers.onDrain();
  }

  #takeHello(hello: Uint8Array): void {
    if (this.closed || this.#isRawClosed) return;
    this.#takeCipher(hello);
    if (!this.closed) this.#raw.resume();
  }

  #takeCipher(bytes: Uint8Array): void {
    if (!this.#hasReceived) {
      this.#hasReceived = true;
      if (!looksLikeTls(bytes[0])) return this.#failTls(new NoTlsError());
    }
    this.#cipher.receive(bytes);
  }

  #takePlaintext(bytes: Uint8Array): void {
    if (this.closed || this.#error !== null) return;
    count(bytes);
    if (!this.#isPaused && this.#undelivered.isEmpty && !this.#mustWait) return this.#deliver(bytes);
    this.#undelivered.add(bytes);
    if (this.#isPaused) return;
    this.#raw.pause();
    this.#undelivered.wait(this.#unitLimit > 0);
  }

  get #mustWait(): boolean {
    return turns.spentUnits >= this.#unitLimit;
  }

  #deliver(bytes: Uint8Array): void {
    work.units = 0;
    this.handlers.onData(bytes);
    if (work.units > CHEAP_UNITS) this.#unitLimit = turns.account(work.units, bytes.length);
    work.units = 0;
  }

  #takeCloseNotify(): void {
    // A destroyed engine may end its stream, too.
    if (this.closed || this.#error !== null || this.#hasPeerEnded) return;
    this.#hasPeerEnded = true;
    if (!this.#isPaused && this.#undelivered.isEmpty) this.#deliverEnd();
  }

  #deliverEnd(): void {
    this.#isEndDelivered = true;
    this.end();
    this.handlers.onEnd();
  }

  /** After the peer's FIN, when the engine had the time to decrypt what came before it. */
  #checkTruncated(ticks: number): void {
    if (this.closed || this.#hasPeerEnded) return;
    if (ticks > 0) return void setImmediate(() => this.#checkTruncated(ticks - 1));
    // What came before waits for its turn.
    this.#isCheckDue = !this.#undelivered.isEmpty && !this.#isPaused;
    if (this.#isCheckDue) return;
    const reason = `The connection with ${formatAddress(this.remote)} was cut short: it ended without close_notify`;
    this.#fail(new SocketError({ code: "connection_reset", reason, initiator: "remote", retryable: true }));
  }

  #failTls(cause: Error): void {
    const reason = `TLS with ${formatAddress(this.remote)} failed: ${cause.message}`;
    this.#fail(new SocketError({ code: "tls_failed", reason, initiator: "remote", cause }));
  }

  #fail(error: SocketError): void {
    if (this.closed || this.#error !== null || this.#hasPeerEnded) return;
    this.#error = error;
    if (this.#isRawClosed) this.#finish(error);
    else if (this.#isAccepting) this.#leaveRaw(error);
    else this.#abandon();
  }

  #leaveRaw(error: SocketError): void {
    this.#raw.pause();
    this.#raw.handlers = noHandlers;
    this.#finish(error);
  }

  #abandon(): void {
    this.#drop();
    this.#raw.reset();
    this.#engine.destroy();
  }

  #drop(): void {
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#undelivered.drop();
  }

  #takeClose(error: SocketError | null): void {
    if (this.#isClosed) return;
    if (this.#isReset) return this.#finish(null);
    if (this.#error !== null) return this.#finish(this.#error);
    this.#isRawClosed = true;
    this.#closeError = error;
    // The last read may have come together with the error.
    this.#deferClose(error === null ? 0 : ENGINE_TICKS);
  }

  #deferClose(ticks: number): void {
    if (this.closed) return;
    if (ticks > 0) return void setImmediate(() => this.#deferClose(ticks - 1));
    // After the peer's close_notify nothing of it was lost. Most peers do not wait for ours.
    if (this.#hasPeerEnded && this.#gatheredBytes === 0) this.#closeError = null;
    if (!this.#hasUndelivered) return this.#finish(this.#closeError);
    this.#isCloseDeferred = true;
    if (!this.#isPaused) return this.#scheduleTickEnd();
    if (this.#closeError === null) return;
    if (!this.#wantsRest()) return this.#finish(this.#closeError);
    this.#restTimeout = new Timeout(this.#clock, () => this.#finish(this.#closeError));
    this.#restTimeout.start(BROKEN_WAIT_MS);
  }

  /** Whether the owner wants what came before the connection broke. It is asked once, unless it says no. */
  #wantsRest(): boolean {
    this.#isRestWanted ||= !this.closed && this.handlers.onBroken?.() === true;
    return this.#isRestWanted;
  }

  #finish(error: SocketError | null): void {
    this.#isClosed = true;
    this.#restTimeout?.close();
    this.#drop();
    this.#engine.destroy();
    this.handlers.onClose(error);
  }
}

/** True for a handshake or an alert (RFC 8446 §5.1). */
function looksLikeTls(contentType: number): boolean {
  return contentType === 0x16 || contentType === 0x15;
}
