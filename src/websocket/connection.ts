/**
 * One WebSocket, either role, on a socket that has its handshake behind it.
 *
 *               close()                       peer's close frame
 *     ┌──────┐ ───────────▶ ┌─────────┐ ───────────────────────────▶ ┌───────┐ socket closed ┌────────┐
 *     │ open │              │ closing │  its FIN, or it broke a rule │ ended │ ─────────────▶│ closed │
 *     └──────┘              └─────────┘                              └───────┘               └────────┘
 *         └──────── peer's close frame, answered; its FIN; a broken rule; abort() ──▲
 *
 * While `closing` we still read, and send nothing; from `ended` on what still comes is dropped. One timer bounds both.
 * The server ends the socket first, the client waits for it (RFC 6455 §7.1.1).
 */
import { type Clock, RunnelError, systemClock, type Timer } from "../base/mod.ts";
import type { Socket, SocketAddress, SocketError } from "../net/mod.ts";
import {
  CloseCode,
  MAX_CONTROL_BYTES,
  Opcode,
  type SendOpcode,
  WebSocketProtocolError,
  type WebSocketRole,
} from "./frames.ts";
import { nextMaskKey } from "./mask.ts";
import { MaskBuffer } from "./mask_buffer.ts";
import { type Incoming, MessageParser, type ParserOptions } from "./parser.ts";
import { MAX_CUT_BYTES, sharedAllocator } from "../memory/mod.ts";
import { closePayload, frame, type Key, textFrame, writeParts } from "./writer.ts";

/** How a WebSocket ended. */
export interface WebSocketClose {
  /** The peer's close code; 1005 where its close frame held none, 1006 where there was no close frame. */
  readonly code: number;
  /** The peer's reason; `""` where it gave none. */
  readonly reason: string;
  /** True where both close frames were exchanged. */
  readonly clean: boolean;
  /** Why it is not clean; `null` also after the peer's bare FIN and after our own `abort()`. */
  readonly error: WebSocketProtocolError | CloseTimeoutError | SocketError | null;
}

/** What a WebSocket tells its one owner. No call is nested in a call of the connection's own methods. */
export interface WebSocketHandlers {
  /** A whole message: a string for text (bytes, with `text: "bytes"`), bytes for binary. Bytes are the receiver's. */
  onMessage(data: Uint8Array | string): void;
  /** The peer's ping, which is answered without the owner. */
  onPing?(payload: Uint8Array): void;
  onPong?(payload: Uint8Array): void;
  /** Bytes of any kind came: the peer lives. */
  onBytes?(): void;
  /** After a send that returned false: the next message is welcome. */
  onDrain(): void;
  /** The last call, exactly once. */
  onClose(close: WebSocketClose): void;
}

export interface WebSocketOptions extends ParserOptions {
  role: WebSocketRole;
  handlers: WebSocketHandlers;
  /** What the handshake read past its end. */
  rest?: Uint8Array;
  /** From the first step of a close to the reset of a socket that is still there. Default 5,000. */
  closeTimeoutMs?: number;
  clock?: Clock;
}

/** The peer did not finish a close in time. */
export class CloseTimeoutError extends RunnelError {
  constructor(timeoutMs: number) {
    super({
      code: "close_timeout",
      reason: `peer did not close within ${timeoutMs} ms`,
      initiator: "remote",
      retryable: true,
    });
  }
}

const DEFAULT_CLOSE_TIMEOUT_MS = 5_000;
const EMPTY = new Uint8Array(0);

/** Begins to read at once; the first call of a handler comes in a later turn. */
export class WebSocketConnection {
  handlers: WebSocketHandlers;

  readonly #socket: Socket;
  readonly #role: WebSocketRole;
  readonly #parser: MessageParser;
  readonly #clock: Clock;
  readonly #closeTimeoutMs: number;
  readonly #writePart: (bytes: Uint8Array) => void;
  readonly #maskBuffer = new MaskBuffer();
  readonly #takeMasked = (length: number) => {
    if (length <= MAX_CUT_BYTES) return sharedAllocator.allocate(length);
    return this.#maskBuffer.take(length, this.#socket.bufferedBytes === 0);
  };

  #state: "open" | "closing" | "ended" | "closed" = "open";
  #received: { readonly code: number; readonly reason: string } | null = null;
  #failure: WebSocketProtocolError | CloseTimeoutError | null = null;
  #closeTimer: Timer | null = null;

  /** Set by `pause()`. The socket starts paused, and is resumed once nothing unread is left in the parser. */
  #paused = false;
  #socketPaused = true;
  #reading = false;
  #readScheduled = false;
  /** The peer's FIN came while messages before it were held back by `pause()`. */
  #peerEnded = false;

  /** The last write was one too many: pongs wait, one at most (RFC 6455 §5.5.3). */
  #blocked = false;
  #drainWanted = false;
  #pendingPong: Uint8Array | null = null;

  constructor(socket: Socket, options: WebSocketOptions) {
    this.handlers = options.handlers;
    this.#socket = socket;
    this.#role = options.role;
    this.#parser = new MessageParser(options);
    this.#clock = options.clock ?? systemClock;
    this.#closeTimeoutMs = options.closeTimeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS;
    this.#writePart = (bytes) => this.#blocked = !socket.write(bytes);
    socket.handlers = {
      onData: (chunk) => this.#takeBytes(chunk),
      onEnd: () => this.#takeEnd(),
      onDrain: () => this.#takeDrain(),
      onClose: (error) => this.#takeSocketClose(error),
    };
    if (options.rest !== undefined) this.#parser.push(options.rest);
    this.#scheduleRead();
    // Between the handshake and us the socket may have broken, with nobody there to hear of it.
    if (socket.closed) queueMicrotask(() => this.#takeSocketClose(null));
  }

  get remote(): SocketAddress {
    return this.#socket.remote;
  }

  /** Bytes sent that the kernel has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  /** True once `onClose` was called or `abort()` was. */
  get closed(): boolean {
    return this.#state === "closed" || this.#socket.closed;
  }

  /** The longest message that is read; a change holds from the next frame on. */
  get maxMessageBytes(): number {
    return this.#parser.maxMessageBytes;
  }

  set maxMessageBytes(bytes: number) {
    this.#parser.maxMessageBytes = bytes;
  }

  /**
   * Sends one text message. Returns false when the sender should wait for `onDrain`; true also where the message was
   * dropped because the connection is closing.
   */
  sendText(text: string): boolean {
    if (this.#state !== "open") return true;
    return this.#sent(this.#socket.write(textFrame(text, this.#key())));
  }

  /** `sendText` for a text that is UTF-8 already; the caller vouches for that. The bytes as `sendBinary` treats them. */
  sendTextBytes(text: Uint8Array): boolean {
    return this.#sendParts(Opcode.text, [text]);
  }

  /**
   * Sends one binary message, the parts joined. A server's parts of 4 KiB and more are not copied and must not be
   * changed until they left; a client's may be used again at once. Returns as `sendText` does.
   */
  sendBinary(parts: readonly Uint8Array[]): boolean {
    return this.#sendParts(Opcode.binary, parts);
  }

  /** Lets what was sent leave now, and not at the end of the turn. */
  flush(): void {
    this.#socket.flush();
  }

  /**
   * Sends a ping, whose payload comes back in `onPong`. Returns as `sendText` does.
   * @throws {RangeError} for a payload over 125 bytes
   */
  ping(payload: Uint8Array = EMPTY): boolean {
    if (payload.length > MAX_CONTROL_BYTES) throw new RangeError(`ping of ${payload.length} bytes is over 125`);
    if (this.#state !== "open") return true;
    return this.#sent(this.#writeControl(Opcode.ping, payload));
  }

  /**
   * Begins the close: what was sent before still arrives, what the peer sends before its own close frame still comes.
   * A paused connection does not see that frame, and ends by the timeout. A second call does nothing.
   * @param code 1000 to 1003, 1007 to 1014, 3000 to 4999, or 1005 for none. Default 1000.
   * @throws {RangeError} for another code, or a reason over 123 bytes of UTF-8
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    const payload = closePayload(code, reason);
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

  /** Holds messages back and stops reading: the peer's sends come to a halt. Pings are not answered meanwhile. */
  pause(): void {
    if (this.#paused || this.#state === "ended" || this.#state === "closed") return;
    this.#paused = true;
    this.#socketPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#scheduleRead();
  }

  #takeBytes(chunk: Uint8Array): void {
    this.handlers.onBytes?.();
    if (!this.#receives()) return;
    this.#parser.push(chunk);
    this.#read();
  }

  #scheduleRead(): void {
    if (this.#readScheduled || this.#reading || !this.#socketPaused) return;
    this.#readScheduled = true;
    queueMicrotask(() => {
      this.#readScheduled = false;
      this.#read();
    });
  }

  /** Hands over what the parser has until `pause()`, then lets the socket go on. */
  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (!this.#paused && this.#receives()) {
        const incoming = this.#next();
        if (incoming === null) break;
        this.#take(incoming);
      }
    } finally {
      this.#reading = false;
    }
    if (this.#paused) return;
    if (this.#peerEnded) this.#end();
    if (this.#socketPaused) {
      this.#socketPaused = false;
      this.#socket.resume();
    }
  }

  #receives(): boolean {
    return this.#state === "open" || this.#state === "closing";
  }

  #next(): Incoming | null {
    try {
      return this.#parser.next();
    } catch (error) {
      if (!(error instanceof WebSocketProtocolError)) throw error;
      this.#fail(error);
      return null;
    }
  }

  #take(incoming: Incoming): void {
    switch (incoming.kind) {
      case "message":
        return this.handlers.onMessage(incoming.data);
      case "ping":
        this.#answerPing(incoming.payload);
        return this.handlers.onPing?.(incoming.payload);
      case "pong":
        return this.handlers.onPong?.(incoming.payload);
      case "close":
        return this.#takeClose(incoming.code, incoming.reason);
    }
  }

  #answerPing(payload: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#blocked) this.#pendingPong = payload;
    else this.#writeControl(Opcode.pong, payload);
  }

  #takeClose(code: number, reason: string): void {
    this.#received = { code, reason };
    if (this.#state === "open") this.#writeControl(Opcode.close, closePayload(code, ""));
    if (this.#role === "server") return this.#end();
    this.#state = "ended";
    this.#startCloseTimer();
  }

  /** The peer broke a rule: tell it which, and go (RFC 6455 §7.1.7). */
  #fail(error: WebSocketProtocolError): void {
    this.#failure = error;
    if (this.#state === "open") this.#writeControl(Opcode.close, closePayload(error.closeCode, error.reason));
    this.#end();
  }

  /** Nothing more is sent. Reading goes on, for the peer's FIN and so that no RST overtakes our close frame. */
  #end(): void {
    this.#state = "ended";
    this.#socket.end();
    this.#startCloseTimer();
  }

  #takeEnd(): void {
    if (this.#paused && this.#receives()) this.#peerEnded = true;
    else this.#end();
  }

  #takeDrain(): void {
    this.#blocked = false;
    const pong = this.#pendingPong;
    this.#pendingPong = null;
    if (pong !== null) this.#answerPing(pong);
    if (!this.#drainWanted || this.#blocked || this.#state !== "open") return;
    this.#drainWanted = false;
    this.handlers.onDrain();
  }

  #takeSocketClose(error: SocketError | null): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#closeTimer?.cancel();
    this.#pendingPong = null;
    const clean = this.#received !== null;
    this.handlers.onClose({
      code: this.#received?.code ?? CloseCode.abnormal,
      reason: this.#received?.reason ?? "",
      clean,
      error: clean ? null : this.#failure ?? error,
    });
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
      return this.#sent(this.#socket.write(frame(opcode, parts, nextMaskKey(), this.#takeMasked)));
    }
    writeParts(opcode, parts, this.#writePart);
    return this.#sent(!this.#blocked);
  }

  #key(): Key {
    return this.#role === "client" ? nextMaskKey() : null;
  }

  #writeControl(opcode: SendOpcode, payload: Uint8Array): boolean {
    const writable = this.#socket.write(frame(opcode, [payload], this.#key()));
    this.#blocked = !writable;
    return writable;
  }

  /** Notes for the owner's sends whether an `onDrain` is owed. */
  #sent(writable: boolean): boolean {
    this.#blocked = !writable;
    if (!writable) this.#drainWanted = true;
    return writable;
  }
}
