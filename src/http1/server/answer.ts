/** How an answer goes out: which framing it gets (RFC 9112 §6.3), and the writing of a streamed body. */
import {
  type Answer,
  BodyLengthError,
  BodyPump,
  type BodySink,
  type Fields,
  fieldValue,
  parseLength,
} from "../../http/mod.ts";
import type { Socket } from "../../net/mod.ts";
import { chunkedBody, closeDelimitedBody, type Framing, lastChunk, noBody, type ParsedRequest } from "../codec/mod.ts";
import { writeChunk } from "../write_chunk.ts";
import { InvalidAnswerError } from "./errors.ts";

/** What of a request decides how its answer may be framed. `null`: the request could not be read. */
export type AnswerContext = Pick<ParsedRequest, "method" | "version" | "acceptsTrailers"> | null;

/**
 * The framing of a final answer. A Content-Length in the fields is kept; without one a whole body gets its own, a
 * stream goes in chunks, and towards an HTTP/1.0 client until the close. Answers to HEAD, 204 and 304 have no body.
 *
 * Trailer fields need chunks, and are written only for a client that sent `TE: trailers` (RFC 9110 §6.5.1, §10.1.4):
 * any other may not read them, or a hop behind it may merge or drop them. They make a whole body chunked, too.
 *
 * @throws {InvalidAnswerError} for a status that is not final, and a Content-Length that is none or is not the whole
 *   body's
 */
export function answerFraming(answer: Answer, request: AnswerContext): Framing {
  const { status, fields, body } = answer;
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    throw new InvalidAnswerError(`The answer's status is ${status}, not a final one`);
  }
  if (status === 204 || status === 304) return noBody;
  const length = contentLength(fields);
  if (request?.method === "HEAD") {
    return length === -1 && body instanceof Uint8Array ? { kind: "length", length: body.length } : noBody;
  }
  if (body === null || body instanceof Uint8Array) {
    const bytes = body === null ? 0 : body.length;
    if (length === -1 && hasTrailers(answer, request)) return chunkedBody;
    if (length !== -1 && length !== bytes) {
      throw new InvalidAnswerError(`The answer's Content-Length is ${length}, its body has ${bytes} bytes`);
    }
    return { kind: "length", length: bytes };
  }
  if (length !== -1) return { kind: "length", length };
  return request?.version === "1.1" ? chunkedBody : closeDelimitedBody;
}

function contentLength(fields: Fields): number {
  const value = fieldValue(fields, "content-length");
  if (value === undefined) return -1;
  const length = parseLength(value);
  if (length === -1) throw new InvalidAnswerError(`The answer's Content-Length is ${JSON.stringify(value)}, no number`);
  return length;
}

function hasTrailers(answer: Answer, request: AnswerContext): boolean {
  return request !== null && request.acceptsTrailers && request.version === "1.1" &&
    answer.trailers !== undefined && answer.trailers().length > 0;
}

/** The bytes behind a chunked body: the trailers where the client takes them. */
export function answerEnd(answer: Answer, request: AnswerContext): Uint8Array {
  return lastChunk(hasTrailers(answer, request) ? answer.trailers?.() : undefined);
}

/** What an `AnswerWriter` tells, one of the two, once. */
export interface AnswerOwner {
  /** The body was written to its end, without what closes a chunked one. */
  bodySent(): void;
  /** It broke off, or is not as long as the head said. */
  bodyFailed(error: unknown): void;
}

/** Writes an answer's streamed body on the client's socket. `close` is also the framing of raw bytes. */
export class AnswerWriter implements BodySink {
  readonly #socket: Socket;
  readonly #owner: AnswerOwner;
  readonly #isChunked: boolean;
  readonly #pump: BodyPump;

  /** @throws {TypeError} where somebody reads `body` already */
  constructor(socket: Socket, owner: AnswerOwner, body: ReadableStream<Uint8Array>, framing: Framing) {
    this.#socket = socket;
    this.#owner = owner;
    this.#isChunked = framing.kind === "chunked";
    this.#pump = new BodyPump(body, this, framing.kind === "length" ? framing.length : null);
  }

  run(): void {
    void this.#pump.run();
  }

  /** For the socket's `onDrain`. */
  drained(): void {
    this.#pump.drained();
  }

  /** Cancels the body. Nothing more is written, and nobody told. */
  stop(reason: unknown): void {
    this.#pump.stop(reason);
  }

  /** For the pump, as are `end` and `fail`. */
  write(chunk: Uint8Array): boolean {
    return this.#isChunked ? writeChunk(this.#socket, chunk) : this.#socket.write(chunk);
  }

  end(): void {
    this.#owner.bodySent();
  }

  fail(error: unknown): void {
    if (!(error instanceof BodyLengthError)) return this.#owner.bodyFailed(error);
    const { length, sentBytes } = error;
    this.#owner.bodyFailed(
      new InvalidAnswerError(
        sentBytes > length
          ? `The answer's body is longer than its Content-Length, ${length}`
          : `The answer's body ended after ${sentBytes} of ${length} bytes`,
      ),
    );
  }
}
