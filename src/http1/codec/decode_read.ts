/** The content of one socket read, without its framing, as one chunk. */
import { release, share } from "../../memory/mod.ts";
import type { BodyDecoder } from "./body_decoder.ts";

/** Moves the runs of content of one read together, over the framing between them, in the read's own buffer. */
class Gatherer {
  #chunk: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;

  readonly take = (run: Uint8Array): void => {
    const from = run.byteOffset - this.#chunk.byteOffset;
    if (this.#end === this.#start) this.#start = this.#end = from;
    else if (from !== this.#end) this.#chunk.copyWithin(this.#end, from, from + run.length);
    this.#end += run.length;
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

// Decoding a read is synchronous and never nested: one gatherer serves all.
const gatherer = new Gatherer();

export interface DecodedRead {
  /** The content in this read, as one chunk; it may be empty. */
  readonly content: Uint8Array;
  /** What follows the body, once that is complete; else null. */
  readonly rest: Uint8Array | null;
}

/**
 * Decodes one socket read, whose buffer must be the caller's own: the framing between chunks is overwritten. A body of
 * tiny chunks so becomes one chunk a read. The reference of `read` passes to what is returned (src/memory).
 *
 * @throws {HttpParseError} for broken framing
 */
export function decodeRead(decoder: BodyDecoder, read: Uint8Array): DecodedRead {
  gatherer.begin(read);
  const rest = decoder.push(read, gatherer.take);
  const content = gatherer.finish();
  if (content === read || rest === read) return { content, rest };
  if (content.length > 0) share(read, content);
  if (rest !== null && rest.length > 0) share(read, rest);
  release(read);
  return { content, rest };
}
