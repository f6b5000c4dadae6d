/**
 * An incremental parser: bytes of a WebSocket in, messages and control frames out (RFC 6455 §5 to §8).
 *
 *     ┌────────┐ length known, checked ┌───────────┐ last byte of the frame
 *     │  head  ├──────────────────────▶│  payload  ├───────────┐
 *     └────────┘                       └───────────┘           │ close frame ▶ ended: further bytes are dropped
 *         ▲                                                    │ a frame without FIN: its payload is buffered
 *         └────────────────────────────────────────────────────┘ else: a `WebSocketEvent`
 */
import { isUtf8 } from "node:buffer";
import { readU16, readU32, work } from "../base/mod.ts";
import { count, emptyBytes, release, share, slice } from "../memory/mod.ts";
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
import { PayloadBuffer } from "./payload_buffer.ts";

/**
 * What the peer sent. The receiver owns the payload, and may write into it. A large one has a reference, which the
 * receiver passes on or releases (src/memory).
 */
export type WebSocketEvent =
  | { readonly kind: "message"; readonly data: Uint8Array | string }
  /** A message over the limit, with `skipsLongMessages`: its first bytes. The rest is dropped as it comes. */
  | { readonly kind: "long"; readonly beginning: Uint8Array; readonly error: WebSocketProtocolError }
  | { readonly kind: "ping" | "pong"; readonly payload: Uint8Array }
  /** `code` is 1005 where the frame has none. */
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

export interface ParserOptions {
  /** Our own role: a server accepts only masked frames, a client only unmasked ones. */
  role: WebSocketRole;
  /** Bytes of the longest message, with all its fragments. Default 262,144; a longer one is a 1009. */
  maxMessageBytes?: number;
  /** Which messages are accepted; another kind is a 1003. Default `both`. */
  accept?: "text" | "binary" | "both";
  /** How text messages are returned. That they are UTF-8 is checked in both cases. Default `string`. */
  text?: "string" | "bytes";
}

/** What a frame costs, whatever its length (src/net/turns.ts). */
const UNITS_PER_FRAME = 32;
const DEFAULT_MAX_MESSAGE_BYTES = 256 * 1024;
/** How much of a message that is too long is kept, to tell what it was. */
const BEGINNING_BYTES = 4 * 1024;
/** With `ignoreBOM` a leading U+FEFF stays: it is part of the message. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class MessageParser {
  /** May be changed between messages, as when the peer has been authenticated. */
  maxMessageBytes: number;
  /** True: a message over the limit is told by its beginning and dropped, and what follows it is read. Default false. */
  skipsLongMessages = false;
  /** Frames of messages so far, and those among them that brought neither bytes nor a message's end. */
  dataFrames = 0;
  emptyFrames = 0;

  readonly #isMasked: boolean;
  readonly #accept: "text" | "binary" | "both";
  readonly #isTextAsBytes: boolean;

  /** The bytes of `push()`, parsed up to `#at`. */
  #chunk: Uint8Array = emptyBytes;
  #at = 0;
  /** A head that arrives in pieces, `#headLength` bytes of it so far. */
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headLength = 0;

  /** The frame whose payload is being read, while `#isInPayload`. */
  #isInPayload = false;
  #opcode: number = Opcode.continuation;
  #isFinal = false;
  #key = 0;
  #frameLength = 0;
  /** Bytes of the payload that have not arrived yet. */
  #left = 0;

  /** The kind of the message whose fragments are arriving; `continuation` while there is none. */
  #messageOpcode: number = Opcode.continuation;
  readonly #message = new PayloadBuffer();
  /** Why the message that arrives is dropped; null while it is not. */
  #tooLong: WebSocketProtocolError | null = null;
  #isTooLongTold = false;
  readonly #control = new PayloadBuffer();
  #hasEnded = false;

  constructor(options: ParserOptions) {
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#isMasked = options.role === "server";
    this.#accept = options.accept ?? "both";
    this.#isTextAsBytes = options.text === "bytes";
  }

  /** Takes the next bytes. The parser may write into them, and returns parts of them as payloads. */
  push(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
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
   * The next message or control frame; `null` where more bytes are needed, and always after a close frame.
   *
   * @throws {WebSocketProtocolError} after which the parser must not be used
   */
  next(): WebSocketEvent | null {
    while (!this.#hasEnded) {
      if (!this.#isInPayload) {
        if (!this.#readHead()) break;
        this.#countFrame();
      }
      const whole = this.#opcode >= Opcode.close ? this.#readControl() : this.#readData();
      if (whole !== null) return whole;
      if (this.#isInPayload) break;
    }
    // What was parsed must not stay in memory until the next bytes arrive.
    release(this.#chunk);
    this.#chunk = emptyBytes;
    this.#at = 0;
    return null;
  }

  #countFrame(): void {
    work.units += UNITS_PER_FRAME;
    if (this.#opcode >= Opcode.close) return;
    this.dataFrames++;
    if (this.#frameLength === 0 && !this.#isFinal) this.emptyFrames++;
  }

  /** True where a complete head was read. */
  #readHead(): boolean {
    const chunk = this.#chunk;
    if (this.#at === chunk.length) return false;
    const known = this.#headLength;
    if (known === 0) {
      const length = this.#parseHead(chunk, this.#at, chunk.length);
      if (length > 0) {
        this.#at += length;
        return true;
      }
    }
    const taken = Math.min(MAX_HEAD_BYTES - known, chunk.length - this.#at);
    for (let i = 0; i < taken; i++) this.#head[known + i] = chunk[this.#at + i];
    const length = this.#parseHead(this.#head, 0, known + taken);
    this.#headLength = length > 0 ? 0 : known + taken;
    this.#at += length > 0 ? length - known : taken;
    return length > 0;
  }

  /** The head's length, or 0 where it is incomplete. Each part is checked as soon as it has arrived. */
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
    const isControl = (first & OPCODE) >= Opcode.close;
    const tooLong = isControl ? this.#tooLong : this.#tooLong ?? this.#checkLength(length);
    const payloadAt = keyAt + (this.#isMasked ? 4 : 0);
    if (payloadAt > end) return 0;
    if (this.#isMasked) this.#key = readU32(bytes, keyAt);
    this.#isFinal = (first & FIN) !== 0;
    this.#opcode = first & OPCODE;
    this.#frameLength = length;
    this.#left = length;
    this.#tooLong = tooLong;
    this.#isInPayload = true;
    return payloadAt - at;
  }

  #checkKind(first: number, second: number): void {
    if ((first & RSV) !== 0) throw violation(`A frame sets reserved bits 0x${(first & RSV).toString(16)}`);
    if (((second & MASK) !== 0) !== this.#isMasked) {
      throw violation(this.#isMasked ? "A frame of a client is not masked" : "A frame of a server is masked");
    }
    const opcode = first & OPCODE;
    if (opcode >= Opcode.close) {
      if (opcode > Opcode.pong) throw violation(`The opcode 0x${opcode.toString(16)} is unknown`);
      if ((first & FIN) === 0) throw violation(`The control frame 0x${opcode.toString(16)} is fragmented`);
      if ((second & LENGTH) > MAX_CONTROL_BYTES) {
        throw violation(`A control frame is longer than ${MAX_CONTROL_BYTES} bytes`);
      }
      return;
    }
    if (opcode > Opcode.binary) throw violation(`The opcode 0x${opcode.toString(16)} is unknown`);
    const inMessage = this.#messageOpcode !== Opcode.continuation;
    if (opcode === Opcode.continuation && !inMessage) throw violation("A continuation frame stands outside a message");
    if (opcode !== Opcode.continuation) {
      if (inMessage) throw violation("A new message begins inside a fragmented one");
      this.#checkAccepted(opcode);
    }
  }

  #checkAccepted(opcode: number): void {
    const kind = opcode === Opcode.text ? "text" : "binary";
    if (this.#accept === "both" || this.#accept === kind) return;
    const reason = `A ${kind} message came where only ${this.#accept} is accepted`;
    throw new WebSocketProtocolError(CloseCode.unsupportedData, reason);
  }

  /** Null where the message is not too long. */
  #checkLength(length: number): WebSocketProtocolError | null {
    const total = this.#message.length + length;
    if (total <= this.maxMessageBytes) return null;
    const reason = `A message of ${total} bytes is longer than ${this.maxMessageBytes}`;
    const error = new WebSocketProtocolError(CloseCode.messageTooBig, reason);
    if (!this.skipsLongMessages) throw error;
    return error;
  }

  #readData(): WebSocketEvent | null {
    if (this.#tooLong !== null) return this.#skip(this.#tooLong);
    const chunk = this.#chunk;
    const from = this.#at;
    const taken = Math.min(this.#left, chunk.length - from);
    const opcode = this.#opcode === Opcode.continuation ? this.#messageOpcode : this.#opcode;
    this.#at += taken;
    this.#left -= taken;
    if (this.#isFinal && taken === this.#frameLength && this.#message.length === 0) {
      this.#endFrame(Opcode.continuation);
      if (this.#isMasked) applyMask(chunk, from, from + taken, this.#key);
      return this.#messageOf(opcode, slice(chunk, from, from + taken));
    }
    const expected = this.#message.length + taken + this.#left;
    this.#message.append(chunk, from, from + taken, expected, this.#isFinal ? expected : this.maxMessageBytes);
    if (this.#left > 0) return null;
    if (this.#isMasked) this.#message.unmask(expected - this.#frameLength, this.#key);
    this.#endFrame(this.#isFinal ? Opcode.continuation : opcode);
    if (!this.#isFinal) return null;
    return this.#messageOf(opcode, count(this.#message.take()));
  }

  /** Drops what has come of a message that is too long. Its beginning is returned once, as soon as it is here. */
  #skip(error: WebSocketProtocolError): WebSocketEvent | null {
    const at = this.#at;
    const taken = Math.min(this.#left, this.#chunk.length - at);
    const isTold = this.#isTooLongTold || this.#keepBeginning(at, taken);
    const event: WebSocketEvent | null = isTold === this.#isTooLongTold
      ? null
      : { kind: "long", beginning: this.#message.takeBeginning(BEGINNING_BYTES), error };
    this.#isTooLongTold = isTold;
    this.#at += taken;
    this.#left -= taken;
    if (this.#left > 0) return event;
    if (this.#isFinal) {
      this.#tooLong = null;
      this.#isTooLongTold = false;
      this.#endFrame(Opcode.continuation);
    } else this.#endFrame(this.#opcode === Opcode.continuation ? this.#messageOpcode : this.#opcode);
    return event;
  }

  /** Adds the next `taken` bytes of the frame as far as they are wanted. True where no more of the message is. */
  #keepBeginning(at: number, taken: number): boolean {
    const known = this.#message.length;
    const kept = Math.min(taken, Math.max(0, BEGINNING_BYTES - known));
    this.#message.append(this.#chunk, at, at + kept, known + kept, BEGINNING_BYTES);
    const isFull = known + kept >= BEGINNING_BYTES;
    const isFrameOver = taken === this.#left;
    const frameAt = known - (this.#frameLength - this.#left);
    if ((isFull || isFrameOver) && this.#isMasked) this.#message.unmask(frameAt, this.#key);
    return isFull || (isFrameOver && this.#isFinal);
  }

  #readControl(): WebSocketEvent | null {
    const taken = Math.min(this.#left, this.#chunk.length - this.#at);
    this.#control.append(this.#chunk, this.#at, this.#at + taken, this.#frameLength, this.#frameLength);
    this.#at += taken;
    this.#left -= taken;
    if (this.#left > 0) return null;
    if (this.#isMasked) this.#control.unmask(0, this.#key);
    const payload = this.#control.take();
    this.#endFrame(this.#messageOpcode);
    if (this.#opcode === Opcode.close) return this.#closeOf(payload);
    return { kind: this.#opcode === Opcode.ping ? "ping" : "pong", payload };
  }

  /** @param messageOpcode that of the message which continues after this frame, or `continuation` */
  #endFrame(messageOpcode: number): void {
    this.#isInPayload = false;
    this.#messageOpcode = messageOpcode;
  }

  #messageOf(opcode: number, payload: Uint8Array): WebSocketEvent {
    if (opcode === Opcode.binary) return { kind: "message", data: payload };
    if (!this.#isTextAsBytes) {
      const data = decoded(payload, "A text message");
      release(payload);
      return { kind: "message", data };
    }
    if (!isUtf8(payload)) throw notUtf8("A text message");
    return { kind: "message", data: payload };
  }

  #closeOf(payload: Uint8Array): WebSocketEvent {
    this.#hasEnded = true;
    if (payload.length === 0) return { kind: "close", code: CloseCode.noStatus, reason: "" };
    if (payload.length === 1) throw violation("A close frame has a payload of 1 byte");
    const code = readU16(payload, 0);
    if (!isCloseCode(code)) throw violation(`A close frame has the code ${code}`);
    return { kind: "close", code, reason: decoded(payload.subarray(2), "The reason of a close frame") };
  }
}

/** A Buffer of the runtime as a plain Uint8Array: Buffer has another `slice()`, which payloads must not have. */
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

/** A length of two or eight bytes, which must not fit a shorter form (RFC 6455 §5.2). */
function longLength(bytes: Uint8Array, at: number, lengthBytes: number): number {
  if (lengthBytes === 2) {
    const length = readU16(bytes, at);
    if (length < LENGTH_IS_U16) throw violation(`The length ${length} is not in its shortest form`);
    return length;
  }
  const high = readU32(bytes, at);
  if (high > 0x7fffffff) throw violation("A length sets its highest bit");
  const length = high * 0x100000000 + readU32(bytes, at + 4);
  if (length <= 0xffff) throw violation(`The length ${length} is not in its shortest form`);
  return length;
}
