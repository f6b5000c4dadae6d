/**
 * The body that comes in on a stream: whole where its end is already here, else pulled, credit going back as it is. A
 * body that is not as long as its Content-Length said is one that broke off.
 */
import { ErrorCode } from "../frame/mod.ts";
import type { Stream } from "../httpstream/mod.ts";
import { exchangeErrorOf } from "./error_codes.ts";
import { ExchangeError } from "./errors.ts";

/** Who the body is for. */
export interface ReaderOwner {
  /** The reader wants no more; called at most once, and not after the end. */
  bodyCanceled(): void;
}

/**
 * All of a body whose end is here already; `undefined` where more is to come, and a `StreamReader` must pull it. Call
 * it once, when everything of the message with the head was taken in.
 *
 * @param announced the Content-Length; null where the body may have any
 * @throws {ExchangeError} where the body is not as long
 */
export function wholeBody(stream: Stream, announced: number | null): Uint8Array | null | undefined {
  const whole = stream.readEnded ? empty : stream.takeWhole();
  if (whole === null) return undefined;
  if (announced !== null && announced !== whole.length) throw differentLength(announced - whole.length);
  // Trailers need a body to stand behind, be it an empty one.
  return whole.length === 0 && stream.trailerFields.length === 0 ? null : whole;
}

export class StreamReader {
  readonly #stream: Stream;
  readonly #owner: ReaderOwner;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** Resolves the `pull()` that found nothing. */
  #wake: (() => void) | null = null;
  /** Bytes handed to the reader whose credit goes back when it comes for more. */
  #owed = 0;
  /** Bytes still to come; null where no length was announced. */
  #left: number | null = null;
  #over = false;

  /** The body as a stream, pulled from `stream`. */
  readonly body: ReadableStream<Uint8Array>;

  /** @param announced the Content-Length; null where the body may have any, as the raw bytes of an upgrade do */
  constructor(stream: Stream, owner: ReaderOwner, announced: number | null) {
    this.#stream = stream;
    this.#owner = owner;
    this.#left = announced;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => {
        if (this.#over) return;
        this.#finish();
        this.#owner.bodyCanceled();
      },
    }, { highWaterMark: 0 });
  }

  /** The stream has bytes, or its end. */
  onReadable(): void {
    if (this.#wake !== null) this.#deliver();
  }

  /** The stream is over: after its clean end that changes nothing, else the body broke off. */
  onClose(error: Error | null): void {
    if (this.#over || error === null) return this.onReadable();
    this.#break(error);
  }

  #pull(): Promise<void> | void {
    if (this.#owed > 0) {
      this.#stream.consume(this.#owed);
      this.#owed = 0;
    }
    if (this.#over || this.#deliver()) return;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #deliver(): boolean {
    const stream = this.#stream;
    const chunk = stream.read();
    if (chunk !== null) this.#pass(chunk);
    else if (stream.readEnded) this.#end();
    // The peer broke its direction alone: the other one may go on.
    else if (stream.readError !== null) this.#break(exchangeErrorOf(stream.readError));
    else return false;
    this.#resume();
    return true;
  }

  #pass(chunk: Uint8Array): void {
    if (this.#left !== null) {
      this.#left -= chunk.length;
      if (this.#left < 0) return this.#refuse(this.#left);
    }
    this.#owed = chunk.length;
    this.#controller?.enqueue(chunk);
  }

  #end(): void {
    if (this.#left !== null && this.#left > 0) return this.#refuse(this.#left);
    this.#finish();
    this.#controller?.close();
  }

  #refuse(left: number): void {
    this.#break(differentLength(left));
    this.#stream.reset(ErrorCode.PROTOCOL_ERROR);
  }

  #break(error: Error): void {
    this.#finish();
    this.#controller?.error(error);
  }

  #resume(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #finish(): void {
    this.#over = true;
    this.#resume();
  }
}

const empty = new Uint8Array(0);

function differentLength(left: number): ExchangeError {
  const extent = left > 0 ? `${left} bytes short of` : `${-left} bytes longer than`;
  return new ExchangeError("upstream_invalid", `a body came that is ${extent} its Content-Length`);
}
