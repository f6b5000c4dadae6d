/**
 * The body that comes in on a stream. One whose end has already come is taken whole. Any other is read as its reader
 * pulls, and credit is granted when the reader asks for the next chunk. A body that is not as long as its Content-Length
 * counts as broken off.
 */
import { type BodyOwner, BodySource, ExchangeError } from "../../http/mod.ts";
import { ErrorCode, type Stream } from "../../httpstream/mod.ts";
import { exchangeErrorOf } from "./error_codes.ts";
import { emptyBytes } from "../../memory/mod.ts";

/** The exchange that a body belongs to. */
export interface StreamBodyOwner {
  /** The reader wants no more, for this reason. Called at most once, and not after the end. */
  bodyCanceled(reason: unknown): void;
}

/**
 * All of a body whose end has already come, null where it is empty; undefined where more is to come, which a `StreamBody`
 * must read. To be called once, after the whole message that brought the head was taken in.
 *
 * @param length the Content-Length; null where there is none
 * @throws {ExchangeError} `upstream_invalid` where the body has another length
 */
export function wholeBody(stream: Stream, length: number | null): Uint8Array | null | undefined {
  const whole = stream.readEnded ? emptyBytes : stream.takeWhole();
  if (whole === null) return undefined;
  if (length !== null && length !== whole.length) throw wrongLength(length - whole.length);
  // Trailers need a body before them, which may be empty.
  return whole.length === 0 && stream.trailerFields.length === 0 ? null : whole;
}

export class StreamBody implements BodyOwner {
  readonly #stream: Stream;
  readonly #owner: StreamBodyOwner;
  readonly #source = new BodySource(this);
  /** Bytes given to the reader whose credit is not granted again yet. */
  #uncreditedBytes = 0;
  /** Bytes still to come; null without a Content-Length. */
  #left: number | null;

  /** @param length the Content-Length; null where there is none, as for the raw bytes of an upgrade */
  constructor(stream: Stream, owner: StreamBodyOwner, length: number | null) {
    this.#stream = stream;
    this.#owner = owner;
    this.#left = length;
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  /** The stream has bytes, or its end. */
  onReadable(): void {
    if (this.#source.isWaiting) this.#deliver();
  }

  /** The stream is over. @param error why the body broke off; null after a clean end */
  onClose(error: Error | null): void {
    if (error === null) this.onReadable();
    else this.#source.fail(error);
  }

  /** For the source, as is `onCancel`. */
  onPull(): void {
    this.#credit();
    this.#deliver();
  }

  onCancel(reason: unknown): void {
    // Bytes that count as taken would keep the stream open.
    this.#credit();
    this.#owner.bodyCanceled(reason);
  }

  #credit(): void {
    if (this.#uncreditedBytes === 0) return;
    this.#stream.consume(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  #deliver(): void {
    const stream = this.#stream;
    const chunk = stream.take();
    if (chunk !== null) this.#pass(chunk);
    else if (stream.readEnded) this.#end();
    // The peer reset its direction alone: ours may go on.
    else if (stream.readError !== null) this.#source.fail(exchangeErrorOf(stream.readError));
  }

  #pass(chunk: Uint8Array): void {
    if (this.#left !== null) {
      this.#left -= chunk.length;
      if (this.#left < 0) return this.#refuse(this.#left);
    }
    this.#uncreditedBytes = chunk.length;
    this.#source.push(chunk);
  }

  #end(): void {
    if (this.#left !== null && this.#left > 0) return this.#refuse(this.#left);
    this.#source.end();
  }

  #refuse(left: number): void {
    this.#source.fail(wrongLength(left));
    this.#stream.reset(ErrorCode.PROTOCOL_ERROR);
  }
}

function wrongLength(left: number): ExchangeError {
  const difference = left > 0 ? `${left} bytes short of` : `${-left} bytes longer than`;
  return new ExchangeError("upstream_invalid", `A body came that is ${difference} its Content-Length`);
}
