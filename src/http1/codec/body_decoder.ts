/**
 * Decodes a body that arrives: takes its framing off (RFC 9112 §6, §7.1). Chunks go through these phases:
 *
 *     size ─[spaces]─;──▶ extension ─┐
 *      ▲ └────────CR─────────────────┴─CR─▶ LF ──size > 0──▶ data ──▶ CR ──▶ LF ─┐
 *      │                                     └──size = 0──▶ trailers ──▶ done    │
 *      └──────────────────────────────────────────────────────────────────────────┘
 *
 * Content is passed on as it lies in the reads: nothing is copied or collected, and no object is made for a chunk.
 *
 * Of a request framing may be many times the content. Chunks of one byte are legal, and cost whoever sends them six times their
 * content. Beyond that a body gets a budget: what a chunk's framing takes over 16 bytes and twice its content is excess,
 * which later chunks with less framing pay back, and over 16 KiB of it end the body. It is the rule of Go's net/http,
 * and stops only paddings of zeros or extensions that come with hardly any content.
 *
 * Of responses two deviations are read: spaces and tabs between a chunk's size and its CRLF, and a bare LF as the end of
 * a trailer line. After them `isIrregular` is true. A bare LF behind a size is refused: others may read the size on.
 */
import { showByte } from "../../base/mod.ts";
import { CR, type Fields, isSpaceOrTab, LF, trailerFields, valueBytes } from "../../http/mod.ts";
import { HttpParseError, type MessageSide } from "./errors.ts";
import type { Framing } from "./framing.ts";
import { bytesAfter, HeadScanner } from "./head_scanner.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";

const SIZE = 0;
const SPACES = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILERS = 7;
const LENGTH = 8;
const UNTIL_CLOSE = 9;
const DONE = 10;

const SEMICOLON = 0x3b;
/** Digits of a chunk's size, with leading zeros. 2^53 - 1 has 14. */
const MAX_SIZE_DIGITS = 16;
/** Framing bytes of each chunk that are no excess, beside two for each byte of its content. */
const FREE_FRAMING_BYTES = 16;
/** What frames a chunk with one digit and no extension. */
const TINY_FRAMING_BYTES = 5;
const MAX_EXCESS_BYTES = 16 * 1024;
/** The line ends behind a chunk's size and behind its content. */
const LINE_END_BYTES = 4;
const noFields: Fields = Object.freeze([]);
const noNames: ReadonlySet<string> = new Set();

/** Takes pieces of content. */
export interface PieceTaker {
  /** The content is `read` from `start` to `end`, which are never equal. */
  take(read: Uint8Array, start: number, end: number): void;
}

export class BodyDecoder {
  readonly #limits: HttpLimits;
  readonly #side: MessageSide;
  #phase: number;
  /** Bytes of the body, or of the chunk, that have not arrived yet. While a size is read: its value so far. */
  #left = 0;
  #sizeDigits = 0;
  #extensionBytes = 0;
  #excessBytes = 0;
  #trailerScanner: HeadScanner | null = null;
  #trailers: Fields = noFields;
  #isIrregular = false;
  #nominated: ReadonlySet<string> = noNames;

  /** @param side of the message: errors have the status 400 for a request's body and 502 for a response's. */
  constructor(framing: Framing, limits: HttpLimits = defaultLimits, side: MessageSide = "request") {
    this.#limits = limits;
    this.#side = side;
    this.#phase = firstPhase(framing);
    if (framing.kind === "chunked" && framing.nominated !== undefined) this.#nominated = framing.nominated;
    if (framing.kind === "length") this.#left = framing.length;
  }

  /** True once the body is complete; at once where there is none. */
  get isDone(): boolean {
    return this.#phase === DONE;
  }

  /** True while a body goes on that is delimited by the close. */
  get isUntilClose(): boolean {
    return this.#phase === UNTIL_CLOSE;
  }

  /** True once the framing of a response deviated from RFC 9112: what follows it on the connection cannot be trusted. */
  get isIrregular(): boolean {
    return this.#isIrregular;
  }

  /**
   * The trailer fields; empty until `isDone` and where there are none. Hop-by-hop fields, those that Connection nominates
   * in the head or in the trailers, and those that are not allowed there (framing, routing, authentication, content:
   * RFC 9110 §6.5.1) are dropped.
   */
  get trailers(): Fields {
    return this.#trailers;
  }

  /**
   * Takes the next bytes and calls `onData` for each piece of content in them, never with an empty one. Returns `null`
   * while the body goes on, and the bytes behind it once it is complete.
   *
   * @throws {HttpParseError} for a chunk whose syntax is wrong or whose size is above 2^53 - 1, for an extension or a
   *   trailer section over the limits, and for more than 16 KiB of excess framing in a request. The decoder must not be used after it.
   */
  push(chunk: Uint8Array, onData: (slice: Uint8Array) => void): Uint8Array | null {
    return this.pushPieces(chunk, {
      take: (read, start, end) => onData(start === 0 && end === read.length ? read : read.subarray(start, end)),
    });
  }

  /** The same as `push()`, for a taker that needs no object for each piece. */
  pushPieces(chunk: Uint8Array, taker: PieceTaker): Uint8Array | null {
    switch (this.#phase) {
      case DONE:
        return chunk;
      case UNTIL_CLOSE:
        if (chunk.length > 0) taker.take(chunk, 0, chunk.length);
        return null;
      case LENGTH: {
        const taken = this.#takeData(chunk, 0, taker);
        if (this.#left > 0) return null;
        this.#phase = DONE;
        return bytesAfter(chunk, taken);
      }
      default:
        return this.#pushChunked(chunk, taker);
    }
  }

  /**
   * The peer sent FIN, which completes a body that is delimited by the close.
   *
   * @throws {HttpParseError} where the body is incomplete
   */
  finish(): void {
    if (this.#phase === UNTIL_CLOSE) this.#phase = DONE;
    if (this.#phase === DONE) return;
    throw this.#fail(
      400,
      this.#phase === LENGTH
        ? `The connection ended ${this.#left} bytes before the body's end`
        : "The connection ended before the last chunk's end",
    );
  }

  /** Passes on the content in `chunk` from `i`, as far as it reaches. Returns the offset behind it. */
  #takeData(chunk: Uint8Array, i: number, taker: PieceTaker): number {
    const end = Math.min(chunk.length, i + this.#left);
    if (end === i) return i;
    this.#left -= end - i;
    taker.take(chunk, i, end);
    return end;
  }

  #pushChunked(chunk: Uint8Array, taker: PieceTaker): Uint8Array | null {
    let i = 0;
    while (i < chunk.length) {
      switch (this.#phase) {
        case SIZE:
          i = this.#takeTinyChunks(chunk, i, taker);
          if (i < chunk.length) i = this.#readSize(chunk, i);
          break;
        case SPACES:
        case EXTENSION:
          i = this.#skipExtension(chunk, i);
          break;
        case SIZE_LF:
          this.#expect(LF, chunk[i++]);
          this.#countExcess();
          this.#phase = this.#left > 0 ? DATA : TRAILERS;
          this.#sizeDigits = 0;
          this.#extensionBytes = 0;
          break;
        case DATA:
          i = this.#takeData(chunk, i, taker);
          if (this.#left === 0) this.#phase = DATA_CR;
          break;
        case DATA_CR:
          this.#expect(CR, chunk[i++]);
          this.#phase = DATA_LF;
          break;
        case DATA_LF:
          this.#expect(LF, chunk[i++]);
          this.#phase = SIZE;
          break;
        default:
          return this.#readTrailers(chunk.subarray(i));
      }
    }
    return null;
  }

  /**
   * Takes whole chunks of up to 15 bytes, plainly framed, as long as they come. Whoever sends a body so makes a hundred
   * thousand of them in a read, which the phases would take four times as long for.
   */
  #takeTinyChunks(chunk: Uint8Array, i: number, taker: PieceTaker): number {
    if (this.#sizeDigits > 0) return i;
    let paidBytes = 0;
    const last = chunk.length - TINY_FRAMING_BYTES;
    while (i < last) {
      const size = hexDigit(chunk[i]);
      const end = i + 3 + size;
      const isTiny = size > 0 && end + 2 <= chunk.length && chunk[i + 1] === CR && chunk[i + 2] === LF &&
        chunk[end] === CR && chunk[end + 1] === LF;
      if (!isTiny) break;
      taker.take(chunk, i + 3, end);
      paidBytes += FREE_FRAMING_BYTES - TINY_FRAMING_BYTES + 2 * size;
      i = end + 2;
    }
    if (this.#excessBytes > 0) this.#excessBytes = Math.max(0, this.#excessBytes - paidBytes);
    return i;
  }

  #readSize(chunk: Uint8Array, i: number): number {
    for (; i < chunk.length; i++) {
      const byte = chunk[i];
      const digit = hexDigit(byte);
      if (digit === -1) {
        if (this.#sizeDigits === 0) throw this.#fail(400, `A chunk's size begins with ${showByte(byte)}`);
        if (byte === CR) {
          this.#phase = SIZE_LF;
          return i + 1;
        }
        if (byte !== SEMICOLON && !isSpaceOrTab(byte)) throw this.#badSizeEnd(byte);
        this.#phase = byte === SEMICOLON ? EXTENSION : SPACES;
        return i;
      }
      if (++this.#sizeDigits > MAX_SIZE_DIGITS || this.#left > (Number.MAX_SAFE_INTEGER - digit) / 16) {
        throw this.#fail(400, "A chunk's size is above 2^53 - 1");
      }
      this.#left = this.#left * 16 + digit;
    }
    return i;
  }

  /**
   * Extensions are ignored, and not passed on (RFC 9112 §7.1.1). White space is allowed before the first semicolon;
   * without one in responses only.
   */
  #skipExtension(chunk: Uint8Array, i: number): number {
    for (; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.#phase === SPACES && !isSpaceOrTab(byte)) {
        if (byte === SEMICOLON) this.#phase = EXTENSION;
        else if (byte === CR && this.#side === "response") this.#isIrregular = true;
        else throw this.#badSizeEnd(byte);
      }
      if (byte === CR) {
        this.#phase = SIZE_LF;
        return i + 1;
      }
      if (valueBytes[byte] === 0) throw this.#fail(400, `The byte ${showByte(byte)} stands in a chunk extension`);
      if (++this.#extensionBytes > this.#limits.chunkExtensionBytes) {
        throw this.#fail(400, `A chunk extension is longer than ${this.#limits.chunkExtensionBytes} bytes`);
      }
    }
    return i;
  }

  /** A chunk's first line was read. */
  #countExcess(): void {
    const framingBytes = this.#sizeDigits + this.#extensionBytes + LINE_END_BYTES;
    const excess = this.#excessBytes + framingBytes - FREE_FRAMING_BYTES - 2 * this.#left;
    if (this.#side === "request" && excess > MAX_EXCESS_BYTES) {
      throw this.#fail(400, "The framing of the body's chunks is far longer than its content");
    }
    this.#excessBytes = Math.max(0, excess);
  }

  #readTrailers(chunk: Uint8Array): Uint8Array | null {
    this.#trailerScanner ??= new HeadScanner({
      side: this.#side,
      onStartLine: null,
      startLineBytes: 0,
      totalBytes: this.#limits.trailerBytes,
      fieldCount: this.#limits.fieldCount,
    });
    const end = this.#trailerScanner.push(chunk);
    if (end === -1) return null;
    this.#isIrregular ||= this.#trailerScanner.hasBareLf;
    this.#trailers = trailerFields(this.#trailerScanner.takeFields(), this.#nominated);
    this.#trailerScanner = null;
    this.#phase = DONE;
    return bytesAfter(chunk, end);
  }

  #badSizeEnd(byte: number): HttpParseError {
    return this.#fail(400, `A chunk's size is followed by ${showByte(byte)}`);
  }

  #expect(wanted: number, byte: number): void {
    if (byte === wanted) return;
    throw this.#fail(400, `A chunk is framed with ${showByte(byte)} where ${wanted === CR ? "CR" : "LF"} belongs`);
  }

  #fail(status: 400 | 431, reason: string): HttpParseError {
    return HttpParseError.for(this.#side, status, reason);
  }
}

function firstPhase(framing: Framing): number {
  switch (framing.kind) {
    case "none":
      return DONE;
    case "length":
      return framing.length === 0 ? DONE : LENGTH;
    case "chunked":
      return SIZE;
    case "close":
      return UNTIL_CLOSE;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
