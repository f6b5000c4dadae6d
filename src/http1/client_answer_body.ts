/**
 * An answer's body as a stream that reads nothing ahead: each socket read goes to the reader at once as one chunk, and
 * while nobody reads the socket is paused.
 */
import { claim, share, spend } from "../net/lease.ts";
import type { BodyDecoder } from "./body_decoder.ts";

/** What feeds an `AnswerBody`: the exchange, and behind it the socket. */
export interface AnswerBodySource {
  /** A reader waits for bytes. */
  onWanted(): void;
  /** The reader has gone. */
  onCanceled(reason: unknown): void;
}

const readNothingAhead = { highWaterMark: 0 };

export class AnswerBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #source: AnswerBodySource;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(source: AnswerBodySource) {
    this.#source = source;
    this.stream = new ReadableStream<Uint8Array>(this, readNothingAhead);
  }

  deliver(chunk: Uint8Array): void {
    claim(chunk);
    this.#controller.enqueue(chunk);
  }

  end(): void {
    this.#controller.close();
  }

  fail(error: unknown): void {
    this.#controller.error(error);
  }

  /** Called by the stream, as are `pull` and `cancel`. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  pull(): void {
    this.#source.onWanted();
  }

  cancel(reason: unknown): void {
    this.#source.onCanceled(reason);
  }
}

/** Moves the body's bytes of one socket read together, over the framing between them, in the read's own buffer. */
class Gatherer {
  #chunk: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;

  readonly take = (slice: Uint8Array): void => {
    const from = slice.byteOffset - this.#chunk.byteOffset;
    if (this.#end === this.#start) this.#start = this.#end = from;
    else if (from !== this.#end) this.#chunk.copyWithin(this.#end, from, from + slice.length);
    this.#end += slice.length;
  };

  begin(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#start = this.#end = 0;
  }

  finish(): Uint8Array {
    return this.#chunk.subarray(this.#start, this.#end);
  }
}

// Decoding a read is synchronous and never nested: one gatherer serves all.
const gatherer = new Gatherer();

export interface DecodedRead {
  /** The body's bytes in this read, as one chunk; it may be empty. */
  readonly body: Uint8Array;
  /** What follows the body, once it is complete; else `null`. */
  readonly rest: Uint8Array | null;
}

/**
 * The body's part of one socket read. A read of many small chunks becomes one: the bytes between them are overwritten
 * in place, as a read's buffer is the receiver's own.
 *
 * @throws {HttpParseError} for broken framing.
 */
export function decodeRead(decoder: BodyDecoder, read: Uint8Array): DecodedRead {
  claim(read);
  gatherer.begin(read);
  const rest = decoder.push(read, gatherer.take);
  const body = gatherer.finish();
  if (rest === null && body.length > 0) {
    // All of the read that is still needed.
    share(read, body);
    spend(read);
  }
  return { body, rest };
}
