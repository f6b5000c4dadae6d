/** Bytes as text, one code point a byte (ISO 8859-1): the texts of HTTP heads. */
import { Buffer } from "node:buffer";

/** Longer texts are rarely repeated. */
const MAX_INTERNED_LENGTH = 64;
/** A power of two. */
const INTERNED_COUNT = 4_096;

/** What `toString("latin1")` calls. Other than Node's `toString` it takes any Uint8Array, not a Buffer alone. */
const decode = (Buffer.prototype as unknown as { latin1Slice(start: number, end: number): string }).latin1Slice;
const interned: string[] = new Array(INTERNED_COUNT).fill("");

/** The bytes from `start` to `end` as a string. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return decode.call(bytes, start, end);
}

/**
 * The same for texts that are often repeated: words of a start line, names and values of fields. A text that was read
 * before is returned as the same string: making a string takes several times as long as comparing one, and makes
 * garbage.
 */
export function internedLatin1(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length > MAX_INTERNED_LENGTH) return latin1(bytes, start, end);
  // Most names and values differ in length, first, middle or last byte. A new text replaces the one in its slot.
  const middle = bytes[start + (length >> 1)];
  const slot = (length * 7 + bytes[start] * 31 + middle * 57 + bytes[end - 1] * 131) & (INTERNED_COUNT - 1);
  const text = interned[slot];
  if (text.length === length && equals(text, bytes, start)) return text;
  return interned[slot] = latin1(bytes, start, end);
}

function equals(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}
