/**
 * Decodes a body that arrives: takes its framing off (RFC 9112 §6, §7.1). Chunks go through these phases:
 *
 *     size ─[spaces]─;──▶ extension ─┐
 *      ▲ └────────CR─────────────────┴─CR─▶ LF ──size > 0──▶ data ──▶ CR ──▶ LF ─┐
 *      │                                     └──size = 0──▶ trailers ──▶ done    │
 *      └──────────────────────────────────────────────────────────────────────────┘
 *
 * Content is passed on as subarrays of the reads: nothing is copied or collected.
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
const noFields: Fields = Object.freeze([]);
const noNames: ReadonlySet<string> = new Set();

export class BodyDecoder {
  readonly #limits: HttpLimits;
  readonly #side: MessageSide;
  #phase: number;
  /** Bytes of the body, or of the chunk, that have not arrived yet. While a size is read: its value so far. */
  #left = 0;
  #sizeDigits = 0;
  #extensionBytes = 0;
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
   *   trailer section over the limits. The decoder must not be used after it.
   */
  push(chunk: Uint8Array, onData: (slice: Uint8Array) => void): Uint8Array | null {
    switch (this.#phase) {
      case DONE:
        return chunk;
      case UNTIL_CLOSE:
        if (chunk.length > 0) onData(chunk);
        return null;
      case LENGTH: {
        const taken = this.#takeData(chunk, 0, onData);
        if (this.#left > 0) return null;
        this.#phase = DONE;
        return bytesAfter(chunk, taken);
      }
      default:
        return this.#pushChunked(chunk, onData);
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
  #takeData(chunk: Uint8Array, i: number, onData: (slice: Uint8Array) => void): number {
    const end = Math.min(chunk.length, i + this.#left);
    if (end === i) return i;
    this.#left -= end - i;
    onData(i === 0 && end === chunk.length ? chunk : chunk.subarray(i, end));
    return end;
  }

  #pushChunked(chunk: Uint8Array, onData: (slice: Uint8Array) => void): Uint8Array | null {
    let i = 0;
    while (i < chunk.length) {
      switch (this.#phase) {
        case SIZE:
          i = this.#readSize(chunk, i);
          break;
        case SPACES:
        case EXTENSION:
          i = this.#skipExtension(chunk, i);
          break;
        case SIZE_LF:
          this.#expect(LF, chunk[i++]);
          this.#phase = this.#left > 0 ? DATA : TRAILERS;
          this.#sizeDigits = 0;
          this.#extensionBytes = 0;
          break;
        case DATA:
          i = this.#takeData(chunk, i, onData);
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
