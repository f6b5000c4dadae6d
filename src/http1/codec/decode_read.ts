/** Decodes one socket read: its content, without the framing, becomes one chunk. */
import { work } from "../../base/mod.ts";
import { emptyBytes, release, share } from "../../memory/mod.ts";
import type { BodyDecoder } from "./body_decoder.ts";

/** Moves the pieces of content in one read together, over the framing between them, in the read's own buffer. */
class Gatherer {
  #chunk: Uint8Array = emptyBytes;
  #start = 0;
  #end = 0;

  readonly take = (piece: Uint8Array): void => {
    const from = piece.byteOffset - this.#chunk.byteOffset;
    if (this.#end === this.#start) this.#start = this.#end = from;
    else if (from !== this.#end) this.#chunk.copyWithin(this.#end, from, from + piece.length);
    this.#end += piece.length;
  };

  begin(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#start = this.#end = 0;
  }

  finish(): Uint8Array {
    const chunk = this.#chunk;
    const isAll = this.#start === 0 && this.#end === chunk.length;
    return isAll ? chunk : chunk.subarray(this.#start, this.#end);
  }
}

// One gatherer is enough, because decoding is synchronous and never nested.
const gatherer = new Gatherer();

export interface DecodedRead {
  /** The content in this read, as one chunk; it may be empty. */
  readonly content: Uint8Array;
  /** The bytes behind the body, where it is complete; else null. */
  readonly rest: Uint8Array | null;
}

/**
 * Decodes one socket read. The caller must own its buffer, in which the framing is overwritten: so a body of tiny
 * chunks becomes one chunk a read. The reference of `read` passes to the result (src/memory).
 *
 * @throws {HttpParseError} for malformed framing
 */
export function decodeRead(decoder: BodyDecoder, read: Uint8Array): DecodedRead {
  gatherer.begin(read);
  const rest = decoder.push(read, gatherer.take);
  const content = gatherer.finish();
  work.units += read.length - content.length - (rest === null ? 0 : rest.length);
  if (content === read || rest === read) return { content, rest };
  if (content.length > 0) share(read, content);
  if (rest !== null && rest.length > 0) share(read, rest);
  release(read);
  return { content, rest };
}
