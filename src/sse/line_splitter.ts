/**
 * Cuts bytes into lines, wherever the borders of the chunks are. In UTF-8 no other character contains the bytes of CR and
 * LF, so a line is decoded when it is whole, and never a part of a character.
 */
import { emptyBytes } from "../memory/mod.ts";
import { MessageFormatError } from "./errors.ts";

const LF = 0x0a;
const CR = 0x0d;
/** Of the buffer for a line that comes in parts. It doubles when it is full. */
const FIRST_BUFFER_BYTES = 256;

/** What ends a line: LF alone, or any of CR, LF and CR LF. */
export type LineEnd = "lf" | "any";

export class LineSplitter {
  readonly #onLine: (line: Uint8Array) => void;
  readonly #maxBytes: number;
  readonly #isAnyEnd: boolean;
  /** The beginning of a line whose end has not come. */
  #buffer: Uint8Array = emptyBytes;
  #heldBytes = 0;
  /** The last byte was a CR, and ended a line: an LF behind it belongs to it. */
  #isBehindCr = false;

  /**
   * @param onLine gets each line without its end, and must not keep the bytes
   * @param maxBytes of a line, without its end
   */
  constructor(onLine: (line: Uint8Array) => void, maxBytes: number, end: LineEnd) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
    this.#isAnyEnd = end === "any";
  }

  /**
   * The lines that are whole now are given to `onLine`, which may throw. A line ends as soon as its CR or LF is there.
   *
   * @throws {MessageFormatError} `line_too_long`
   */
  push(bytes: Uint8Array): void {
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte !== LF && !(this.#isAnyEnd && byte === CR)) {
        this.#isBehindCr = false;
        continue;
      }
      const isSecondHalf = byte === LF && this.#isBehindCr;
      this.#isBehindCr = byte === CR;
      if (!isSecondHalf) this.#end(bytes.subarray(start, at));
      start = at + 1;
    }
    if (start < bytes.length) this.#hold(bytes.subarray(start));
  }

  #end(part: Uint8Array): void {
    if (this.#heldBytes === 0) {
      this.#check(part.length);
      return this.#onLine(part);
    }
    this.#hold(part);
    const line = this.#buffer.subarray(0, this.#heldBytes);
    this.#buffer = emptyBytes;
    this.#heldBytes = 0;
    this.#onLine(line);
  }

  #hold(part: Uint8Array): void {
    const bytes = this.#heldBytes + part.length;
    this.#check(bytes);
    if (bytes > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(bytes, 2 * this.#buffer.length, FIRST_BUFFER_BYTES));
      larger.set(this.#buffer.subarray(0, this.#heldBytes));
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#heldBytes);
    this.#heldBytes = bytes;
  }

  #check(bytes: number): void {
    if (bytes > this.#maxBytes) {
      throw new MessageFormatError("line_too_long", `A line of a stream is over ${this.#maxBytes} bytes`);
    }
  }
}
