/** The asking end: one HTTP exchange becomes one stream of a connection. */
import type { CancelSignal } from "../cancel.ts";
import { ErrorCode } from "../frame/mod.ts";
import { trailerFields } from "../http1/fields.ts";
import type { Answer, Body, Fields, RequestHead } from "../http1/message.ts";
import type { Connection, Stream, StreamError, StreamHandlers } from "../httpstream/mod.ts";
import { exchangeErrorOf } from "./error_codes.ts";
import { ExchangeError } from "./errors.ts";
import { announcedLength, parseAnswer, requestFields } from "./pseudo_fields.ts";
import { type ReaderOwner, StreamReader, wholeBody } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Interim answers that one exchange may pass on. */
const maxInformational = 16;

/**
 * Asks the peer of `connection`. The answer may come, and end, while `body` is still being sent. Rejects with
 * `ExchangeError`; aborting `signal` resets the stream at once.
 */
export function openExchange(
  connection: Connection,
  head: RequestHead,
  body: Body,
  signal: CancelSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let stream: Stream;
    try {
      stream = body instanceof ReadableStream
        ? connection.createStream(requestFields(head))
        : openWhole(connection, head, body);
    } catch (error) {
      return reject(exchangeErrorOf(error));
    }
    const exchange = new OpenedExchange(stream, head, signal, resolve, reject);
    if (body instanceof ReadableStream) exchange.upload(body, head.trailers);
  });
}

/** Everything of the request leaves in one message. */
function openWhole(connection: Connection, head: RequestHead, body: Uint8Array | null): Stream {
  const trailers = head.trailers?.() ?? [];
  const endStream = trailers.length === 0;
  const stream = connection.createStream(requestFields(head), body === null ? { endStream } : { endStream, body });
  if (endStream) return stream;
  try {
    stream.sendTrailers(trailers);
  } catch (error) {
    stream.reset(ErrorCode.CLIENT_GONE);
    throw error;
  }
  return stream;
}

class OpenedExchange implements StreamHandlers, ReaderOwner {
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #signal: CancelSignal;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  /** Null until an answer came whose body was not whole. */
  #reader: StreamReader | null = null;
  #writer: StreamWriter | null = null;
  #informational = 0;
  #isAnswered = false;

  constructor(
    stream: Stream,
    head: RequestHead,
    signal: CancelSignal,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#stream = stream;
    this.#head = head;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    stream.handlers = this;
    signal.addEventListener("abort", this);
  }

  bodyCanceled(): void {
    this.#stream.reset(ErrorCode.CLIENT_GONE);
  }

  /** For the `abort` event of the signal. */
  handleEvent(): void {
    this.#stream.reset(ErrorCode.CLIENT_GONE);
  }

  upload(body: ReadableStream<Uint8Array>, trailers?: () => Fields): void {
    this.#writer = new StreamWriter(this.#stream);
    // A request that broke off is never ended cleanly; `onClose` tells whoever waits.
    this.#writer.send(body, trailers).catch(() => this.#stream.reset(ErrorCode.CLIENT_GONE));
  }

  onInform(received: Fields): void {
    if (++this.#informational > maxInformational || this.#isAnswered) return;
    const { status, fields } = parseAnswer(received);
    this.#head.onInformational?.(status, fields);
  }

  onResponse(received: Fields): void {
    this.#isAnswered = true;
    try {
      this.#resolve(this.#answer(received));
    } catch (error) {
      this.#stream.reset(ErrorCode.PROTOCOL_ERROR);
      this.#reject(error);
    }
  }

  onReadable(): void {
    if (this.#isAnswered) return this.#reader?.onReadable();
    // The peer broke its direction alone, and will never answer.
    if (this.#stream.readError === null) return;
    this.#isAnswered = true;
    this.#reject(exchangeErrorOf(this.#stream.readError));
    this.#stream.reset(ErrorCode.CANCEL);
  }

  onWritable(): void {
    this.#writer?.onWritable();
  }

  onStop(code: number): void {
    this.#writer?.stop(new ExchangeError("upstream_closed", `the upstream takes no more of the request (${code})`));
  }

  onClose(error: StreamError | null): void {
    this.#signal.removeEventListener("abort", this);
    if (error === null) return this.#reader?.onClose(null);
    const why = this.#signal.aborted ? this.#signal.reason : exchangeErrorOf(error);
    if (!this.#isAnswered) this.#reject(why);
    this.#writer?.stop(why);
    this.#reader?.onClose(why);
  }

  #answer(received: Fields): Answer {
    const { status, fields } = parseAnswer(received);
    const { method, upgrade } = this.#head;
    if (status !== 101) {
      const isBare = method === "HEAD" || status === 204 || status === 304;
      const announced = isBare ? null : announcedLength(fields);
      const whole = wholeBody(this.#stream, announced);
      const body = whole === undefined ? this.#streamed(announced) : whole;
      // Those of a whole body came with it.
      if (whole !== undefined && this.#stream.trailerFields.length === 0) return { status, fields, body };
      return { status, fields, body, trailers: () => trailerFields(this.#stream.trailerFields) };
    }
    if (upgrade === undefined) throw new ExchangeError("upstream_invalid", "an unsolicited 101 came");
    return { status, fields, body: this.#streamed(null), upgrade };
  }

  #streamed(announced: number | null): ReadableStream<Uint8Array> {
    this.#reader = new StreamReader(this.#stream, this, announced);
    return this.#reader.body;
  }
}
