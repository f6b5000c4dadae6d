/** The asking end of an exchange: one HTTP request becomes one stream of a connection. */
import type { CancelSignal } from "../../base/mod.ts";
import { ErrorCode, type Stream, StreamError, type StreamHandlers } from "../../httpstream/mod.ts";
import { type Answer, type Body, ExchangeError, type Fields, type RequestHead, trailerFields } from "../../http/mod.ts";
import type { SessionConnection } from "./connection.ts";
import { exchangeErrorOf, giveUpCodeOf } from "./error_codes.ts";
import { agreedProtocol, announcedLength, parseAnswer, requestFields } from "./pseudo_fields.ts";
import { StreamBody, type StreamBodyOwner, wholeBody } from "./stream_body.ts";
import { StreamSender } from "./stream_sender.ts";

/** Interim answers that one exchange may pass on. */
const MAX_INFORMATIONAL = 16;

/**
 * Asks the peer of `connection`. The answer may come, and end, while `body` is still being sent. Rejects with an
 * `ExchangeError`. Where `signal` aborts, the stream is reset at once, and it rejects with the signal's reason.
 */
export function openExchange(
  connection: Pick<SessionConnection, "createStream">,
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
    if (body === null) return;
    stream.creditWait = head.meter?.traffic?.creditWait ?? null;
    if (body instanceof ReadableStream) exchange.upload(body, head.trailers);
  });
}

/** Opens the stream of a request that is whole: head, body and trailers leave in one message. */
function openWhole(
  connection: Pick<SessionConnection, "createStream">,
  head: RequestHead,
  body: Uint8Array | null,
): Stream {
  const trailers = head.trailers?.() ?? [];
  const endStream = trailers.length === 0;
  const stream = connection.createStream(requestFields(head), { endStream, body: body ?? undefined });
  if (endStream) return stream;
  try {
    stream.sendTrailers(trailers);
  } catch (error) {
    stream.reset(ErrorCode.CLIENT_GONE);
    throw error;
  }
  return stream;
}

class OpenedExchange implements StreamHandlers, StreamBodyOwner {
  readonly #stream: Stream;
  readonly #head: RequestHead;
  readonly #signal: CancelSignal;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  /** Null until an answer comes, and where its body came whole with it. */
  #answerBody: StreamBody | null = null;
  #sender: StreamSender | null = null;
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

  bodyCanceled(reason: unknown): void {
    this.#stream.reset(giveUpCodeOf(reason));
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.#stream.reset(giveUpCodeOf(this.#signal.reason));
  }

  upload(body: ReadableStream<Uint8Array>, trailers?: () => Fields): void {
    // A request that broke off must not look complete. `onClose` then rejects the answer.
    const breakOff = (error: unknown) => {
      // Trailers that the agent does not take.
      if (error instanceof StreamError && !this.#isAnswered) this.#reject(exchangeErrorOf(error));
      this.#stream.reset(giveUpCodeOf(error));
    };
    try {
      this.#sender = new StreamSender(this.#stream, body, trailers);
      this.#sender.run().catch(breakOff);
    } catch (error) {
      // The body is being read already.
      breakOff(error);
    }
  }

  onInform(received: Fields): void {
    if (++this.#informational > MAX_INFORMATIONAL || this.#isAnswered) return;
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
    if (this.#isAnswered) return this.#answerBody?.onReadable();
    // Without an answer, this can only be a reset of the peer's direction: no answer will come.
    if (this.#stream.readError === null) return;
    this.#isAnswered = true;
    this.#reject(exchangeErrorOf(this.#stream.readError));
    this.#stream.reset(ErrorCode.CANCEL);
  }

  onWritable(): void {
    this.#sender?.onWritable();
  }

  onStop(code: number): void {
    this.#sender?.stop(new ExchangeError("upstream_closed", `The upstream takes no more of the request (${code})`));
  }

  onClose(error: StreamError | null): void {
    this.#signal.removeEventListener("abort", this);
    if (error === null) return this.#answerBody?.onClose(null);
    const why = this.#signal.aborted ? this.#signal.reason : exchangeErrorOf(error);
    if (!this.#isAnswered) this.#reject(why);
    this.#sender?.stop(why);
    this.#answerBody?.onClose(why);
  }

  #answer(received: Fields): Answer {
    const { status, reason, fields, upgrade: protocols } = parseAnswer(received);
    const { method, upgrade } = this.#head;
    if (status !== 101) {
      const isBare = method === "HEAD" || status === 204 || status === 304;
      const announced = isBare ? null : announcedLength(fields);
      const whole = wholeBody(this.#stream, announced);
      const body = whole === undefined ? this.#streamed(announced) : whole;
      // Trailers of a whole body have come with it. Without any, the answer needs no function for them.
      const hasTrailers = whole === undefined || this.#stream.trailerFields.length > 0;
      const trailers = hasTrailers ? () => trailerFields(this.#stream.trailerFields) : undefined;
      return { status, reason, fields, body, upgrade: protocols, trailers };
    }
    const agreed = agreedProtocol(received, upgrade);
    return { status, reason, fields, body: this.#streamed(null), upgrade: agreed };
  }

  #streamed(announced: number | null): ReadableStream<Uint8Array> {
    this.#answerBody = new StreamBody(this.#stream, this, announced);
    return this.#answerBody.body;
  }
}
