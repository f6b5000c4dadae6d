/**
 * Header blocks, the payload of HEADERS: a u16 count of fields, then for each field a u16 length and the name, a u32
 * length and the value. There is no compression and no state, so that a refused block affects its stream alone.
 *
 * In memory a block is a flat list of strings: name, value, name, value, and so on. Order, repeats and the case of names
 * are kept; values are bytes, as Latin-1 strings (code points up to 0xFF). Pseudo-fields (`:path`) come first.
 */
import { readU16, readU32, TextTable, writeU16, writeU32 } from "../../base/mod.ts";
import { sharedAllocator } from "../../memory/mod.ts";
import { EncodeError, ProtocolError } from "./errors.ts";
import { ALL_ALPHABETS, alphabets, BlockRules } from "./field_rules.ts";
import { ErrorCode, MAX_FIELDS, MAX_HEADER_BLOCK_BYTES } from "./frame_types.ts";

const COUNT_BYTES = 2;
/** The two lengths of a field. */
const FIELD_OVERHEAD_BYTES = 6;
const VALUE_LENGTH_BYTES = 4;

/** Of all blocks: each is encoded or decoded at one go. */
const rules = new BlockRules();
const texts = new TextTable(alphabets);

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
  writeU16(target, offset, fields.length >> 1);
  rules.begin();
  let end = offset + COUNT_BYTES;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    writeU16(target, end, name.length);
    const nameAlphabets = putLatin1(target, end + 2, name);
    const nameEnd = end + 2 + name.length;
    writeU32(target, nameEnd, value.length);
    const valueStart = nameEnd + VALUE_LENGTH_BYTES;
    const valueAlphabets = putLatin1(target, valueStart, value);
    end = valueStart + value.length;
    const fault = rules.faultOf(name, nameAlphabets, value, valueAlphabets);
    if (fault !== null) throw new EncodeError(fault);
  }
  const fault = rules.flagsFault(flags);
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
  rules.begin();
  const fields: string[] = [];
  let offset = COUNT_BYTES;
  for (let index = 0; index < count; index++) {
    const start = offset;
    const valueStart = fieldValueStart(block, start);
    offset = fieldEnd(block, valueStart);
    const name = texts.read(block, start + 2, valueStart - VALUE_LENGTH_BYTES);
    const nameAlphabets = texts.alphabets;
    const value = texts.read(block, valueStart, offset);
    const fault = rules.faultOf(name, nameAlphabets, value, texts.alphabets);
    if (fault !== null) throw refuse(block, offset, count - index - 1, fault);
    fields.push(name, value);
  }
  if (offset !== end) throw shapeError(`Header block has ${end - offset} bytes after its last field`);
  const fault = rules.flagsFault(flags);
  if (fault !== null) throw refuse(block, end, 0, fault);
  return fields;
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
