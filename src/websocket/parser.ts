/**
 * Bytes of a WebSocket in, messages and control frames out: a pure incremental machine (RFC 6455 §5 to §8).
 *
 *     ┌────────┐ length known, checked ┌───────────┐ last byte of the frame
 *     │  head  ├──────────────────────▶│  payload  ├───────────┐
 *     └────────┘                       └───────────┘           │ close frame ▶ ended: the rest is dropped
 *         ▲                                                    │ a frame without FIN: its payload waits
 *         └────────────────────────────────────────────────────┘ else: one `Incoming`
 */
import { isUtf8 } from "node:buffer";
import { count, release, share, slice } from "../memory/mod.ts";
import { Assembly } from "./assembly.ts";
import {
  CloseCode,
  FIN,
  isCloseCode,
  LENGTH,
  LENGTH_IS_U16,
  MASK,
  MAX_CONTROL_BYTES,
  MAX_HEAD_BYTES,
  OPCODE,
  Opcode,
  RSV,
  WebSocketProtocolError,
  type WebSocketRole,
} from "./frames.ts";
import { applyMask } from "./mask.ts";

/**
 * What the peer sent. Payloads are the receiver's, to keep and to write into. A large one has a reference, which the
 * receiver passes on or releases (src/memory).
 */
export type Incoming =
  | { readonly kind: "message"; readonly data: Uint8Array | string }
  | { readonly kind: "ping" | "pong"; readonly payload: Uint8Array }
  /** `code` is 1005 where the frame held none. */
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

export interface ParserOptions {
  /** Our own role: a server demands masked frames, a client refuses them. */
  role: WebSocketRole;
  /** The longest message, all its fragments together. Default 262,144; a longer one is 1009. */
  maxMessageBytes?: number;
  /** Which messages are welcome; another kind is 1003. Default `both`. */
  accept?: "text" | "binary" | "both";
  /** How a text message is handed over, its UTF-8 checked either way. Default `string`. */
  text?: "string" | "bytes";
}

export const DEFAULT_MAX_MESSAGE_BYTES = 256 * 1024;
const EMPTY = new Uint8Array(0);
/** The decoder keeps a leading U+FEFF: it is part of the message. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class MessageParser {
  /** May be changed between messages, as where a peer may say more once it is known. */
  maxMessageBytes: number;

  readonly #masked: boolean;
  readonly #accept: "text" | "binary" | "both";
  readonly #textAsBytes: boolean;

  /** The bytes given by `push()`, used up to `#at`. */
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  /** A head that came in pieces, `#headLength` bytes of it so far. */
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headLength = 0;

  /** The frame whose payload is being read, while `#inPayload`. */
  #inPayload = false;
  #opcode: number = Opcode.continuation;
  #fin = false;
  #key = 0;
  #frameLength = 0;
  /** Payload bytes that are still to come. */
  #left = 0;

  /** The kind of the message whose fragments come in; `continuation` while there is none. */
  #messageOpcode: number = Opcode.continuation;
  readonly #message = new Assembly();
  readonly #control = new Assembly();
  #ended = false;

  constructor(options: ParserOptions) {
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#masked = options.role === "server";
    this.#accept = options.accept ?? "both";
    this.#textAsBytes = options.text === "bytes";
  }

  /** Gives the parser the next bytes, which it may write into and whose parts it hands over as payloads. */
  push(chunk: Uint8Array): void {
    if (this.#ended) return;
    if (this.#at === this.#chunk.length) {
      this.#chunk = plainView(chunk);
    } else {
      const unread = this.#chunk.length - this.#at;
      const joined = new Uint8Array(unread + chunk.length);
      joined.set(this.#chunk.subarray(this.#at));
      joined.set(chunk, unread);
      release(this.#chunk);
      release(chunk);
      this.#chunk = joined;
    }
    this.#at = 0;
  }

  /**
   * The next message or control frame of what was pushed; `null` when more bytes are needed, and for ever after a
   * close frame.
   * @throws {WebSocketProtocolError} the parser must not be used after it
   */
  next(): Incoming | null {
    while (!this.#ended) {
      if (!this.#inPayload && !this.#readHead()) break;
      const whole = this.#opcode >= Opcode.close ? this.#readControl() : this.#readData();
      if (whole !== null) return whole;
      if (this.#inPayload) break;
    }
    // What was used must not be held until the next bytes come.
    release(this.#chunk);
    this.#chunk = EMPTY;
    this.#at = 0;
    return null;
  }

  /** True once a whole head was read. */
  #readHead(): boolean {
    const chunk = this.#chunk;
    if (this.#at === chunk.length) return false;
    const held = this.#headLength;
    if (held === 0) {
      const length = this.#parseHead(chunk, this.#at, chunk.length);
      if (length > 0) {
        this.#at += length;
        return true;
      }
    }
    const taken = Math.min(MAX_HEAD_BYTES - held, chunk.length - this.#at);
    for (let i = 0; i < taken; i++) this.#head[held + i] = chunk[this.#at + i];
    const length = this.#parseHead(this.#head, 0, held + taken);
    this.#headLength = length > 0 ? 0 : held + taken;
    this.#at += length > 0 ? length - held : taken;
    return length > 0;
  }

  /** The head's length, or 0 where it is not whole yet. Each part is checked as soon as it is there. */
  #parseHead(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 2) return 0;
    const first = bytes[at];
    const second = bytes[at + 1];
    this.#checkKind(first, second);
    const short = second & LENGTH;
    const lengthBytes = short < LENGTH_IS_U16 ? 0 : short === LENGTH_IS_U16 ? 2 : 8;
    const keyAt = at + 2 + lengthBytes;
    if (keyAt > end) return 0;
    const length = lengthBytes === 0 ? short : longLength(bytes, at + 2, lengthBytes);
    if ((first & OPCODE) < Opcode.close) this.#checkLength(length);
    const payloadAt = keyAt + (this.#masked ? 4 : 0);
    if (payloadAt > end) return 0;
    if (this.#masked) this.#key = u32(bytes, keyAt);
    this.#fin = (first & FIN) !== 0;
    this.#opcode = first & OPCODE;
    this.#frameLength = length;
    this.#left = length;
    this.#inPayload = true;
    return payloadAt - at;
  }

  #checkKind(first: number, second: number): void {
    if ((first & RSV) !== 0) throw violation(`frame sets reserved bits 0x${(first & RSV).toString(16)}`);
    if (((second & MASK) !== 0) !== this.#masked) {
      throw violation(this.#masked ? "frame of a client is not masked" : "frame of a server is masked");
    }
    const opcode = first & OPCODE;
    if (opcode >= Opcode.close) {
      if (opcode > Opcode.pong) throw violation(`unknown opcode 0x${opcode.toString(16)}`);
      if ((first & FIN) === 0) throw violation(`control frame 0x${opcode.toString(16)} is fragmented`);
      if ((second & LENGTH) > MAX_CONTROL_BYTES) {
        throw violation(`control frame is longer than ${MAX_CONTROL_BYTES} bytes`);
      }
      return;
    }
    if (opcode > Opcode.binary) throw violation(`unknown opcode 0x${opcode.toString(16)}`);
    const inMessage = this.#messageOpcode !== Opcode.continuation;
    if (opcode === Opcode.continuation && !inMessage) throw violation("continuation frame outside a message");
    if (opcode !== Opcode.continuation) {
      if (inMessage) throw violation("new message inside a fragmented one");
      this.#checkAccepted(opcode);
    }
  }

  #checkAccepted(opcode: number): void {
    const kind = opcode === Opcode.text ? "text" : "binary";
    if (this.#accept === "both" || this.#accept === kind) return;
    const reason = `${kind} message where only ${this.#accept} is spoken`;
    throw new WebSocketProtocolError(CloseCode.unsupportedData, reason);
  }

  #checkLength(length: number): void {
    const total = this.#message.length + length;
    if (total <= this.maxMessageBytes) return;
    const reason = `message of ${total} bytes is longer than ${this.maxMessageBytes}`;
    throw new WebSocketProtocolError(CloseCode.messageTooBig, reason);
  }

  #readData(): Incoming | null {
    const chunk = this.#chunk;
    const from = this.#at;
    const taken = Math.min(this.#left, chunk.length - from);
    const opcode = this.#opcode === Opcode.continuation ? this.#messageOpcode : this.#opcode;
    this.#at += taken;
    this.#left -= taken;
    if (this.#fin && taken === this.#frameLength && this.#message.length === 0) {
      this.#endFrame(Opcode.continuation);
      if (this.#masked) applyMask(chunk, from, from + taken, this.#key);
      return this.#delivered(opcode, slice(chunk, from, from + taken));
    }
    const expected = this.#message.length + taken + this.#left;
    this.#message.append(chunk, from, from + taken, expected, this.#fin ? expected : this.maxMessageBytes);
    if (this.#left > 0) return null;
    if (this.#masked) this.#message.unmask(expected - this.#frameLength, this.#key);
    this.#endFrame(this.#fin ? Opcode.continuation : opcode);
    if (!this.#fin) return null;
    return this.#delivered(opcode, count(this.#message.take()));
  }

  #readControl(): Incoming | null {
    const taken = Math.min(this.#left, this.#chunk.length - this.#at);
    this.#control.append(this.#chunk, this.#at, this.#at + taken, this.#frameLength, this.#frameLength);
    this.#at += taken;
    this.#left -= taken;
    if (this.#left > 0) return null;
    if (this.#masked) this.#control.unmask(0, this.#key);
    const payload = this.#control.take();
    this.#endFrame(this.#messageOpcode);
    if (this.#opcode === Opcode.close) return this.#closed(payload);
    return { kind: this.#opcode === Opcode.ping ? "ping" : "pong", payload };
  }

  /** @param messageOpcode the message that goes on after this frame, or `continuation` */
  #endFrame(messageOpcode: number): void {
    this.#inPayload = false;
    this.#messageOpcode = messageOpcode;
  }

  #delivered(opcode: number, payload: Uint8Array): Incoming {
    if (opcode === Opcode.binary) return { kind: "message", data: payload };
    if (!this.#textAsBytes) {
      const data = decoded(payload, "text message");
      release(payload);
      return { kind: "message", data };
    }
    if (!isUtf8(payload)) throw notUtf8("text message");
    return { kind: "message", data: payload };
  }

  #closed(payload: Uint8Array): Incoming {
    this.#ended = true;
    if (payload.length === 0) return { kind: "close", code: CloseCode.noStatus, reason: "" };
    if (payload.length === 1) throw violation("close frame holds 1 byte");
    const code = (payload[0] << 8) | payload[1];
    if (!isCloseCode(code)) throw violation(`close frame has the code ${code}`);
    return { kind: "close", code, reason: decoded(payload.subarray(2), "reason of a close frame") };
  }
}

/** A runtime's Buffer as a plain Uint8Array: payloads cut from it must not have Buffer's own `slice()`. */
function plainView(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  share(bytes, plain);
  release(bytes);
  return plain;
}

function violation(reason: string): WebSocketProtocolError {
  return new WebSocketProtocolError(CloseCode.protocolError, reason);
}

function decoded(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw notUtf8(what);
  }
}

function notUtf8(what: string): WebSocketProtocolError {
  return new WebSocketProtocolError(CloseCode.invalidPayload, `${what} is not UTF-8`);
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** A length of two or eight bytes, which must not fit a shorter form (RFC 6455 §5.2). */
function longLength(bytes: Uint8Array, at: number, lengthBytes: number): number {
  if (lengthBytes === 2) {
    const length = (bytes[at] << 8) | bytes[at + 1];
    if (length < LENGTH_IS_U16) throw violation(`length ${length} is not in its shortest form`);
    return length;
  }
  const high = u32(bytes, at);
  if (high > 0x7fffffff) throw violation("length sets its highest bit");
  const length = high * 0x100000000 + u32(bytes, at + 4);
  if (length <= 0xffff) throw violation(`length ${length} is not in its shortest form`);
  return length;
}
