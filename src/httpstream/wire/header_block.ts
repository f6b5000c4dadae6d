/**
 * Header blocks, the payload of HEADERS: a u16 count of fields, then for each field a u16 length and the name, a u32
 * length and the value. There is no compression and no state, so that a refused block affects its stream alone.
 *
 * In memory a block is a flat list of strings: name, value, name, value, and so on. Order, repeats and the case of names
 * are kept; values are bytes, as Latin-1 strings (code points up to 0xFF). Pseudo-fields (`:path`) come first.
 */
import { internedLatin1, readU16, readU32, writeU32 } from "../../base/mod.ts";
import { EncodeError, ProtocolError } from "./errors.ts";
import {
  ALL_ALPHABETS,
  Alphabet,
  alphabets,
  fieldFault,
  isInterimStatus,
  isRefusedName,
  isStatusName,
  pseudoFieldFault,
} from "./field_rules.ts";
import { ErrorCode, Flag, MAX_FIELDS, MAX_HEADER_BLOCK_BYTES } from "./frame_types.ts";
import { sharedAllocator } from "../../memory/mod.ts";

const COUNT_BYTES = 2;
/** The two lengths of a field. */
const FIELD_OVERHEAD_BYTES = 6;
const VALUE_LENGTH_BYTES = 4;
const COLON = 0x3a;

/** What the receiver of a header block takes. */
export interface HeaderBlockLimits {
  /** Fields, pseudo-fields included. */
  readonly maxFields: number;
  readonly maxBytes: number;
}

const widestLimits: HeaderBlockLimits = { maxFields: MAX_FIELDS, maxBytes: MAX_HEADER_BLOCK_BYTES };

/**
 * Bytes that `writeHeaderBlock` will write for these fields.
 *
 * @param limits default: 512 fields and 131,072 bytes.
 * @throws {EncodeError} when a name stands without a value; and above the limits, with `isTooLarge`.
 */
export function headerBlockLength(fields: readonly string[], limits: HeaderBlockLimits = widestLimits): number {
  const { maxFields, maxBytes } = limits;
  const count = fields.length / 2;
  if (!Number.isInteger(count)) throw new EncodeError(`List of ${fields.length} names and values is uneven`);
  if (count > maxFields) throw new EncodeError(`Header block of ${count} fields exceeds ${maxFields}`, true);
  let length = COUNT_BYTES + count * FIELD_OVERHEAD_BYTES;
  for (let index = 0; index < fields.length; index++) length += fields[index]!.length;
  if (length > maxBytes) throw new EncodeError(`Header block of ${length} bytes exceeds ${maxBytes}`, true);
  return length;
}

/** The block in a buffer of its own; see `headerBlockLength` and `writeHeaderBlock`. */
export function encodeHeaderBlock(
  fields: readonly string[],
  flags?: number,
  limits?: HeaderBlockLimits,
): Uint8Array {
  const block = sharedAllocator.allocate(headerBlockLength(fields, limits));
  writeHeaderBlock(block, 0, fields, flags);
  return block;
}

/**
 * Writes the block at `offset`, where `headerBlockLength(fields)` bytes must be free. (That call checks the limits.)
 * Returns the offset after it.
 *
 * @param flags the frame's flags: the fields are checked against them, see `decodeHeaderBlock`. Default: not checked.
 * @throws {EncodeError} when a decoder would refuse the block: a name that is no token, a control character, a code point
 *   above 0xFF, a pseudo-field that is late, repeated or invalid, a field that concerns one hop (`connection`, `host`,
 *   `transfer-encoding`, `upgrade`). Bytes may have been written by then.
 */
export function writeHeaderBlock(
  target: Uint8Array,
  offset: number,
  fields: readonly string[],
  flags?: number,
): number {
  let end = putU16(target, offset, fields.length >> 1);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    const start = end;
    const nameStart = putU16(target, start, name.length);
    const nameAlphabets = putLatin1(target, nameStart, name);
    const nameEnd = nameStart + name.length;
    const valueStart = nameEnd + VALUE_LENGTH_BYTES;
    writeU32(target, nameEnd, value.length);
    const valueAlphabets = putLatin1(target, valueStart, value);
    end = valueStart + value.length;
    const isPlain = name.length > 0 && (nameAlphabets & Alphabet.TOKEN) !== 0 &&
      (valueAlphabets & Alphabet.VALUE) !== 0;
    if (isPlain && !isRefusedName(target, nameStart, nameEnd)) continue;
    const fault = faultOf(target, offset, start, valueStart, end);
    if (fault !== null) throw new EncodeError(fault);
  }
  const fault = flagsFault(target, offset, flags);
  if (fault !== null) throw new EncodeError(fault);
  return end;
}

/**
 * The fields of a block. Nothing is allocated before the block's count and size are known to be within the limits.
 *
 * @param flags the frame's flags. The fields are checked against them: TRAILERS hold no pseudo-fields, and a `:status`
 *   of 100 to 199 without 101 stands in INFORMATIONAL and nowhere else. Default: not checked.
 * @param limits default: 512 fields and 131,072 bytes.
 * @throws {ProtocolError} of scope `connection` when the lengths do not add up to the block's size, or that is above
 *   131,072 bytes; of scope `stream` when the block is over `limits`, or a field is refused (see `writeHeaderBlock`).
 *   `streamId` is for the caller to add.
 */
export function decodeHeaderBlock(
  block: Uint8Array,
  flags?: number,
  limits: HeaderBlockLimits = widestLimits,
): string[] {
  const end = block.length;
  if (end < COUNT_BYTES) throw shapeError(`Header block of ${end} bytes holds no count`);
  if (end > MAX_HEADER_BLOCK_BYTES) throw shapeError(`Header block of ${end} bytes exceeds ${MAX_HEADER_BLOCK_BYTES}`);
  const count = readU16(block, 0);
  if (count > limits.maxFields) {
    throw refuse(block, COUNT_BYTES, count, `Header block of ${count} fields exceeds ${limits.maxFields}`);
  }
  if (end > limits.maxBytes) {
    throw refuse(block, COUNT_BYTES, count, `Header block of ${end} bytes exceeds ${limits.maxBytes}`);
  }
  const fields: string[] = [];
  let offset = COUNT_BYTES;
  for (let index = 0; index < count; index++) {
    const start = offset;
    const valueStart = fieldValueStart(block, start);
    offset = fieldEnd(block, valueStart);
    const fault = faultOf(block, 0, start, valueStart, offset);
    if (fault !== null) throw refuse(block, offset, count - index - 1, fault);
    fields.push(
      internedLatin1(block, start + 2, valueStart - VALUE_LENGTH_BYTES),
      internedLatin1(block, valueStart, offset),
    );
  }
  if (offset !== end) throw shapeError(`Header block has ${end - offset} bytes after its last field`);
  const fault = flagsFault(block, 0, flags);
  if (fault !== null) throw refuse(block, end, 0, fault);
  return fields;
}

/**
 * What is wrong with the field at `offset`, or null. The fields between `blockStart` and it are known to be right. It
 * looks at bytes alone: a string would have to be made, and copied when it is first read.
 */
function faultOf(
  bytes: Uint8Array,
  blockStart: number,
  offset: number,
  valueStart: number,
  valueEnd: number,
): string | null {
  const nameStart = offset + 2;
  const nameEnd = valueStart - VALUE_LENGTH_BYTES;
  if (nameStart === nameEnd || bytes[nameStart] !== COLON) {
    return fieldFault(bytes, nameStart, nameEnd, valueStart, valueEnd);
  }
  const fault = pseudoFieldFault(bytes, nameStart, nameEnd, valueStart, valueEnd);
  if (fault !== null) return fault;
  for (let earlier = blockStart + COUNT_BYTES; earlier < offset;) {
    if (bytes[earlier + 2] !== COLON) return `Pseudo-field ${nameAt(bytes, offset)} stands after an ordinary field`;
    if (sameName(bytes, earlier, offset)) return `Pseudo-field ${nameAt(bytes, offset)} stands twice`;
    earlier = fieldEnd(bytes, fieldValueStart(bytes, earlier));
  }
  return null;
}

/** Which of the fields, each of them right by itself, the frame's flags do not allow; or null. */
function flagsFault(bytes: Uint8Array, blockStart: number, flags: number | undefined): string | null {
  if (flags === undefined) return null;
  let isInterim = false;
  let offset = blockStart + COUNT_BYTES;
  for (let left = readU16(bytes, blockStart); left > 0 && bytes[offset + 2] === COLON; left--) {
    if ((flags & Flag.TRAILERS) !== 0) return `Pseudo-field ${nameAt(bytes, offset)} stands among trailers`;
    const valueStart = fieldValueStart(bytes, offset);
    if (isStatusName(bytes, offset + 2, valueStart - VALUE_LENGTH_BYTES)) {
      isInterim = isInterimStatus(bytes, valueStart);
    }
    offset = fieldEnd(bytes, valueStart);
  }
  if (isInterim === ((flags & Flag.INFORMATIONAL) !== 0)) return null;
  return isInterim ? "Interim :status without INFORMATIONAL" : "INFORMATIONAL without an interim :status";
}

function sameName(bytes: Uint8Array, offset: number, other: number): boolean {
  const end = offset + 2 + readU16(bytes, offset);
  for (; offset < end; offset++, other++) if (bytes[offset] !== bytes[other]) return false;
  return true;
}

/** The name of the field at `offset`, known to be a token, for an error message: cut where it is long. */
function nameAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset + 2, offset + 2 + Math.min(readU16(bytes, offset), 64)));
}

/** Where the value of the field at `offset` begins. */
function fieldValueStart(block: Uint8Array, offset: number): number {
  // Past the end of the block the length reads as 0, and the start is past the end, too.
  const valueStart = offset + FIELD_OVERHEAD_BYTES + readU16(block, offset);
  if (valueStart > block.length) throw shapeError(`Header block ends within the field at byte ${offset}`);
  return valueStart;
}

function fieldEnd(block: Uint8Array, valueStart: number): number {
  const end = valueStart + readU32(block, valueStart - VALUE_LENGTH_BYTES);
  if (end > block.length) throw shapeError(`Header block ends within the value at byte ${valueStart}`);
  return end;
}

/** The error for a refused field; or for the whole block, where the lengths after the field do not add up. */
function refuse(block: Uint8Array, offset: number, remaining: number, fault: string): ProtocolError {
  for (; remaining > 0; remaining--) offset = fieldEnd(block, fieldValueStart(block, offset));
  if (offset !== block.length) {
    return shapeError(`Header block has ${block.length - offset} bytes after its last field`);
  }
  return new ProtocolError({ errorCode: ErrorCode.PROTOCOL_ERROR, reason: fault, scope: "stream" });
}

function shapeError(reason: string): ProtocolError {
  return new ProtocolError({ errorCode: ErrorCode.FRAME_SIZE_ERROR, reason, scope: "connection" });
}

function putU16(target: Uint8Array, offset: number, value: number): number {
  target[offset] = value >> 8;
  target[offset + 1] = value;
  return offset + 2;
}

/**
 * Writes the text, and returns the alphabets that all its characters belong to. At the lengths of header fields a loop is
 * faster than the runtimes' string writers, and finds in the same pass what does not fit a byte.
 */
function putLatin1(target: Uint8Array, offset: number, text: string): number {
  let seen = 0;
  let common = ALL_ALPHABETS;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    seen |= code;
    common &= alphabets[code & 0xff]!;
    target[offset + index] = code;
  }
  if (seen > 0xff) throw new EncodeError(`Field text ${JSON.stringify(text.slice(0, 64))} has code points above 0xFF`);
  return common;
}
