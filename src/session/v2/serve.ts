/** The answering end of an exchange: one stream of a connection is served by a handler. */
import { CancelSource } from "../../base/mod.ts";
import { ErrorCode, type HeadOptions, type Stream, StreamError, type StreamHandlers } from "../../httpstream/mod.ts";
import {
  type Answer,
  type Body,
  ExchangeError,
  type Fields,
  type Handler,
  type RequestHead,
  trailerFields,
} from "../../http/mod.ts";
import { errorCodeOf, givenUpBecause } from "./error_codes.ts";
import { announcedLength, answerFields, interimFields, parseRequest } from "./pseudo_fields.ts";
import { StreamBody, type StreamBodyOwner, wholeBody } from "./stream_body.ts";
import { StreamSender } from "./stream_sender.ts";

const noTrailers: Fields = [];

/**
 * Serves `stream` with `handler`. Where the handler rejects, the stream is reset with the error code of that problem. The
 * stream occupies its slot until the handler has finished and its answer was sent or canceled.
 *
 * @param onError told of an answer whose head the wire or the peer does not take, which its handler does not learn.
 */
export function serveExchange(stream: Stream, handler: Handler, onError?: (error: ExchangeError) => void): void {
  const exchange = new ServedExchange(stream, onError);
  stream.hold();
  void exchange.run(handler);
}

/** It is also the signal that the handler gets, which aborts when the stream breaks. */
class ServedExchange extends CancelSource implements StreamHandlers, StreamBodyOwner {
  readonly #stream: Stream;
  /** Null where the request's body came whole with its head. */
  #requestBody: StreamBody | null = null;
  #sender: StreamSender | null = null;
  /** The answer's head was sent. */
  #isAnswered = false;
  readonly #onError: ((error: ExchangeError) => void) | undefined;

  constructor(stream: Stream, onError: ((error: ExchangeError) => void) | undefined) {
    super();
    this.#stream = stream;
    this.#onError = onError;
    stream.handlers = this;
  }

  /** Never rejects. Releases the stream's slot at the end. */
  async run(handler: Handler): Promise<void> {
    try {
      const head = this.#head();
      const body = this.#body(head);
      const answer = await handler(head, body, this);
      if (answer.body instanceof ReadableStream) await this.#sendStream(answer, answer.body);
      else this.#sendWhole(answer, answer.body);
      // A body that the handler has not begun to read by now will not be read.
      if (body instanceof ReadableStream && !body.locked) await body.cancel();
    } catch (error) {
      this.#stream.reset(errorCodeOf(error));
    } finally {
      this.#stream.release();
    }
  }

  /** The handler wants no more of the request. The upload stops, and an early answer goes on. */
  bodyCanceled(): void {
    this.#stream.stopSending(ErrorCode.NO_ERROR);
  }

  onReadable(): void {
    this.#requestBody?.onReadable();
  }

  onWritable(): void {
    this.#sender?.onWritable();
  }

  onStop(code: number): void {
    this.#sender?.stop(new Error(`The asking side takes no more of the answer (${code})`));
  }

  onClose(error: StreamError | null): void {
    if (error === null) return this.#requestBody?.onClose(null);
    const why = givenUpBecause(error, this.#isAnswered);
    this.abort(why);
    this.#sender?.stop(why);
    this.#requestBody?.onClose(why);
  }

  #head(): RequestHead {
    return parseRequest(this.#stream.headers, {
      onInformational: (status, fields) => this.#inform(interimFields(status, fields)),
      trailers: () => trailerFields(this.#stream.trailerFields),
    });
  }

  /** An interim answer that the peer does not take is dropped: they are optional (RFC 9110 §15.2). */
  #inform(fields: Fields): void {
    try {
      this.#stream.inform(fields);
    } catch (error) {
      if (!(error instanceof StreamError && error.code === "headers_too_large")) throw error;
    }
  }

  #body(head: RequestHead): Body {
    const announced = announcedLength(head.fields);
    const isUpgrade = head.upgrade !== undefined;
    const whole = isUpgrade ? undefined : wholeBody(this.#stream, announced);
    if (whole !== undefined) return whole;
    // Behind the content of an upgrade comes the new protocol.
    this.#requestBody = new StreamBody(this.#stream, this, isUpgrade ? null : announced);
    return this.#requestBody.body;
  }

  async #sendStream(answer: Answer, body: ReadableStream<Uint8Array>): Promise<void> {
    if (this.#stream.sendEnded) return void await body.cancel(this.#stream.error);
    try {
      this.#respond(answer);
      this.#isAnswered = true;
    } catch (error) {
      await body.cancel(error);
      throw error;
    }
    this.#sender = new StreamSender(this.#stream, body, answer.trailers);
    await this.#sender.run();
  }

  #sendWhole(answer: Answer, body: Uint8Array | null): void {
    const trailers = answer.trailers?.() ?? noTrailers;
    const endStream = trailers.length === 0;
    this.#respond(answer, { endStream, body: body ?? undefined });
    if (trailers.length > 0) this.#stream.sendTrailers(trailers);
  }

  /** @throws {ExchangeError} `upstream_invalid` where the wire cannot carry the head, or the peer takes none so large */
  #respond(answer: Answer, options?: HeadOptions): void {
    try {
      this.#stream.respond(answerFields(answer, this.#stream.peerFeatures), options);
    } catch (cause) {
      if (!(cause instanceof StreamError)) throw cause;
      const reason = `The answer's head cannot be passed on: ${cause.reason}`;
      const error = new ExchangeError("upstream_invalid", reason, { cause });
      this.#onError?.(error);
      throw error;
    }
  }
}
