/**
 * Base64 (RFC 4648 §4) of the bodies in frames, in two ways: from and to strings by the runtime, for whole bodies; and
 * from bytes to bytes, for the chunks of a stream. A chunk that goes through strings leaves three of them behind, each
 * larger than the chunk, and under a steady download a collector lets those pile up to a hundred megabytes.
 */
import { Buffer } from "node:buffer";
import { FrameError } from "./frames.ts";

/** The frame whose text is decoded, for the error. */
interface Framed {
  readonly type: string;
  readonly request_id: string;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * Takes base64 with padding and without.
 *
 * @param key of the text in `frame`
 * @throws {FrameError} for anything else; `Buffer` alone passes over what it does not know
 */
export function decodeBase64(text: string, key: string, frame: Framed): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== Math.floor(((text.length - padding) * 3) / 4) || text.length % 4 === 1) {
    throw FrameError.of({ type: frame.type, key, requestId: frame.request_id }, NOT_BASE64);
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What an error says of a text that cannot be decoded. */
export const NOT_BASE64 = "is not base64";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
/** The value of a byte that is none of the alphabet's. */
const NONE = 0xff;

const values = new Uint8Array(256).fill(NONE);
for (let value = 0; value < 64; value++) {
  const code = alphabet.charCodeAt(value);
  values[code] = value;
}

const encoder = new TextEncoder();
/** A multiple of three, so that no piece but the last has padding. */
const PIECE_BYTES = 3 * 1024;

/** The length of `bytes` bytes in base64, padding included. */
export function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/**
 * Writes the base64 of `bytes` into `target` from `at` on, and returns where it ends. The runtime makes it, in strings so
 * short that collectors free them at once.
 */
export function encodeBase64Into(bytes: Uint8Array, target: Uint8Array, at: number): number {
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, bytes.length - from);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString("base64");
    at += encoder.encodeInto(text, target.subarray(at)).written;
  }
  return at;
}

/**
 * Decodes the padded base64 in `bytes` from `from` to `to`, in place. Returns where the decoded bytes end, which begin at
 * `from`; -1 for anything else, which leaves the bytes spoilt.
 */
export function decodeBase64InPlace(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  if (length % 4 !== 0) return -1;
  if (length === 0) return from;
  const padding = bytes[to - 2] === PAD ? 2 : bytes[to - 1] === PAD ? 1 : 0;
  // `NONE` has the two high bits, which no digit has: they are looked for once, after the loop.
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
    if (padding === 2 && bytes[to - 1] !== PAD) return -1;
    bytes[at++] = (a << 2) | (b >>> 4);
    if (padding === 1) bytes[at++] = (b << 4) | (c >>> 2);
  }
  return seen > 63 ? -1 : at;
}
