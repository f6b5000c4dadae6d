/** Encodes messages and control frames: one frame each, never fragmented (RFC 6455 §5.2). */
import { writeU16, writeU32 } from "../base/mod.ts";
import { emptyBytes, MAX_CUT_BYTES, release, reportGarbage, sharedAllocator } from "../memory/mod.ts";
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

/** The masking key of a client's frame as a u32 (`nextMaskKey()`); `null` for a server's. */
export type MaskKey = number | null;

/**
 * From this size on parts of a server's message are written to the socket as they are. Smaller ones are cheaper to
 * copy.
 */
export const UNCOPIED_BYTES = 4 * 1024;
/** What `encodeTextFrame` leaves free before the payload: a head of four bytes and a key. */
const TEXT_AT = 8;
/** Texts up to this length surely fit a piece of the allocator: a UTF-16 unit is at most three bytes of UTF-8. */
const MAX_SHORT_TEXT_LENGTH = Math.floor((MAX_CUT_BYTES - TEXT_AT) / 3);

const encoder = new TextEncoder();
const allocateShared = (length: number) => sharedAllocator.allocate(length);

/**
 * One frame in one buffer. The parts are copied there and masked, so they are not changed and may be used again at
 * once.
 *
 * @param allocate makes the buffer
 */
export function encodeFrame(
  opcode: SendOpcode,
  parts: readonly Uint8Array[],
  key: MaskKey,
  allocate: (length: number) => Uint8Array = allocateShared,
): Uint8Array {
  const length = totalLength(parts);
  const bytes = allocate(headLength(length, key) + length);
  const payloadAt = writeHead(bytes, 0, opcode, length, key);
  copyParts(bytes, payloadAt, parts, 0, parts.length);
  if (key !== null) applyMask(bytes, payloadAt, bytes.length, key);
  return bytes;
}

/** A text message in one new buffer. Lone surrogates become U+FFFD. */
export function encodeTextFrame(text: string, key: MaskKey): Uint8Array {
  if (text.length > MAX_SHORT_TEXT_LENGTH) return encodeFrame(Opcode.text, [encoder.encode(text)], key);
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

/** Bytes of a client's frame whose payload has `length` bytes. */
export function clientFrameLength(length: number): number {
  return headLength(length, 0) + length;
}

/** The head of a server's frame, whose payload of `length` bytes is sent behind it. */
export function encodeFrameHead(opcode: SendOpcode, length: number): Uint8Array {
  const bytes = sharedAllocator.allocate(headLength(length, null));
  writeHead(bytes, 0, opcode, length, null);
  return bytes;
}

/**
 * Passes a frame of a server to `write` in pieces: the head and small parts joined, parts from `UNCOPIED_BYTES` on as
 * they are. Those must not be changed until they were sent.
 */
export function writeFrame(
  opcode: SendOpcode,
  parts: readonly Uint8Array[],
  write: (bytes: Uint8Array) => void,
): void {
  const length = totalLength(parts);
  let joinedBytes = headLength(length, null);
  let first = 0;
  for (let i = 0; i <= parts.length; i++) {
    if (i < parts.length && parts[i].length < UNCOPIED_BYTES) {
      joinedBytes += parts[i].length;
      continue;
    }
    if (joinedBytes > 0) {
      const bytes = sharedAllocator.allocate(joinedBytes);
      const at = first === 0 ? writeHead(bytes, 0, opcode, length, null) : 0;
      copyParts(bytes, at, parts, first, i);
      write(bytes);
    }
    if (i < parts.length) write(parts[i]);
    joinedBytes = 0;
    first = i + 1;
  }
}

/**
 * The payload of a close frame. It is empty for 1005 without a reason: a frame without a code.
 *
 * @throws {RangeError} for a code that must not be sent, or a reason over 123 bytes of UTF-8
 */
export function encodeClosePayload(code: number, reason: string): Uint8Array {
  if (code === CloseCode.noStatus && reason === "") return emptyBytes;
  if (!isCloseCode(code)) throw new RangeError(`The close code ${code} must not be sent`);
  const text = encoder.encode(reason);
  if (text.length > MAX_CONTROL_BYTES - 2) throw new RangeError(`A close reason of ${text.length} bytes is over 123`);
  const payload = new Uint8Array(2 + text.length);
  writeU16(payload, 0, code);
  payload.set(text, 2);
  return payload;
}

export function totalLength(parts: readonly Uint8Array[]): number {
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

/** The length of everything before the payload, with the key. */
function headLength(length: number, key: MaskKey): number {
  return (length < LENGTH_IS_U16 ? 2 : length <= 0xffff ? 4 : 10) + (key === null ? 0 : 4);
}

/** Writes everything before the payload at `at`, and returns the offset of the payload. */
function writeHead(bytes: Uint8Array, at: number, opcode: SendOpcode, length: number, key: MaskKey): number {
  const mask = key === null ? 0 : MASK;
  bytes[at++] = FIN | opcode;
  if (length < LENGTH_IS_U16) {
    bytes[at++] = mask | length;
  } else if (length <= 0xffff) {
    bytes[at++] = mask | LENGTH_IS_U16;
    writeU16(bytes, at, length);
    at += 2;
  } else {
    bytes[at++] = mask | LENGTH_IS_U64;
    writeU32(bytes, at, Math.floor(length / 0x100000000));
    writeU32(bytes, at + 4, length);
    at += 8;
  }
  if (key === null) return at;
  writeU32(bytes, at, key);
  return at + 4;
}
