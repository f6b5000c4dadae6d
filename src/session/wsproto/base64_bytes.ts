/**
 * Base64 (RFC 4648 §4) from bytes to bytes. A chunk that goes through strings leaves three of them behind, each larger
 * than the chunk, and a collector lets those pile up to a hundred megabytes under a steady download.
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
const NONE = 0xff;

const digits = new Uint8Array(64);
const values = new Uint8Array(256).fill(NONE);
for (let value = 0; value < 64; value++) {
  const code = alphabet.charCodeAt(value);
  digits[value] = code;
  values[code] = value;
}

/** How long `bytes` bytes are in base64, padding included. */
export function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/** Writes the base64 of `bytes` into `target` from `at` on, and returns where it ends. */
export function encodeBase64Into(bytes: Uint8Array, target: Uint8Array, at: number): number {
  const whole = bytes.length - bytes.length % 3;
  for (let i = 0; i < whole; i += 3) {
    const triple = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2];
    target[at] = digits[triple >>> 18];
    target[at + 1] = digits[(triple >>> 12) & 63];
    target[at + 2] = digits[(triple >>> 6) & 63];
    target[at + 3] = digits[triple & 63];
    at += 4;
  }
  const left = bytes.length - whole;
  if (left === 0) return at;
  const last = (bytes[whole] << 16) | (left === 2 ? bytes[whole + 1] << 8 : 0);
  target[at] = digits[last >>> 18];
  target[at + 1] = digits[(last >>> 12) & 63];
  target[at + 2] = left === 2 ? digits[(last >>> 6) & 63] : PAD;
  target[at + 3] = PAD;
  return at + 4;
}

/**
 * Decodes what stands in `bytes` from `from` to `to`, in place: the result is a view of the same buffer, from `from`
 * on. Null for what is not padded base64; the bytes are then spoilt.
 */
export function decodeBase64InPlace(bytes: Uint8Array, from: number, to: number): Uint8Array | null {
  const length = to - from;
  if (length % 4 !== 0) return null;
  if (length === 0) return bytes.subarray(from, from);
  const padding = bytes[to - 2] === PAD ? 2 : bytes[to - 1] === PAD ? 1 : 0;
  // What is no digit has the two high bits: they show in the end, so that the loop need not look.
  let seen = 0;
  let at = from;
  const whole = padding === 0 ? to : to - 4;
  for (let i = from; i < whole; i += 4) {
    const a = values[bytes[i]];
    const b = values[bytes[i + 1]];
    const c = values[bytes[i + 2]];
    const d = values[bytes[i + 3]];
    seen |= a | b | c | d;
    bytes[at] = (a << 2) | (b >>> 4);
    bytes[at + 1] = (b << 4) | (c >>> 2);
    bytes[at + 2] = (c << 6) | d;
    at += 3;
  }
  if (padding > 0) {
    const a = values[bytes[whole]];
    const b = values[bytes[whole + 1]];
    const c = padding === 1 ? values[bytes[whole + 2]] : 0;
    seen |= a | b | c;
    if (padding === 2 && bytes[to - 1] !== PAD) return null;
    bytes[at++] = (a << 2) | (b >>> 4);
    if (padding === 1) bytes[at++] = (b << 4) | (c >>> 2);
  }
  return seen > 63 ? null : bytes.subarray(from, at);
}
