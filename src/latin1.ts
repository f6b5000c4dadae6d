/** Bytes as text, code point by code point (ISO 8859-1): the texts of heads. */
import { Buffer } from "node:buffer";

/** Longer texts are looked at once and hardly come again. */
const RECALLED_LENGTH = 64;
/** A power of two. */
const RECALLED_COUNT = 4_096;

/** What `toString("latin1")` calls: it takes any Uint8Array, where Node's `toString` wants a Buffer. */
const decode = (Buffer.prototype as unknown as { latin1Slice(start: number, end: number): string }).latin1Slice;
const recalled: string[] = new Array(RECALLED_COUNT).fill("");

/** The bytes from `start` to `end` as a string; every runtime does this natively. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return decode.call(bytes, start, end);
}

/**
 * The same, for the words of a start line and the names and values of fields: of those that came before the string of
 * then is given again. Making a string costs several times as much as comparing one, and leaves garbage.
 */
export function recall(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length > RECALLED_LENGTH) return latin1(bytes, start, end);
  // Names and values that differ do so mostly here; whichever came last stays.
  const middle = bytes[start + (length >> 1)];
  const slot = (length * 7 + bytes[start] * 31 + middle * 57 + bytes[end - 1] * 131) & (RECALLED_COUNT - 1);
  const text = recalled[slot];
  if (text.length === length && equals(text, bytes, start)) return text;
  return recalled[slot] = latin1(bytes, start, end);
}

function equals(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}
