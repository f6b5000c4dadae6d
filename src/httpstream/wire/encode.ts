/**
 * Builds one message of the link, frame by frame. Small frames are gathered in a block; a large DATA payload is not
 * copied. So the message is a list of parts, which the socket writes one after another.
 */
import { writeU16, writeU32 } from "../../base/mod.ts";
import { emptyBytes, sharedAllocator } from "../../memory/mod.ts";
import { EncodeError } from "./errors.ts";
import {
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  frameTypeName,
  MAX_COUNT,
  MAX_DATA_BYTES,
  MAX_HEADER_BLOCK_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_REASON_BYTES,
  MAX_SETTINGS,
  MAX_U31,
} from "./frame_types.ts";
import { headerBlockLength, writeHeaderBlock } from "./header_block.ts";

/** Payloads from this size on are not copied. Below it, a copy costs less than one more part. */
const UNCOPIED_BYTES = 4_096;

const HEADER_FLAGS = Flag.END_STREAM | Flag.INFORMATIONAL | Flag.TRAILERS;

/**
 * Gathers whole frames until `take()`. One builder serves a connection for its life. The bytes of a message that was
 * taken are never written again, so that it may wait in a socket.
 *
 * Every method throws `EncodeError` for a frame that a peer would refuse, or that does not fit into the message any
 * more (ask `fits` first). The message is then as it was before.
 */
export class MessageBuilder {
  readonly #limit: number;
  /** A block that the allocator lends while frames are gathered, and where its free part begins. */
  #block: Uint8Array = emptyBytes;
  #position = 0;
  /** Where the bytes begin that were gathered since the last part. */
  #partStart = 0;
  #parts: Uint8Array[] = [];
  #byteLength = 0;

  /** @param limit bytes of one message, at most and by default 262,144. */
  constructor(limit: number = MAX_MESSAGE_BYTES) {
    if (!(limit >= FRAME_HEADER_BYTES && limit <= MAX_MESSAGE_BYTES)) {
      throw new EncodeError(`Message limit ${limit} is not between ${FRAME_HEADER_BYTES} and ${MAX_MESSAGE_BYTES}`);
    }
    this.#limit = limit;
  }

  /** Bytes of the frames that `take()` would return. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Whether the message can take one more frame with a payload of so many bytes. */
  fits(payloadLength: number): boolean {
    return this.#byteLength + FRAME_HEADER_BYTES + payloadLength <= this.#limit;
  }

  /** The message in parts; an empty list where there is no frame. The builder is empty afterwards. */
  take(): Uint8Array[] {
    this.#closePart();
    sharedAllocator.giveBack(this.#block, this.#position);
    this.#block = emptyBytes;
    this.#position = this.#partStart = 0;
    const parts = this.#parts;
    this.#parts = [];
    this.#byteLength = 0;
    return parts;
  }

  /**
   * @param payload 1 to 65,536 bytes, 0 only with `endStream`. The caller must not change it any more.
   * @returns false where it was copied; true where it is a part of the message, which has its reference (src/memory).
   */
  data(streamId: number, payload: Uint8Array, endStream: boolean): boolean {
    const length = payload.length;
    if (length > MAX_DATA_BYTES) throw new EncodeError(`DATA of ${length} bytes exceeds ${MAX_DATA_BYTES}`);
    if (length === 0 && !endStream) throw new EncodeError("DATA without bytes and without END_STREAM");
    const isPart = length >= UNCOPIED_BYTES;
    this.#begin(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, length, isPart ? 0 : length);
    if (isPart) {
      this.#closePart();
      this.#parts.push(payload);
    } else this.#put(payload);
    return isPart;
  }

  /**
   * @param fields names and values, alternating; see `writeHeaderBlock`. They are checked against `flags`, too.
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
      this.#byteLength -= FRAME_HEADER_BYTES + length;
      throw error;
    }
  }

  /** HEADERS with a block of `encodeHeaderBlock`, which is not checked again. */
  headerBlock(streamId: number, block: Uint8Array, flags: number): void {
    checkHeaderFlags(flags);
    if (block.length > MAX_HEADER_BLOCK_BYTES) {
      throw new EncodeError(`Header block of ${block.length} bytes exceeds ${MAX_HEADER_BLOCK_BYTES}`);
    }
    this.#begin(FrameType.HEADERS, flags, streamId, block.length, block.length);
    this.#put(block);
  }

  /** @param half true: only this side's direction ends, as in the answer to STOP_SENDING. Default false. */
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
    const text = new Uint8Array(MAX_REASON_BYTES);
    // encodeInto stops before a character that does not fit: no character is cut in half.
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

  /** @param count counted frames received from the peer since the session began, 0 to 2^48-1. */
  ack(count: number): void {
    if (!(count >= 0 && count <= MAX_COUNT)) throw new EncodeError(`ACK of ${count} is not between 0 and ${MAX_COUNT}`);
    this.#begin(FrameType.ACK, 0, 0, 6);
    this.#putU16(Math.floor(count / 0x1_0000_0000));
    this.#putU32(count % 0x1_0000_0000);
  }

  /**
   * Writes a frame's header, and makes sure that the payload fits into the block behind it.
   *
   * @param gathered bytes of the payload that go into the block. Default: all.
   * @returns the position before the header.
   */
  #begin(type: FrameType, flags: number, streamId: number, length: number, gathered = length): number {
    const isOnConnection = type >= FrameType.PING || type === FrameType.SETTINGS || type === FrameType.GOAWAY;
    if (isOnConnection ? streamId !== 0 : !(streamId > 0 && streamId <= MAX_U31)) {
      throw new EncodeError(`${frameTypeName(type)} cannot be on stream ${streamId}`);
    }
    if (!this.fits(length)) {
      throw new EncodeError(
        `${frameTypeName(type)} of ${length} bytes does not fit beside ${this.#byteLength} of ${this.#limit}`,
      );
    }
    this.#reserve(FRAME_HEADER_BYTES + gathered);
    this.#byteLength += FRAME_HEADER_BYTES + length;
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
    this.#closePart();
    this.#block = sharedAllocator.lend(length);
    this.#position = this.#partStart = sharedAllocator.position;
  }

  /** Makes a part of what was gathered since the last part. */
  #closePart(): void {
    if (this.#position === this.#partStart) return;
    this.#parts.push(this.#block.subarray(this.#partStart, this.#position));
    this.#partStart = this.#position;
  }

  #put(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  #putU16(value: number): void {
    writeU16(this.#block, this.#position, value);
    this.#position += 2;
  }

  #putU32(value: number): void {
    writeU32(this.#block, this.#position, value);
    this.#position += 4;
  }
}

function checkHeaderFlags(flags: number): void {
  const hasOpenTrailers = (flags & Flag.TRAILERS) !== 0 && (flags & Flag.END_STREAM) === 0;
  const hasMoreThanInformational = (flags & Flag.INFORMATIONAL) !== 0 && flags !== Flag.INFORMATIONAL;
  if ((flags & ~HEADER_FLAGS) !== 0 || hasOpenTrailers || hasMoreThanInformational) {
    throw new EncodeError(`HEADERS cannot have flags 0x${flags.toString(16).padStart(2, "0")}`);
  }
}
