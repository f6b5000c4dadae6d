/**
 * The short way for `http_response_chunk`, which carries nearly all bytes of this protocol: written and read as bytes,
 * in the one spelling that our own agent uses. Every other spelling of the same frame is JSON's affair (`frames.ts`).
 *
 *     {"type":"http_response_chunk","request_id":"7f-1","data_b64":"aGVsbG8="}
 */
import { base64Length, decodeBase64InPlace, encodeBase64Into } from "./base64_bytes.ts";
import { FrameError } from "./frames.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const idFrom = encoder.encode('{"type":"http_response_chunk","request_id":"');
const dataFrom = encoder.encode('","data_b64":"');
const end = encoder.encode('"}');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** As `frames.ts` has it. */
const maxIdBytes = 256;
/** Smaller chunks are copied out of the message, which may be a part of a much larger read. */
const minViewBytes = 16 * 1024;

export interface ChunkFrame {
  readonly id: string;
  readonly data: Uint8Array;
}

/** Where messages are put together: the link of an agent copies them anyway, to mask them. */
let scratch = new Uint8Array(128 * 1024);
/** Longer messages get a buffer of their own, so that one of them is not held for ever. */
const maxScratchBytes = 1024 * 1024;

/** The whole message. It is valid until the next call. */
export function encodeChunkFrame(id: string, chunk: Uint8Array): Uint8Array {
  const idBytes = encoder.encode(JSON.stringify(id).slice(1, -1));
  const dataAt = idFrom.length + idBytes.length + dataFrom.length;
  const bytes = allocate(dataAt + base64Length(chunk.length) + end.length);
  bytes.set(idFrom);
  bytes.set(idBytes, idFrom.length);
  bytes.set(dataFrom, dataAt - dataFrom.length);
  bytes.set(end, encodeBase64Into(chunk, bytes, dataAt));
  return bytes;
}

function allocate(length: number): Uint8Array {
  if (length > maxScratchBytes) return new Uint8Array(length);
  if (length > scratch.length) scratch = new Uint8Array(length);
  return scratch.subarray(0, length);
}

/**
 * Reads a message in that spelling, and takes it over: the data may be a part of it. Null for every other message,
 * which is then as it was.
 *
 * @throws {FrameError} where `data_b64` is not base64
 */
export function decodeChunkFrame(message: Uint8Array): ChunkFrame | null {
  if (!matches(message, 0, idFrom)) return null;
  const idEnd = message.indexOf(QUOTE, idFrom.length);
  const idBytes = idEnd - idFrom.length;
  if (idBytes < 1 || idBytes > maxIdBytes || !matches(message, idEnd, dataFrom)) return null;
  const dataAt = idEnd + dataFrom.length;
  const dataEnd = message.length - end.length;
  // Nothing else may stand behind the data, and nothing in the strings be escaped.
  if (message.indexOf(QUOTE, dataAt) !== dataEnd || message.indexOf(BACKSLASH, idFrom.length) >= 0) return null;
  if (!matches(message, dataEnd, end) || (dataEnd - dataAt) % 4 !== 0) return null;
  const id = decoder.decode(message.subarray(idFrom.length, idEnd));
  const data = decodeBase64InPlace(message, dataAt, dataEnd);
  if (data === null) throw new FrameError("`data_b64` is not base64");
  return { id, data: data.length < minViewBytes ? data.slice() : data };
}

function matches(message: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (at + wanted.length > message.length) return false;
  for (let index = 0; index < wanted.length; index++) {
    if (message[at + index] !== wanted[index]) return false;
  }
  return true;
}
