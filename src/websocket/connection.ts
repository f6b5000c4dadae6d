/**
 * One WebSocket, as client or server, on a socket after the handshake.
 *
 *               close()                       peer's close frame
 *     ┌──────┐ ───────────▶ ┌─────────┐ ───────────────────────────▶ ┌───────┐ socket closed ┌────────┐
 *     │ open │              │ closing │  its FIN, or it broke a rule │ ended │ ─────────────▶│ closed │
 *     └──────┘              └─────────┘                              └───────┘               └────────┘
 *         └──────── peer's close frame, answered; its FIN; a broken rule; abort() ──▲
 *
 * While `closing` messages are still received, but not sent. From `ended` on received bytes are dropped. One timer
 * limits both together. The server ends the socket first, the client waits for that (RFC 6455 §7.1.1).
 */
import { type Clock, FloodBudget, nameErrorClass, RunnelError, systemClock, type Timer, work } from "../base/mod.ts";
import { emptyBytes, MAX_CUT_BYTES, release, sharedAllocator } from "../memory/mod.ts";
import type { Socket, SocketAddress, SocketError } from "../net/mod.ts";
import {
  CloseCode,
  MAX_CONTROL_BYTES,
  Opcode,
  type SendOpcode,
  WebSocketProtocolError,
  type WebSocketRole,
} from "./frames.ts";
import { type KeptFrame, KeptFrames } from "./kept_frames.ts";
import { nextMaskKey } from "./mask.ts";
import { MaskBuffer } from "./mask_buffer.ts";
import { MessageParser, type ParserOptions, type WebSocketEvent } from "./parser.ts";
import {
  encodeClosePayload,
  encodeFrame,
  encodeFrameHead,
  encodeTextFrame,
  type MaskKey,
  writeFrame,
} from "./writer.ts";

/** How a WebSocket ended. */
export interface WebSocketClose {
  /** The peer's close code; 1005 where its close frame had none, 1006 where there was no close frame. */
  readonly code: number;
  /** The peer's reason; `""` where there was none. */
  readonly reason: string;
  /** True where both close frames were exchanged. */
  readonly clean: boolean;
  /** Why it is not clean. `null` also after a FIN of the peer without a close frame, and after `abort()`. */
  readonly error: WebSocketProtocolError | CloseTimeoutError | SocketError | null;
}

/** A message that is made while it is sent, so that a long one never stands in memory as a whole. */
export interface MessageSource {
  /** Bytes of the whole message. */
  readonly byteLength: number;
  /**
   * The next part, never empty, whose reference the receiver takes (src/memory). Called as the socket takes bytes, until
   * the parts have `byteLength` together.
   */
  next(): Uint8Array;
  /** No further part is asked for: all were, or the connection is over. Called once. */
  onOver(): void;
}

/** Events of a WebSocket, for its one owner. They are never called within a call of the connection's methods. */
export interface WebSocketHandlers {
  /** A message: a string for text (bytes with `text: "bytes"`), bytes for binary, which the receiver owns. */
  onMessage(data: Uint8Array | string): void;
  /**
   * A message over the limit began, with `skipsLongMessages`. True: it is dropped, and the connection goes on. Otherwise
   * the connection ends with `error`, a 1009.
   *
   * @param beginning up to 4 KiB of the message
   */
  onLongMessage?(beginning: Uint8Array, error: WebSocketProtocolError): boolean;
  /** A ping of the peer. The connection itself answers it. */
  onPing?(payload: Uint8Array): void;
  onPong?(payload: Uint8Array): void;
  /** Bytes of any kind arrived: the peer is alive. */
  onBytes?(): void;
  /** After a send that returned false: more can be sent. */
  onDrain(): void;
  /** The socket took a part of what `sendTextFrom` sends, and there is more of it: the peer reads. */
  onProgress?(): void;
  /**
   * The peer has closed, or broke a rule: no message follows, and none can be sent. Called once at most, and not after
   * `abort()`. `onClose` follows when the socket has closed, which a peer can delay by `closeTimeoutMs`.
   */
  onEnd?(close: WebSocketClose): void;
  /** The last call, exactly once. */
  onClose(close: WebSocketClose): void;
}

export interface WebSocketOptions extends ParserOptions {
  role: WebSocketRole;
  handlers: WebSocketHandlers;
  /** Bytes that were read behind the handshake. */
  rest?: Uint8Array;
  /** Milliseconds from the first step of a close to the reset of a socket that is still open. Default 5,000. */
  closeTimeoutMs?: number;
  clock?: Clock;
}

/** The peer did not complete the close in time. Code `close_timeout`. */
export class CloseTimeoutError extends RunnelError {
  static {
    nameErrorClass(this, "CloseTimeoutError");
  }

  constructor(timeoutMs: number) {
    super({
      code: "close_timeout",
      reason: `The peer did not close within ${timeoutMs} ms`,
      initiator: "remote",
      retryable: true,
    });
  }
}

const DEFAULT_CLOSE_TIMEOUT_MS = 5_000;
/** Bytes that are read behind our close frame, for the peer's. Twice the largest window of a stream may be under way. */
const MAX_LATE_BYTES = 8 * 1024 * 1024;
/** What reading a text costs, which is JSON mostly (src/net/turns.ts). */
const UNITS_PER_TEXT = 128;

/** Reads from the beginning. No handler is called before a later microtask. */
export class WebSocketConnection {
  handlers: WebSocketHandlers;

  readonly #socket: Socket;
  readonly #role: WebSocketRole;
  readonly #parser: MessageParser;
  readonly #clock: Clock;
  readonly #closeTimeoutMs: number;
  readonly #writePart: (bytes: Uint8Array) => void;
  readonly #maskBuffer = new MaskBuffer();
  readonly #allocateMasked = (length: number) => {
    if (length <= MAX_CUT_BYTES) return sharedAllocator.allocate(length);
    return this.#maskBuffer.take(length, this.#socket.bufferedBytes === 0);
  };

  /** Null for a server. */
  readonly #keptFrames: KeptFrames | null;
  readonly #unitsPerMessage: number;
  /** Of pings, pongs and empty frames, against messages and their fragments. */
  readonly #flood: FloodBudget;
  /** The empty frames that were measured. */
  #emptyFrames = 0;

  #state: "open" | "closing" | "ended" | "closed" = "open";
  #isEndTold = false;
  #received: { readonly code: number; readonly reason: string } | null = null;
  #failure: WebSocketProtocolError | CloseTimeoutError | null = null;
  #closeTimer: Timer | null = null;
  #lateBytes = 0;

  /** Set by `pause()`. The socket starts paused, and is resumed once the parser has no more messages. */
  #isPaused = false;
  #isSocketPaused = true;
  #isReading = false;
  #isReadScheduled = false;
  /** The peer's FIN came while messages before it wait because of `pause()`. */
  #isPeerEndPending = false;

  /** The socket's last write returned false. Pongs wait, one at most (RFC 6455 §5.5.3). */
  #isBlocked = false;
  #isDrainWanted = false;
  #pendingPong: Uint8Array | null = null;

  /** The message under way, of which `#sourceLeft` bytes are still to come. No other frame may stand within its frame. */
  #source: MessageSource | null = null;
  #sourceLeft = 0;
  /** Frames that wait for the end of that message. */
  #behind: Uint8Array[] = [];
  #isEndBehind = false;

  constructor(socket: Socket, options: WebSocketOptions) {
    this.handlers = options.handlers;
    this.#socket = socket;
    this.#role = options.role;
    this.#keptFrames = options.role === "client" ? new KeptFrames(socket) : null;
    this.#parser = new MessageParser(options);
    this.#clock = options.clock ?? systemClock;
    this.#unitsPerMessage = options.accept === "binary" ? 0 : UNITS_PER_TEXT;
    this.#flood = new FloodBudget(this.#clock.now());
    this.#closeTimeoutMs = options.closeTimeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS;
    this.#writePart = (bytes) => this.#isBlocked = !this.#write(bytes);
    socket.handlers = {
      onData: (chunk) => this.#takeBytes(chunk),
      onEnd: () => this.#takeEnd(),
      onDrain: () => this.#takeDrain(),
      // The peer's close frame, or its last messages, may wait to be read.
      onBroken: () => !this.#isSocketPaused,
      onClose: (error) => this.#takeSocketClose(error),
    };
    if (options.rest !== undefined) this.#parser.push(options.rest);
    this.#scheduleRead();
    // The socket may have closed after the handshake, when it had no handlers.
    if (socket.closed) queueMicrotask(() => this.#takeSocketClose(null));
  }

  get remote(): SocketAddress {
    return this.#socket.remote;
  }

  /** Bytes that were sent and not yet taken by the kernel. */
  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  /** True once `onClose` or `abort()` was called. */
  get closed(): boolean {
    return this.#state === "closed" || this.#socket.closed;
  }

  /** Bytes of the longest message that is accepted. A change takes effect with the next frame. */
  get maxMessageBytes(): number {
    return this.#parser.maxMessageBytes;
  }

  set maxMessageBytes(bytes: number) {
    this.#parser.maxMessageBytes = bytes;
  }

  /** True: the owner is asked what to do about a message over the limit, by `onLongMessage`. Default false: a 1009. */
  set skipsLongMessages(skips: boolean) {
    this.#parser.skipsLongMessages = skips;
  }

  /**
   * Sends one text message. Returns false where the sender should wait for `onDrain`. Where the connection is closing,
   * the message is dropped and the result is true.
   */
  sendText(text: string): boolean {
    if (this.#state !== "open") return true;
    return this.#sent(this.#write(encodeTextFrame(text, this.#nextKey())));
  }

  /** `sendText` for a text in UTF-8, which is not checked. See `sendBinary` for the ownership of the bytes. */
  sendTextBytes(text: Uint8Array): boolean {
    return this.#sendParts(Opcode.text, [text]);
  }

  /**
   * Sends one text message in one frame, part by part as the socket takes them. What is sent meanwhile, control frames
   * too, waits for its end, and `close()` does not cut it short. Returns as `sendText` does; `onDrain` comes when the
   * whole message was taken.
   *
   * @throws {Error} for a client, whose frames are masked in one piece, and while such a message is under way
   */
  sendTextFrom(source: MessageSource): boolean {
    if (this.#role === "client") throw new Error("A client cannot send a message in parts");
    if (this.#source !== null) throw new Error("A message is under way");
    if (this.#state !== "open") {
      source.onOver();
      return true;
    }
    this.#socket.write(encodeFrameHead(Opcode.text, source.byteLength));
    this.#source = source;
    this.#sourceLeft = source.byteLength;
    return this.#sent(this.#sendOn(source));
  }

  /**
   * Sends one binary message, which consists of the parts. A server does not copy parts of 4 KiB and more: they must
   * not be changed until they were sent. A client's parts may be used again at once. Returns as `sendText` does.
   */
  sendBinary(parts: readonly Uint8Array[]): boolean {
    return this.#sendParts(Opcode.binary, parts);
  }

  /**
   * Sends one binary message as `sendBinary()` does, and keeps its frame until that is released. Null where nothing was sent:
   * for a server, behind a close, and where no block is free for a frame of this length (mask_blocks.ts).
   */
  sendKept(parts: readonly Uint8Array[]): KeptFrame | null {
    const frame = this.#state === "open" ? this.#keptFrames?.encode(parts, nextMaskKey()) ?? null : null;
    if (frame !== null) frame.isReady = this.#sent(this.#write(frame.bytes));
    return frame;
  }

  /** Passes what was sent to the kernel at once, and not at the end of the event-loop tick. */
  flush(): void {
    this.#socket.flush();
  }

  /**
   * Sends a ping, whose payload comes back in `onPong`. Returns as `sendText` does.
   *
   * @throws {RangeError} for a payload over 125 bytes
   */
  ping(payload: Uint8Array = emptyBytes): boolean {
    if (payload.length > MAX_CONTROL_BYTES) throw new RangeError(`A ping of ${payload.length} bytes is over 125`);
    if (this.#state !== "open") return true;
    return this.#sent(this.#writeControl(Opcode.ping, payload));
  }

  /**
   * Begins to close. The peer still gets what was sent before, and messages that it sends before its own close frame
   * are still received. A paused connection does not read that frame, and ends by the timeout. A second call does
   * nothing.
   *
   * @param code 1000 to 1003, 1007 to 1014, 3000 to 4999, or 1005 for none. Default 1000.
   * @throws {RangeError} for another code, or a reason over 123 bytes of UTF-8
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    const payload = encodeClosePayload(code, reason);
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#writeControl(Opcode.close, payload);
    this.#startCloseTimer();
  }

  /** Resets the socket. `onClose` follows. */
  abort(): void {
    if (this.#state === "closed") return;
    this.#state = "ended";
    this.#socket.reset();
  }

  /**
   * Delivers nothing and reads nothing until `resume()`, so that the peer has to stop sending. Pings are not answered.
   */
  pause(): void {
    if (this.#isPaused || this.#state === "ended" || this.#state === "closed") return;
    this.#isPaused = true;
    this.#isSocketPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#scheduleRead();
  }

  #takeBytes(chunk: Uint8Array): void {
    if (this.#state !== "open" && this.#isTooLate(chunk.length)) return void release(chunk);
    this.handlers.onBytes?.();
    if (!this.#receives()) return void release(chunk);
    this.#parser.push(chunk);
    this.#read();
  }

  /** A peer that goes on sending is not read any more. The close timer ends that. */
  #isTooLate(bytes: number): boolean {
    this.#lateBytes += bytes;
    if (this.#lateBytes <= MAX_LATE_BYTES) return false;
    this.#socket.pause();
    return true;
  }

  #scheduleRead(): void {
    if (this.#isReadScheduled || this.#isReading || !this.#isSocketPaused) return;
    this.#isReadScheduled = true;
    queueMicrotask(() => {
      this.#isReadScheduled = false;
      this.#read();
    });
  }

  /** Delivers what the parser has, unless paused, then resumes the socket. */
  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#isPaused && this.#receives()) {
        const event = this.#next();
        this.#measureEmptyFrames();
        if (event === null) break;
        this.#take(event);
      }
    } finally {
      this.#isReading = false;
    }
    if (this.#isPaused) return;
    if (this.#isPeerEndPending) this.#end();
    if (this.#isSocketPaused && this.#lateBytes <= MAX_LATE_BYTES) {
      this.#isSocketPaused = false;
      this.#socket.resume();
    }
  }

  #receives(): boolean {
    return this.#state === "open" || this.#state === "closing";
  }

  #next(): WebSocketEvent | null {
    try {
      return this.#parser.next();
    } catch (error) {
      if (!(error instanceof WebSocketProtocolError)) throw error;
      this.#fail(error);
      return null;
    }
  }

  #measureEmptyFrames(): void {
    const count = this.#parser.emptyFrames - this.#emptyFrames;
    if (count === 0) return;
    this.#emptyFrames += count;
    this.#measure(count);
  }

  /** Frames without use came: a flood of them ends the connection. */
  #measure(count: number): void {
    const { dataFrames, emptyFrames } = this.#parser;
    if (!this.#receives() || this.#flood.take(this.#clock.now(), dataFrames - emptyFrames, count)) return;
    const reason = "More pings, pongs and empty frames came than the messages between them allow";
    this.#fail(new WebSocketProtocolError(CloseCode.policyViolation, reason));
  }

  #take(event: WebSocketEvent): void {
    if (event.kind === "ping" || event.kind === "pong") this.#measure(1);
    if (!this.#receives()) return;
    switch (event.kind) {
      case "message":
        work.units += this.#unitsPerMessage;
        return this.handlers.onMessage(event.data);
      case "long":
        if (this.handlers.onLongMessage?.(event.beginning, event.error) !== true) this.#fail(event.error);
        return;
      case "ping":
        this.#answerPing(event.payload);
        return this.handlers.onPing?.(event.payload);
      case "pong":
        return this.handlers.onPong?.(event.payload);
      case "close":
        return this.#takeClose(event.code, event.reason);
    }
  }

  #answerPing(payload: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#isBlocked) this.#pendingPong = payload;
    else this.#writeControl(Opcode.pong, payload);
  }

  #takeClose(code: number, reason: string): void {
    this.#received = { code, reason };
    if (this.#state === "open") this.#writeControl(Opcode.close, encodeClosePayload(code, ""));
    if (this.#role === "server") return this.#end();
    this.#state = "ended";
    this.#startCloseTimer();
    this.#tellEnd();
  }

  /** The peer broke a rule: the close frame says which (RFC 6455 §7.1.7). */
  #fail(error: WebSocketProtocolError): void {
    this.#failure = error;
    if (this.#state === "open") this.#writeControl(Opcode.close, encodeClosePayload(error.closeCode, error.reason));
    this.#end();
  }

  /** Sends FIN. Reading goes on, for the peer's FIN, and because an RST would overtake our close frame. */
  #end(): void {
    this.#state = "ended";
    if (this.#source === null) this.#socket.end();
    else this.#isEndBehind = true;
    this.#startCloseTimer();
    this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#isEndTold) return;
    this.#isEndTold = true;
    this.handlers.onEnd?.(this.#closeInfo(null));
  }

  #takeEnd(): void {
    if (this.#isPaused && this.#receives()) this.#isPeerEndPending = true;
    else this.#end();
  }

  #takeDrain(): void {
    this.#isBlocked = false;
    this.#keptFrames?.returnBlocks();
    if (this.#source !== null && !this.#sendOn(this.#source)) {
      this.#isBlocked = true;
      return this.handlers.onProgress?.();
    }
    const pong = this.#pendingPong;
    this.#pendingPong = null;
    if (pong !== null) this.#answerPing(pong);
    if (!this.#isDrainWanted || this.#isBlocked || this.#state !== "open") return;
    this.#isDrainWanted = false;
    this.handlers.onDrain();
  }

  #takeSocketClose(error: SocketError | null): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#closeTimer?.cancel();
    this.#pendingPong = null;
    this.#behind = [];
    this.#source?.onOver();
    this.#source = null;
    this.#maskBuffer.close();
    this.#keptFrames?.close();
    this.handlers.onClose(this.#closeInfo(error));
  }

  #closeInfo(error: SocketError | null): WebSocketClose {
    const clean = this.#received !== null;
    return {
      code: this.#received?.code ?? CloseCode.abnormal,
      reason: this.#received?.reason ?? "",
      clean,
      error: clean ? null : this.#failure ?? error,
    };
  }

  #startCloseTimer(): void {
    this.#closeTimer ??= this.#clock.after(this.#closeTimeoutMs, () => {
      this.#failure ??= new CloseTimeoutError(this.#closeTimeoutMs);
      this.abort();
    });
  }

  #sendParts(opcode: SendOpcode, parts: readonly Uint8Array[]): boolean {
    if (this.#state !== "open") return true;
    if (this.#role === "client") {
      return this.#sent(this.#write(encodeFrame(opcode, parts, nextMaskKey(), this.#allocateMasked)));
    }
    writeFrame(opcode, parts, this.#writePart);
    return this.#sent(!this.#isBlocked);
  }

  /** Every whole frame leaves here. */
  #write(frame: Uint8Array): boolean {
    if (this.#keptFrames !== null) this.#keptFrames.sentBytes += frame.length;
    if (this.#source === null) return this.#socket.write(frame);
    this.#behind.push(frame);
    return false;
  }

  /** Sends parts of the message under way, and behind its end what waits for that. False where the socket is full. */
  #sendOn(source: MessageSource): boolean {
    let isWritable = true;
    while (isWritable && this.#sourceLeft > 0) {
      const part = source.next();
      this.#sourceLeft -= part.length;
      isWritable = this.#socket.write(part);
    }
    if (this.#sourceLeft > 0) return false;
    this.#source = null;
    source.onOver();
    for (const frame of this.#behind.splice(0)) isWritable = this.#socket.write(frame);
    if (this.#isEndBehind) this.#socket.end();
    return isWritable;
  }

  #nextKey(): MaskKey {
    return this.#role === "client" ? nextMaskKey() : null;
  }

  #writeControl(opcode: SendOpcode, payload: Uint8Array): boolean {
    const writable = this.#write(encodeFrame(opcode, [payload], this.#nextKey()));
    this.#isBlocked = !writable;
    return writable;
  }

  /** After a send of the owner, who waits for `onDrain` where it returned false. */
  #sent(writable: boolean): boolean {
    this.#isBlocked = !writable;
    if (!writable) this.#isDrainWanted = true;
    return writable;
  }
}
