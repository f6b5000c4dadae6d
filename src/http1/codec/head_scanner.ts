/**
 * Scans the bytes of a head (RFC 9112 §2.1), or of a trailer section. It can stop and go on at any byte:
 *
 *     start-line ──CR──▶ LF ──▶ field ──▶ name ──:──▶ value ──CR──▶ LF ─┐
 *                                 ▲ └──CR──▶ LF ──▶ done                │
 *                                 └─────────────────────────────────────┘
 *
 * Each byte is read once, and the first byte that is wrong or too much is reported: the result does not depend on how
 * the input is split. A head inside one chunk is read in place, one that arrives in pieces is copied together. The
 * scanner knows lines and fields. The meaning of a start line is left to its caller.
 *
 * In responses a bare LF ends a line, too (RFC 9112 §2.2), as in CRLF. In requests it is refused: others may read the
 * line on.
 */
import { internedLatin1, latin1, showByte, showText } from "../../base/mod.ts";
import { COLON, CR, isSpaceOrTab, LF, tokenBytes, valueBytes } from "../../http/mod.ts";
import { emptyBytes } from "../../memory/mod.ts";
import { HttpParseError, type MessageSide } from "./errors.ts";

const START_LINE = 0;
const START_LINE_LF = 1;
const FIELD = 2;
const NAME = 3;
const VALUE = 4;
const VALUE_LF = 5;
const LAST_LF = 6;

/** What a text of JavaScript takes beside its bytes, with its place in a list. */
const TEXT_OVERHEAD_BYTES = 32;

export interface ScannerOptions {
  readonly side: MessageSide;
  /** Reads the start line, `bytes` from 0 to `end`, and throws if it is malformed. `null`: there is none (trailers). */
  readonly onStartLine: ((bytes: Uint8Array, end: number) => void) | null;
  /** The most bytes of the start line with its CRLF. */
  readonly startLineBytes: number;
  /** The most bytes of the head. */
  readonly totalBytes: number;
  /** The most fields. */
  readonly fieldCount: number;
}

export class HeadScanner {
  readonly #options: ScannerOptions;
  readonly #allowsBareLf: boolean;
  readonly #firstPhase: number;
  #phase: number;
  /** How many bytes of the head were read. */
  #scanned = 0;
  /** The head so far, where it arrives in pieces. */
  #copied: Uint8Array = emptyBytes;
  /** The offset of the name or value that is being read. */
  #textFrom = 0;
  /** The names and values that are complete. */
  #fields: string[] = [];
  #hasBareLf = false;

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.#allowsBareLf = options.side === "response";
    this.#firstPhase = options.onStartLine === null ? FIELD : START_LINE;
    this.#phase = this.#firstPhase;
  }

  /** True from a head's first byte to its last. */
  get hasStarted(): boolean {
    return this.#scanned > 0;
  }

  /** What the head takes in memory so far: its copy, and the texts made of it. */
  get heldBytes(): number {
    return this.#copied.length + this.#scanned + this.#fields.length * TEXT_OVERHEAD_BYTES;
  }

  /** True once a line of this head ended in a bare LF. `takeFields()` makes it false. */
  get hasBareLf(): boolean {
    return this.#hasBareLf;
  }

  /**
   * Takes the next bytes. Returns how many of them belong to the head, where they complete it; else -1. After a
   * complete head call `takeFields()`. The next push then begins another head.
   *
   * @throws {HttpParseError} 400, 414 or 431 (responses: 502), and what `onStartLine` throws. The scanner must not be
   *   used after it.
   */
  push(chunk: Uint8Array): number {
    if (this.#scanned === 0) {
      const end = this.#scan(chunk, chunk.length);
      if (end === -1) this.#copy(chunk, 0);
      return end;
    }
    const before = this.#scanned;
    this.#copy(chunk, before);
    const end = this.#scan(this.#copied, before + chunk.length);
    return end === -1 ? -1 : end - before;
  }

  /**
   * The line, without its end, at which `push(chunk)` has just thrown. Searched by scanning the head anew, so that what
   * is in order pays nothing for it.
   */
  faultyLine(chunk: Uint8Array): Uint8Array {
    const bytes = this.#scanned === 0 ? chunk : this.#copied.subarray(0, this.#scanned + chunk.length);
    const again = new HeadScanner(this.#options);
    let at = 0;
    try {
      while (at < bytes.length && again.push(bytes.subarray(at, at + 1)) === -1) at++;
    } catch {
      // The byte at `at` is the one that is wrong.
    }
    // An LF at the fault itself is the end of the line.
    const begin = at === 0 ? 0 : bytes.lastIndexOf(LF, at - 1) + 1;
    const end = bytes.indexOf(LF, at);
    const line = bytes.subarray(begin, end === -1 ? bytes.length : end);
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  }

  /** The fields of the complete head, as on the wire. The caller owns the array. */
  takeFields(): string[] {
    const fields = this.#fields;
    this.#phase = this.#firstPhase;
    this.#scanned = 0;
    // A connection may be idle for long, and should not pin the last head.
    this.#copied = emptyBytes;
    this.#fields = [];
    this.#hasBareLf = false;
    return fields;
  }

  /** Copies the chunk behind the first `length` bytes of the head, as far as a head may reach. */
  #copy(chunk: Uint8Array, length: number): void {
    const { totalBytes } = this.#options;
    const needed = Math.min(length + chunk.length, totalBytes);
    if (needed > this.#copied.length) {
      const grown = new Uint8Array(Math.min(Math.max(needed, 2 * this.#copied.length, 512), totalBytes));
      grown.set(this.#copied.subarray(0, length));
      this.#copied = grown;
    }
    this.#copied.set(chunk.subarray(0, needed - length), length);
  }

  /** Goes on at `#scanned`. Returns the offset behind the head; -1 where it is not complete at `end`. */
  #scan(bytes: Uint8Array, end: number): number {
    const { startLineBytes, totalBytes } = this.#options;
    let phase = this.#phase;
    let limit = phase <= START_LINE_LF ? startLineBytes : totalBytes;
    let stop = Math.min(end, limit);
    let textFrom = this.#textFrom;
    let i = this.#scanned;
    while (i < stop) {
      switch (phase) {
        case START_LINE:
          while (i < stop && valueBytes[bytes[i]] === 1) i++;
          if (i === stop) break;
          if (bytes[i] === CR) i++;
          else this.#endBareLine("the start line", bytes[i]);
          phase = START_LINE_LF;
          break;
        case START_LINE_LF:
          this.#expectLf(bytes[i]);
          this.#options.onStartLine?.(bytes, bytes[i - 1] === CR ? i - 1 : i);
          i++;
          phase = FIELD;
          limit = totalBytes;
          stop = Math.min(end, limit);
          break;
        case FIELD:
          textFrom = i;
          if (tokenBytes[bytes[i]] === 1) {
            this.#beginField();
            phase = NAME;
            i++;
          } else {
            if (bytes[i] === CR) i++;
            else this.#endHead(bytes[i]);
            phase = LAST_LF;
          }
          break;
        case NAME:
          while (i < stop && tokenBytes[bytes[i]] === 1) i++;
          if (i === stop) break;
          if (bytes[i] !== COLON) throw this.#badName(bytes, textFrom, i);
          this.#fields.push(internedLatin1(bytes, textFrom, i));
          textFrom = ++i;
          phase = VALUE;
          break;
        case VALUE:
          while (i < stop && valueBytes[bytes[i]] === 1) i++;
          if (i === stop) break;
          this.#fields.push(internedTrimmed(bytes, textFrom, i));
          if (bytes[i] === CR) i++;
          else this.#endBareLine("a field's value", bytes[i]);
          phase = VALUE_LF;
          break;
        case VALUE_LF:
          this.#expectLf(bytes[i++]);
          phase = FIELD;
          break;
        case LAST_LF:
          this.#expectLf(bytes[i++]);
          return i;
      }
    }
    if (i === limit) throw this.#tooLong(phase);
    this.#phase = phase;
    this.#textFrom = textFrom;
    this.#scanned = i;
    return -1;
  }

  #beginField(): void {
    if (this.#fields.length < 2 * this.#options.fieldCount) return;
    throw this.#fail(431, `There are more than ${this.#options.fieldCount} header fields`);
  }

  /** The line begins with no field, and with no CR. */
  #endHead(byte: number): void {
    if (isSpaceOrTab(byte)) throw this.#fail(400, "A header line begins with white space");
    this.#endBareLine("a field's name", byte);
  }

  /** The line ends without a CR: `byte` must be the LF, which is read next. */
  #endBareLine(where: string, byte: number): void {
    if (byte !== LF || !this.#allowsBareLf) throw this.#unexpected(where, byte);
    this.#hasBareLf = true;
  }

  #expectLf(byte: number): void {
    if (byte !== LF) throw this.#fail(400, `A CR is followed by ${showByte(byte)} instead of LF`);
  }

  #badName(bytes: Uint8Array, start: number, at: number): HttpParseError {
    if (!isSpaceOrTab(bytes[at])) return this.#unexpected("a field's name", bytes[at]);
    if (this.#options.side === "response") {
      // A line that was printed by mistake may begin with a secret.
      return this.#fail(400, "White space follows a field's name");
    }
    return this.#fail(400, `White space follows the field name ${showText(latin1(bytes, start, at))}`);
  }

  #unexpected(where: string, byte: number): HttpParseError {
    return this.#fail(400, byte === LF ? `A bare LF ends ${where}` : `The byte ${showByte(byte)} stands in ${where}`);
  }

  #tooLong(phase: number): HttpParseError {
    const { startLineBytes, totalBytes } = this.#options;
    return phase <= START_LINE_LF
      ? this.#fail(414, `The start line is longer than ${startLineBytes} bytes`)
      : this.#fail(431, `The header is longer than ${totalBytes} bytes`);
  }

  #fail(status: 400 | 414 | 431, reason: string): HttpParseError {
    return HttpParseError.for(this.#options.side, status, reason);
  }
}

/** The bytes of a chunk behind the offset `end`, up to which it belongs to a head or a body. */
export function bytesAfter(chunk: Uint8Array, end: number): Uint8Array {
  return end === chunk.length ? emptyBytes : chunk.subarray(end);
}

/** A value without the white space around it (OWS, RFC 9110 §5.6.3). */
function internedTrimmed(bytes: Uint8Array, start: number, end: number): string {
  while (start < end && isSpaceOrTab(bytes[start])) start++;
  while (end > start && isSpaceOrTab(bytes[end - 1])) end--;
  return internedLatin1(bytes, start, end);
}
