/** Masking (RFC 6455 §5.3): byte i of a payload XOR byte i mod 4 of the key. Unmasking is the same. */
import { VECTOR_STEP_BYTES, vectorMaskOf } from "./mask_memory.ts";

/** For fewer bytes a view of words costs more than it saves. */
const MIN_WORD_BYTES = 48;
/** For fewer bytes it costs more than it saves to look for a vector mask. */
const MIN_VECTOR_BYTES = 4 * 1024;
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Masks or unmasks `bytes[from, to)` in place. `key`: its four bytes on the wire as a big-endian u32. */
export function applyMask(bytes: Uint8Array, from: number, to: number, key: number): void {
  let at = to - from >= MIN_VECTOR_BYTES ? maskVectors(bytes, from, to, key) : from;
  if (at === from && to - from >= MIN_WORD_BYTES) at = maskWords(bytes, from, to, key);
  for (; at < to; at++) bytes[at] ^= keyByte(key, at - from);
}

function keyByte(key: number, index: number): number {
  return key >>> (24 - ((index & 3) << 3));
}

/** Does so in the memory for it, else masks nothing. Returns the offset of the first unmasked byte. */
function maskVectors(bytes: Uint8Array, from: number, to: number, key: number): number {
  const vectorMask = vectorMaskOf(bytes.buffer);
  if (vectorMask === undefined) return from;
  const end = to - (to - from) % VECTOR_STEP_BYTES;
  vectorMask(bytes.byteOffset + from, bytes.byteOffset + end, swapBytes(key));
  return end;
}

/** Masks all but the last few bytes, a word at a time. Returns the offset of the first unmasked byte. */
function maskWords(bytes: Uint8Array, from: number, to: number, key: number): number {
  let at = from;
  for (; ((bytes.byteOffset + at) & 3) !== 0; at++) bytes[at] ^= keyByte(key, at - from);
  // The words begin at an aligned address, so the key is rotated to begin with the byte that is due there.
  const rotation = ((at - from) & 3) << 3;
  const rotated = rotation === 0 ? key | 0 : (key << rotation) | (key >>> (32 - rotation));
  const word = isLittleEndian ? swapBytes(rotated) : rotated;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >>> 2);
  const count = words.length;
  const unrolled = count & ~3;
  let i = 0;
  for (; i < unrolled; i += 4) {
    words[i] ^= word;
    words[i + 1] ^= word;
    words[i + 2] ^= word;
    words[i + 3] ^= word;
  }
  for (; i < count; i++) words[i] ^= word;
  return at + (count << 2);
}

function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

const keys = new Uint32Array(1024);
let unusedKeys = 0;

/**
 * A new masking key as a u32. Keys come from the system's source of randomness, a thousand at a time: the author of the
 * payload must not be able to predict them (RFC 6455 §10.3).
 */
export function nextMaskKey(): number {
  if (unusedKeys === 0) {
    crypto.getRandomValues(keys);
    unusedKeys = keys.length;
  }
  return keys[--unusedKeys];
}
