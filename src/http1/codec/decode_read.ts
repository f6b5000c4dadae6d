/** Decodes one socket read: its content, without the framing, becomes one chunk. */
import { work } from "../../base/mod.ts";
import { emptyBytes, release, share, tightened } from "../../memory/mod.ts";
import type { BodyDecoder, PieceTaker } from "./body_decoder.ts";

/** Up to here a loop over the bytes is faster than `copyWithin()`. */
const LOOP_BYTES = 32;

/** Moves the pieces of content in one read together, over the framing between them, in the read's own buffer. */
class Gatherer implements PieceTaker {
  #start = 0;
  #end = 0;

  begin(): void {
    this.#start = this.#end = 0;
  }

  take(read: Uint8Array, start: number, end: number): void {
    const at = this.#end;
    if (at === this.#start) this.#start = start;
    else if (start !== at) {
      const length = end - start;
      if (length > LOOP_BYTES) read.copyWithin(at, start, end);
      else for (let i = 0; i < length; i++) read[at + i] = read[start + i];
      this.#end = at + length;
      return;
    }
    this.#end = end;
  }

  contentOf(read: Uint8Array): Uint8Array {
    if (this.#start === this.#end) return emptyBytes;
    return this.#start === 0 && this.#end === read.length ? read : read.subarray(this.#start, this.#end);
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
 * chunks becomes one chunk a read. Content that is less than half of the read is copied out of it, since it may wait for
 * long. The reference of `read` passes to the result (src/memory).
 *
 * @throws {HttpParseError} for malformed framing
 */
export function decodeRead(decoder: BodyDecoder, read: Uint8Array): DecodedRead {
  gatherer.begin();
  const rest = decoder.pushPieces(read, gatherer);
  const content = gatherer.contentOf(read);
  work.units += read.length - content.length - (rest === null ? 0 : rest.length);
  if (content === read || rest === read) return { content, rest };
  if (content.length > 0) share(read, content);
  if (rest !== null && rest.length > 0) share(read, rest);
  release(read);
  return { content: tightened(content), rest };
}
