/** Bytes as text, one code point a byte (ISO 8859-1): the texts of HTTP heads. */
import { Buffer } from "node:buffer";

/** Longer texts are rarely repeated. */
const MAX_INTERNED_LENGTH = 64;
/** A power of two. */
const INTERNED_COUNT = 4_096;
const ALL_ALPHABETS = 0xff;

/** What `toString("latin1")` calls. Other than Node's `toString` it takes any Uint8Array, not a Buffer alone. */
const decode = (Buffer.prototype as unknown as { latin1Slice(start: number, end: number): string }).latin1Slice;

/** The bytes from `start` to `end` as a string. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return decode.call(bytes, start, end);
}

/**
 * Texts that are often repeated: words of a start line, names and values of fields. A text that was read before is
 * returned as the same string: making a string takes several times as long as comparing one, and makes garbage.
 */
export class TextTable {
  /** Of the text that was read last: the bits that all its characters have. All bits for an empty text. */
  alphabets = 0;
  readonly #alphabetsOfBytes: Uint8Array | null;
  readonly #texts: string[] = new Array(INTERNED_COUNT).fill("");
  readonly #textAlphabets = new Uint8Array(INTERNED_COUNT);

  /** @param alphabetsOfBytes the sets that each of the 256 characters belongs to, as bits. Default: nobody asks. */
  constructor(alphabetsOfBytes: Uint8Array | null = null) {
    this.#alphabetsOfBytes = alphabetsOfBytes;
  }

  /** The bytes from `start` to `end` as a string. */
  read(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length === 0) {
      this.alphabets = ALL_ALPHABETS;
      return "";
    }
    if (length > MAX_INTERNED_LENGTH) {
      this.alphabets = this.#commonOf(bytes, start, end);
      return latin1(bytes, start, end);
    }
    // Most names and values differ in length, first, middle or last byte. A new text replaces the one in its slot.
    const middle = bytes[start + (length >> 1)];
    const slot = (length * 7 + bytes[start] * 31 + middle * 57 + bytes[end - 1] * 131) & (INTERNED_COUNT - 1);
    const text = this.#texts[slot];
    if (text.length === length && equals(text, bytes, start)) {
      this.alphabets = this.#textAlphabets[slot];
      return text;
    }
    this.alphabets = this.#textAlphabets[slot] = this.#commonOf(bytes, start, end);
    return this.#texts[slot] = latin1(bytes, start, end);
  }

  #commonOf(bytes: Uint8Array, start: number, end: number): number {
    const alphabets = this.#alphabetsOfBytes;
    if (alphabets === null) return 0;
    let common = ALL_ALPHABETS;
    for (let at = start; at < end; at++) common &= alphabets[bytes[at]];
    return common;
  }
}

const sharedTexts = new TextTable();

/** `latin1` for a text that is often repeated, see `TextTable`. */
export function internedLatin1(bytes: Uint8Array, start: number, end: number): string {
  return sharedTexts.read(bytes, start, end);
}

function equals(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}
