/**
 * The fast path of `http_response_chunk`, the frame that carries nearly all bytes of this protocol. It is written and read
 * as bytes, in the one spelling that our own agent uses. Any other spelling of the same frame is parsed as JSON
 * (`frames.ts`).
 *
 *     {"type":"http_response_chunk","request_id":"7f-1","data_b64":"aGVsbG8="}
 */
import { slice } from "../../memory/mod.ts";
import { base64Length, decodeBase64InPlace, encodeBase64Into, NOT_BASE64 } from "./base64.ts";
import { FrameError, MAX_REQUEST_ID_LENGTH, TypeHTTPResponseChunk } from "./frames.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const beforeId = encoder.encode('{"type":"http_response_chunk","request_id":"');
const beforeData = encoder.encode('","data_b64":"');
const end = encoder.encode('"}');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Shorter data is copied out of the message, which may be a part of a much larger read. */
const LEAST_VIEW_BYTES = 16 * 1024;

export interface ChunkFrame {
  readonly id: string;
  /** Has a reference of its own where the message has one (src/memory). */
  readonly data: Uint8Array;
}

/** Where messages are written. An agent's link copies them anyway, to mask them. */
let scratch = new Uint8Array(128 * 1024);
/** Longer messages get a buffer of their own, so that `scratch` does not keep the size of the longest one. */
const MAX_SCRATCH_BYTES = 1024 * 1024;

/** The whole message. It is valid until the next call. */
export function encodeChunkFrame(id: string, chunk: Uint8Array): Uint8Array {
  const idBytes = encoder.encode(JSON.stringify(id).slice(1, -1));
  const dataAt = beforeId.length + idBytes.length + beforeData.length;
  const bytes = allocate(dataAt + base64Length(chunk.length) + end.length);
  bytes.set(beforeId);
  bytes.set(idBytes, beforeId.length);
  bytes.set(beforeData, dataAt - beforeData.length);
  bytes.set(end, encodeBase64Into(chunk, bytes, dataAt));
  return bytes;
}

function allocate(length: number): Uint8Array {
  if (length > MAX_SCRATCH_BYTES) return new Uint8Array(length);
  if (length > scratch.length) scratch = new Uint8Array(length);
  return scratch.subarray(0, length);
}

/**
 * Reads a message in that spelling. It is decoded in place, so that nothing but the data may be used afterwards. Null for
 * any other message, which is left as it was.
 *
 * @throws {FrameError} where `data_b64` is not base64
 */
export function decodeChunkFrame(message: Uint8Array): ChunkFrame | null {
  if (!matches(message, 0, beforeId)) return null;
  const idEnd = message.indexOf(QUOTE, beforeId.length);
  const idLength = idEnd - beforeId.length;
  if (idLength < 1 || idLength > MAX_REQUEST_ID_LENGTH || !matches(message, idEnd, beforeData)) return null;
  const dataAt = idEnd + beforeData.length;
  const dataEnd = message.length - end.length;
  // The data must be the last string, and neither string may hold an escape.
  if (message.indexOf(QUOTE, dataAt) !== dataEnd || message.indexOf(BACKSLASH, beforeId.length) >= 0) return null;
  if (!matches(message, dataEnd, end) || (dataEnd - dataAt) % 4 !== 0) return null;
  const id = decoder.decode(message.subarray(beforeId.length, idEnd));
  const decodedEnd = decodeBase64InPlace(message, dataAt, dataEnd);
  if (decodedEnd < 0) throw FrameError.of({ type: TypeHTTPResponseChunk, key: "data_b64", requestId: id }, NOT_BASE64);
  const isShort = decodedEnd - dataAt < LEAST_VIEW_BYTES;
  return { id, data: isShort ? message.slice(dataAt, decodedEnd) : slice(message, dataAt, decodedEnd) };
}

function matches(message: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at + wanted.length > message.length) return false;
  for (let index = 0; index < wanted.length; index++) {
    if (message[at + index] !== wanted[index]) return false;
  }
  return true;
}
