/**
 * The body that comes in on a stream. Where its end is already here it is taken whole; else it is read as it is pulled,
 * and credit goes back when the reader comes for more. A body that is not as long as its Content-Length broke off.
 */
import { type BodyOwner, BodySource, ExchangeError } from "../../http/mod.ts";
import { ErrorCode, type Stream } from "../../httpstream/mod.ts";
import { exchangeErrorOf } from "./error_codes.ts";

/** Whose body it is. */
export interface StreamBodyOwner {
  /** The reader wants no more. Called at most once, and not after the end. */
  bodyCanceled(): void;
}

const empty = new Uint8Array(0);

/**
 * All of a body whose end is here already; undefined where more is to come, and a `StreamBody` must read it. To be
 * called once, when the whole message that brought the head was taken in.
 *
 * @param length the Content-Length; null where the body may have any
 * @throws {ExchangeError} where the body is not as long
 */
export function wholeBody(stream: Stream, length: number | null): Uint8Array | null | undefined {
  const whole = stream.readEnded ? empty : stream.takeWhole();
  if (whole === null) return undefined;
  if (length !== null && length !== whole.length) throw wrongLength(length - whole.length);
  // Trailers need a body to follow, even an empty one.
  return whole.length === 0 && stream.trailerFields.length === 0 ? null : whole;
}

export class StreamBody implements BodyOwner {
  readonly #stream: Stream;
  readonly #owner: StreamBodyOwner;
  readonly #source = new BodySource(this);
  /** Bytes given to the reader, whose credit goes back when it comes for more. */
  #owed = 0;
  /** Bytes still to come; null where no length was announced. */
  #left: number | null;

  /** @param length the Content-Length; null where the body may have any, as the raw bytes of an upgrade do */
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

  /** The stream is over. After its clean end nothing changes; else the body broke off. */
  onClose(error: Error | null): void {
    if (error === null) this.onReadable();
    else this.#source.fail(error);
  }

  /** For the source, as is `onCancel`. */
  onPull(): void {
    if (this.#owed > 0) {
      this.#stream.consume(this.#owed);
      this.#owed = 0;
    }
    this.#deliver();
  }

  onCancel(): void {
    this.#owner.bodyCanceled();
  }

  #deliver(): void {
    const stream = this.#stream;
    const chunk = stream.take();
    if (chunk !== null) this.#pass(chunk);
    else if (stream.readEnded) this.#end();
    // The peer broke its direction alone: the other one may go on.
    else if (stream.readError !== null) this.#source.fail(exchangeErrorOf(stream.readError));
  }

  #pass(chunk: Uint8Array): void {
    if (this.#left !== null) {
      this.#left -= chunk.length;
      if (this.#left < 0) return this.#refuse(this.#left);
    }
    this.#owed = chunk.length;
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
  const extent = left > 0 ? `${left} bytes short of` : `${-left} bytes longer than`;
  return new ExchangeError("upstream_invalid", `A body came that is ${extent} its Content-Length`);
}
