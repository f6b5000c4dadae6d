/**
 * One message of the link, put together frame by frame. Small frames are gathered in a slab; a DATA payload that is
 * large enough stays where it is, and the message becomes a list of parts for the socket to write one after another.
 */
import { BumpAllocator } from "../../memory/mod.ts";
import { EncodeError } from "./errors.ts";
import {
  Flag,
  FRAME_HEADER_LENGTH,
  FrameType,
  frameTypeName,
  MAX_COUNT,
  MAX_DATA,
  MAX_HEADER_BLOCK,
  MAX_MESSAGE,
  MAX_REASON,
  MAX_SETTINGS,
  MAX_U31,
} from "./frame_types.ts";
import { headerBlockLength, writeHeaderBlock } from "./header_block.ts";

/** Payloads from this size on are referenced: below it, a copy costs less than one more part. */
const REFERENCE_FROM = 4_096;

const HEADER_FLAGS = Flag.END_STREAM | Flag.INFORMATIONAL | Flag.TRAILERS;

/**
 * Collects whole frames until `take()`. One builder serves a connection for its life; the bytes of what was taken are
 * never written again, so that they may wait in a socket or be kept for a resume.
 *
 * Every method throws `EncodeError` for a frame that a peer would refuse or that does not fit into the message any
 * more (ask `fits` first); the message is then as it was before.
 */
export class MessageBuilder {
  readonly #limit: number;
  readonly #allocator = new BumpAllocator();
  /** The allocator's block, and where the next byte goes in it. */
  #block: Uint8Array = this.#allocator.block;
  #position = 0;
  /** Where the bytes of the block begin that no part covers yet. */
  #runStart = 0;
  #parts: Uint8Array[] = [];
  #byteLength = 0;

  /** @param limit bytes of one message, at most and by default 262,144. */
  constructor(limit: number = MAX_MESSAGE) {
    if (!(limit >= FRAME_HEADER_LENGTH && limit <= MAX_MESSAGE)) {
      throw new EncodeError(`Message limit ${limit} is not between ${FRAME_HEADER_LENGTH} and ${MAX_MESSAGE}`);
    }
    this.#limit = limit;
  }

  /** Bytes of the frames that `take()` would return. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Whether one more frame with a payload of so many bytes keeps the message within its limit. */
  fits(payloadLength: number): boolean {
    return this.#byteLength + FRAME_HEADER_LENGTH + payloadLength <= this.#limit;
  }

  /** The message, in parts that only make sense together, and a fresh start; an empty list if there was no frame. */
  take(): Uint8Array[] {
    this.#closeRun();
    const parts = this.#parts;
    this.#parts = [];
    this.#byteLength = 0;
    return parts;
  }

  /**
   * @param payload 1 to 65,536 bytes, 0 only with `endStream`; not to be changed by the caller any more.
   * @returns false where it was copied.
   */
  data(streamId: number, payload: Uint8Array, endStream: boolean): boolean {
    const length = payload.length;
    if (length > MAX_DATA) throw new EncodeError(`DATA of ${length} bytes exceeds ${MAX_DATA}`);
    if (length === 0 && !endStream) throw new EncodeError("DATA without bytes and without END_STREAM");
    const referenced = length >= REFERENCE_FROM;
    this.#begin(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, length, referenced ? 0 : length);
    if (referenced) {
      this.#closeRun();
      this.#parts.push(payload);
    } else this.#put(payload);
    return referenced;
  }

  /**
   * @param fields flat row of names and values; see `writeHeaderBlock`. With `flags`, they are checked against those.
   * @param flags any of END_STREAM, TRAILERS (with END_STREAM), INFORMATIONAL (alone).
   */
  headers(streamId: number, fields: readonly string[], flags: number): void {
    checkHeaderFlags(flags);
    const length = headerBlockLength(fields);
    const before = this.#begin(FrameType.HEADERS, flags, streamId, length, length);
    try {
      this.#position = writeHeaderBlock(this.#block, this.#position, fields, flags);
    } catch (error) {
      this.#position = before;
      this.#byteLength -= FRAME_HEADER_LENGTH + length;
      throw error;
    }
  }

  /** HEADERS whose block was encoded before, by `encodeHeaderBlock`; it is not checked again. */
  headerBlock(streamId: number, block: Uint8Array, flags: number): void {
    checkHeaderFlags(flags);
    if (block.length > MAX_HEADER_BLOCK) {
      throw new EncodeError(`Header block of ${block.length} bytes exceeds ${MAX_HEADER_BLOCK}`);
    }
    this.#begin(FrameType.HEADERS, flags, streamId, block.length, block.length);
    this.#put(block);
  }

  /** @param half only our sending direction ends: the answer to STOP_SENDING, or unasked. */
  rstStream(streamId: number, errorCode: number, half = false): void {
    this.#begin(FrameType.RST_STREAM, half ? Flag.HALF : 0, streamId, 4);
    this.#putU32(errorCode);
  }

  /** @param pairs id, value, id, value, and so on; at most 64 pairs. */
  settings(pairs: readonly number[]): void {
    const count = pairs.length / 2;
    if (!(Number.isInteger(count) && count <= MAX_SETTINGS)) {
      throw new EncodeError(`SETTINGS of ${count} pairs is no whole number up to ${MAX_SETTINGS}`);
    }
    this.#begin(FrameType.SETTINGS, 0, 0, count * 6);
    for (let index = 0; index < pairs.length; index += 2) {
      this.#putU16(pairs[index]!);
      this.#putU32(pairs[index + 1]!);
    }
  }

  stopSending(streamId: number, errorCode: number): void {
    this.#begin(FrameType.STOP_SENDING, 0, streamId, 4);
    this.#putU32(errorCode);
  }

  /** @param reason for a person; cut after 1,024 bytes of UTF-8. */
  goAway(lastStreamId: number, errorCode: number, reason = ""): void {
    const text = new Uint8Array(MAX_REASON);
    // encodeInto stops before a character that does not fit, so that the cut never leaves half of one.
    const { written } = new TextEncoder().encodeInto(reason, text);
    this.#begin(FrameType.GOAWAY, 0, 0, 8 + written);
    this.#putU32(lastStreamId);
    this.#putU32(errorCode);
    this.#put(text.subarray(0, written));
  }

  /** @param increment bytes, 1 to 2^31-1. */
  windowUpdate(streamId: number, increment: number): void {
    if (!(increment >= 1 && increment <= MAX_U31)) {
      throw new EncodeError(`WINDOW_UPDATE of ${increment} is not between 1 and ${MAX_U31}`);
    }
    this.#begin(FrameType.WINDOW_UPDATE, 0, streamId, 4);
    this.#putU32(increment);
  }

  /** @param payload 8 bytes. */
  ping(payload: Uint8Array, ack: boolean): void {
    if (payload.length !== 8) throw new EncodeError(`PING of ${payload.length} bytes instead of 8`);
    this.#begin(FrameType.PING, ack ? Flag.PING_ACK : 0, 0, 8);
    this.#put(payload);
  }

  /** @param count counted frames taken from the peer since the session began, 0 to 2^48-1. */
  ack(count: number): void {
    if (!(count >= 0 && count <= MAX_COUNT)) throw new EncodeError(`ACK of ${count} is not between 0 and ${MAX_COUNT}`);
    this.#begin(FrameType.ACK, 0, 0, 6);
    this.#putU16(Math.floor(count / 0x1_0000_0000));
    this.#putU32(count % 0x1_0000_0000);
  }

  /**
   * Writes a frame's header and makes room in the slab for what follows it there.
   *
   * @returns the position before the header, to go back to.
   */
  #begin(type: FrameType, flags: number, streamId: number, length: number, gathered = length): number {
    const connection = type >= FrameType.PING || type === FrameType.SETTINGS || type === FrameType.GOAWAY;
    if (connection ? streamId !== 0 : !(streamId > 0 && streamId <= MAX_U31)) {
      throw new EncodeError(`${frameTypeName(type)} cannot be on stream ${streamId}`);
    }
    if (!this.fits(length)) {
      throw new EncodeError(
        `${frameTypeName(type)} of ${length} bytes does not fit beside ${this.#byteLength} of ${this.#limit}`,
      );
    }
    this.#reserve(FRAME_HEADER_LENGTH + gathered);
    this.#byteLength += FRAME_HEADER_LENGTH + length;
    const block = this.#block;
    const before = this.#position;
    block[before] = length >>> 16;
    block[before + 1] = length >>> 8;
    block[before + 2] = length;
    block[before + 3] = type;
    block[before + 4] = flags;
    this.#position = before + 5;
    this.#putU32(streamId);
    return before;
  }

  #reserve(length: number): void {
    if (this.#block.length - this.#position >= length) return;
    this.#closeRun();
    this.#allocator.position = this.#position;
    this.#allocator.ensure(length);
    this.#block = this.#allocator.block;
    this.#position = this.#runStart = this.#allocator.position;
  }

  /** Makes a part of what was gathered since the last one. */
  #closeRun(): void {
    if (this.#position === this.#runStart) return;
    this.#parts.push(this.#block.subarray(this.#runStart, this.#position));
    this.#runStart = this.#position;
  }

  #put(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  #putU16(value: number): void {
    this.#block[this.#position++] = value >>> 8;
    this.#block[this.#position++] = value;
  }

  #putU32(value: number): void {
    const block = this.#block;
    const at = this.#position;
    block[at] = value >>> 24;
    block[at + 1] = value >>> 16;
    block[at + 2] = value >>> 8;
    block[at + 3] = value;
    this.#position = at + 4;
  }
}

function checkHeaderFlags(flags: number): void {
  const trailersOpen = (flags & Flag.TRAILERS) !== 0 && (flags & Flag.END_STREAM) === 0;
  const informationalMore = (flags & Flag.INFORMATIONAL) !== 0 && flags !== Flag.INFORMATIONAL;
  if ((flags & ~HEADER_FLAGS) !== 0 || trailersOpen || informationalMore) {
    throw new EncodeError(`HEADERS cannot have flags 0x${flags.toString(16).padStart(2, "0")}`);
  }
}
