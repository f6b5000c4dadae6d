/** Messages and control frames as bytes: one frame each, never fragmented (RFC 6455 §5.2). */
import { MAX_CUT_BYTES, release, reportGarbage, sharedAllocator } from "../memory/mod.ts";
import {
  CloseCode,
  FIN,
  isCloseCode,
  LENGTH_IS_U16,
  LENGTH_IS_U64,
  MASK,
  MAX_CONTROL_BYTES,
  Opcode,
  type SendOpcode,
} from "./frames.ts";
import { applyMask } from "./mask.ts";

/** A client's masking key as a u32 (`nextMaskKey()`), or `null` in the role of a server. */
export type Key = number | null;

/** A server's parts from this size on go to the socket as they are; smaller ones are cheaper to copy. */
export const UNCOPIED_BYTES = 4 * 1024;
/** A head of four bytes and a key: what `textFrame` leaves free before the payload. */
const TEXT_AT = 8;
/** The longest text whose frame surely is a short piece: a UTF-16 unit is at most three bytes of UTF-8. */
const MAX_SHORT_TEXT = Math.floor((MAX_CUT_BYTES - TEXT_AT) / 3);

const encoder = new TextEncoder();
const allocateShared = (length: number) => sharedAllocator.allocate(length);

/**
 * One frame in one buffer. The parts are joined, and masked there: they are not changed and may be used again at once.
 *
 * @param take makes the buffer, of a size that it is told
 */
export function frame(
  opcode: SendOpcode,
  parts: readonly Uint8Array[],
  key: Key,
  take: (length: number) => Uint8Array = allocateShared,
): Uint8Array {
  const length = totalLength(parts);
  const bytes = take(headLength(length, key) + length);
  const payloadAt = writeHead(bytes, 0, opcode, length, key);
  copyParts(bytes, payloadAt, parts, 0, parts.length);
  if (key !== null) applyMask(bytes, payloadAt, bytes.length, key);
  return bytes;
}

/** A text message in one new buffer; lone surrogates become U+FFFD. */
export function textFrame(text: string, key: Key): Uint8Array {
  if (text.length > MAX_SHORT_TEXT) return frame(Opcode.text, [encoder.encode(text)], key);
  sharedAllocator.ensure(TEXT_AT + 3 * text.length);
  const { block, position } = sharedAllocator;
  const { written } = encoder.encodeInto(text, block.subarray(position + TEXT_AT));
  const end = TEXT_AT + written;
  const bytes = sharedAllocator.take(end);
  const from = TEXT_AT - headLength(written, key);
  writeHead(bytes, from, Opcode.text, written, key);
  if (key !== null) applyMask(bytes, TEXT_AT, end, key);
  return bytes.subarray(from, end);
}

/**
 * A frame of a server, given to `write` piece by piece: the head and small parts joined, parts from `UNCOPIED_BYTES`
 * on as they are. Those must not be changed until they left.
 */
export function writeParts(
  opcode: SendOpcode,
  parts: readonly Uint8Array[],
  write: (bytes: Uint8Array) => void,
): void {
  const length = totalLength(parts);
  let block = headLength(length, null);
  let first = 0;
  for (let i = 0; i <= parts.length; i++) {
    if (i < parts.length && parts[i].length < UNCOPIED_BYTES) {
      block += parts[i].length;
      continue;
    }
    if (block > 0) {
      const bytes = sharedAllocator.allocate(block);
      const at = first === 0 ? writeHead(bytes, 0, opcode, length, null) : 0;
      copyParts(bytes, at, parts, first, i);
      write(bytes);
    }
    if (i < parts.length) write(parts[i]);
    block = 0;
    first = i + 1;
  }
}

/**
 * The payload of a close frame; empty for 1005 without a reason, which says that there is no code.
 * @throws {RangeError} for a code that may not be sent, or a reason over 123 bytes of UTF-8
 */
export function closePayload(code: number, reason: string): Uint8Array {
  if (code === CloseCode.noStatus && reason === "") return new Uint8Array(0);
  if (!isCloseCode(code)) throw new RangeError(`close code ${code} may not be sent`);
  const text = encoder.encode(reason);
  if (text.length > MAX_CONTROL_BYTES - 2) throw new RangeError(`close reason of ${text.length} bytes is over 123`);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >>> 8;
  payload[1] = code;
  payload.set(text, 2);
  return payload;
}

function totalLength(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

function copyParts(bytes: Uint8Array, at: number, parts: readonly Uint8Array[], first: number, end: number): void {
  for (let i = first; i < end; i++) {
    bytes.set(parts[i], at);
    at += parts[i].length;
    if (!release(parts[i])) reportGarbage(parts[i].length);
  }
}

/** Everything before the payload, the key included. */
function headLength(length: number, key: Key): number {
  return (length < LENGTH_IS_U16 ? 2 : length <= 0xffff ? 4 : 10) + (key === null ? 0 : 4);
}

/** Writes everything before the payload from `at` on, and returns where it ends. */
function writeHead(bytes: Uint8Array, at: number, opcode: SendOpcode, length: number, key: Key): number {
  const mask = key === null ? 0 : MASK;
  bytes[at++] = FIN | opcode;
  if (length < LENGTH_IS_U16) {
    bytes[at++] = mask | length;
  } else if (length <= 0xffff) {
    bytes[at++] = mask | LENGTH_IS_U16;
    bytes[at++] = length >>> 8;
    bytes[at++] = length;
  } else {
    bytes[at++] = mask | LENGTH_IS_U64;
    at = writeU32(bytes, at, Math.floor(length / 0x100000000));
    at = writeU32(bytes, at, length);
  }
  return key === null ? at : writeU32(bytes, at, key);
}

function writeU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}
