/**
 * Reads one message of the link, frame by frame. It checks what a frame's own bytes can prove. What depends on the state
 * of a stream or of the connection is checked in incoming.ts.
 */
import { readU32, work } from "../../base/mod.ts";
import { ProtocolError } from "./errors.ts";
import {
  ErrorCode,
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  frameTypeName,
  isCounted,
  MAX_DATA_BYTES,
  MAX_HEADER_BLOCK_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_REASON_BYTES,
  MAX_SETTINGS,
  MAX_U31,
  SettingId,
} from "./frame_types.ts";

/**
 * Is given the frames of a message, in order. Each is checked before its method is called. Byte arrays are views of the
 * message: a visitor that stores one retains it (src/memory), and with it the whole message.
 */
export interface FrameVisitor {
  /** Called before the method of each counted frame, once that is known to be well formed. */
  counted(payloadLength: number): void;
  data(streamId: number, payload: Uint8Array, endStream: boolean): void;
  /** @param flags see `Flag`; their combination is valid. The block is not decoded yet: `decodeHeaderBlock`. */
  headers(streamId: number, block: Uint8Array, flags: number): void;
  /** @param half true: only the peer's direction ends. */
  rstStream(streamId: number, errorCode: number, half: boolean): void;
  /** @param pairs id, value, id, value, and so on. Ids may be unknown, and may repeat: the last one counts. */
  settings(pairs: readonly number[]): void;
  stopSending(streamId: number, errorCode: number): void;
  goAway(lastStreamId: number, errorCode: number, reason: string): void;
  /** @param increment bytes, 1 to 2^31-1. */
  windowUpdate(streamId: number, increment: number): void;
  /** @param payload the 8 bytes, which the answer repeats. */
  ping(payload: Uint8Array, ack: boolean): void;
  /** @param count counted frames that the peer has received since the session began. */
  ack(count: number): void;
  /** A type that this version does not know. Its frame is ignored; it is counted where its type has no bit 0x80. */
  unknown(type: number, streamId: number): void;
}

/** What a frame costs, whatever its length (src/net/turns.ts). */
const UNITS_PER_FRAME = 4;

/**
 * Visits the frames of one whole message, synchronously and without copying a payload. A false length field allocates
 * nothing. An error thrown by the visitor passes through, and later frames are not visited.
 *
 * @throws {ProtocolError} of scope `connection`: a message that is empty, too large or not made of whole frames, or a
 *   frame that breaks a rule of its type (RFC 9113 §4.2, §6). Frames before the bad one were already visited.
 */
export function decodeMessage(message: Uint8Array, visitor: FrameVisitor): void {
  const end = message.length;
  if (end > MAX_MESSAGE_BYTES) throw sizeError(`Message of ${end} bytes exceeds ${MAX_MESSAGE_BYTES}`);
  if (end === 0) throw sizeError("Message holds no frame");
  let offset = 0;
  while (offset < end) {
    if (end - offset < FRAME_HEADER_BYTES) {
      throw sizeError(`Message ends after ${end - offset} bytes of a frame header`);
    }
    const length = message[offset]! << 16 | message[offset + 1]! << 8 | message[offset + 2]!;
    const start = offset + FRAME_HEADER_BYTES;
    offset = start + length;
    if (offset > end) throw sizeError(`Frame of ${length} bytes has only ${end - start} in its message`);
    work.units += UNITS_PER_FRAME;
    visitFrame(message, start, length, visitor);
  }
}

/** Checks and visits the frame whose payload begins at `start`, right behind its header. */
function visitFrame(message: Uint8Array, start: number, length: number, visitor: FrameVisitor): void {
  const type = message[start - 6]!;
  const flags = message[start - 5]!;
  const streamId = readU32(message, start - 4) & MAX_U31;
  switch (type) {
    case FrameType.DATA: {
      checkStream(type, streamId);
      const endStream = (flags & Flag.END_STREAM) !== 0;
      if (length > MAX_DATA_BYTES) throw sizeError(`DATA of ${length} bytes exceeds ${MAX_DATA_BYTES}`, streamId);
      if (length === 0 && !endStream) throw sizeError("DATA without bytes and without END_STREAM", streamId);
      visitor.counted(length);
      return visitor.data(streamId, message.subarray(start, start + length), endStream);
    }
    case FrameType.HEADERS:
      checkHeaders(streamId, length, flags);
      visitor.counted(length);
      return visitor.headers(streamId, message.subarray(start, start + length), flags);
    case FrameType.WINDOW_UPDATE: {
      checkFixed(type, streamId, length, 4);
      const increment = readU32(message, start);
      if (increment === 0) throw frameError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0 bytes", streamId);
      if (increment > MAX_U31) {
        throw frameError(ErrorCode.FLOW_CONTROL_ERROR, `WINDOW_UPDATE of ${increment} bytes`, streamId);
      }
      visitor.counted(length);
      return visitor.windowUpdate(streamId, increment);
    }
    case FrameType.RST_STREAM:
      checkFixed(type, streamId, length, 4);
      visitor.counted(length);
      return visitor.rstStream(streamId, readU32(message, start), (flags & Flag.HALF) !== 0);
    case FrameType.STOP_SENDING:
      checkFixed(type, streamId, length, 4);
      visitor.counted(length);
      return visitor.stopSending(streamId, readU32(message, start));
    default:
      return visitConnectionFrame(message, start, length, visitor, type, flags, streamId);
  }
}

/** The types that concern the connection, and unknown ones. */
function visitConnectionFrame(
  message: Uint8Array,
  start: number,
  length: number,
  visitor: FrameVisitor,
  type: number,
  flags: number,
  streamId: number,
): void {
  switch (type) {
    case FrameType.ACK:
      checkConnection(type, streamId, length, 6);
      return visitor.ack((message[start]! << 8 | message[start + 1]!) * 0x1_0000_0000 + readU32(message, start + 2));
    case FrameType.PING:
      checkConnection(type, streamId, length, 8);
      return visitor.ping(message.subarray(start, start + length), (flags & Flag.PING_ACK) !== 0);
    case FrameType.SETTINGS: {
      const pairs = readSettings(message, start, length, streamId);
      visitor.counted(length);
      return visitor.settings(pairs);
    }
    case FrameType.GOAWAY: {
      checkConnection(type, streamId);
      if (length < 8) throw sizeError(`GOAWAY of ${length} bytes instead of at least 8`);
      const reason = message.subarray(start + 8, start + Math.min(length, 8 + MAX_REASON_BYTES));
      visitor.counted(length);
      return visitor.goAway(
        readU32(message, start) & MAX_U31,
        readU32(message, start + 4),
        reason.length === 0 ? "" : new TextDecoder().decode(reason),
      );
    }
    default:
      if (isCounted(type)) visitor.counted(length);
      return visitor.unknown(type, streamId);
  }
}

function checkHeaders(streamId: number, length: number, flags: number): void {
  checkStream(FrameType.HEADERS, streamId);
  if (length > MAX_HEADER_BLOCK_BYTES) {
    throw sizeError(`Header block of ${length} bytes exceeds ${MAX_HEADER_BLOCK_BYTES}`, streamId);
  }
  const kind = flags & (Flag.END_STREAM | Flag.INFORMATIONAL | Flag.TRAILERS);
  if ((kind & Flag.TRAILERS) !== 0 && (kind & Flag.END_STREAM) === 0) {
    throw frameError(ErrorCode.PROTOCOL_ERROR, "HEADERS with TRAILERS but without END_STREAM", streamId);
  }
  if ((kind & Flag.INFORMATIONAL) !== 0 && kind !== Flag.INFORMATIONAL) {
    throw frameError(ErrorCode.PROTOCOL_ERROR, "HEADERS with INFORMATIONAL and END_STREAM", streamId);
  }
}

function readSettings(message: Uint8Array, start: number, length: number, streamId: number): number[] {
  checkConnection(FrameType.SETTINGS, streamId);
  if (length % 6 !== 0) throw sizeError(`SETTINGS of ${length} bytes is no row of pairs of 6`);
  if (length > MAX_SETTINGS * 6) throw sizeError(`SETTINGS of ${length / 6} pairs exceeds ${MAX_SETTINGS}`);
  const pairs: number[] = [];
  for (let offset = start; offset < start + length; offset += 6) {
    const id = message[offset]! << 8 | message[offset + 1]!;
    const value = readU32(message, offset + 2);
    if (id === SettingId.INITIAL_WINDOW && value > MAX_U31) {
      throw frameError(ErrorCode.FLOW_CONTROL_ERROR, `Initial window of ${value} bytes exceeds ${MAX_U31}`);
    }
    pairs.push(id, value);
  }
  return pairs;
}

/** Big endian, as a number from 0 to 2^32-1. */
function checkStream(type: number, streamId: number): void {
  if (streamId === 0) throw frameError(ErrorCode.PROTOCOL_ERROR, `${frameTypeName(type)} on stream 0`);
}

function checkFixed(type: number, streamId: number, length: number, expected: number): void {
  checkStream(type, streamId);
  if (length !== expected) {
    throw sizeError(`${frameTypeName(type)} of ${length} bytes instead of ${expected}`, streamId);
  }
}

function checkConnection(type: number, streamId: number, length?: number, expected?: number): void {
  if (streamId !== 0) {
    throw frameError(ErrorCode.PROTOCOL_ERROR, `${frameTypeName(type)} on stream ${streamId}`, streamId);
  }
  if (length !== expected) throw sizeError(`${frameTypeName(type)} of ${length} bytes instead of ${expected}`);
}

function sizeError(reason: string, streamId?: number): ProtocolError {
  return frameError(ErrorCode.FRAME_SIZE_ERROR, reason, streamId);
}

function frameError(errorCode: number, reason: string, streamId?: number): ProtocolError {
  return new ProtocolError({ errorCode, reason, scope: "connection", streamId });
}
