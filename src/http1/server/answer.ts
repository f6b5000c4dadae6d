/** How an answer is sent: its framing (RFC 9112 §6.3), and the writer for a streamed body. */
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
import {
  chunkedBody,
  closeDelimitedBody,
  type Framing,
  isBodyless,
  lastChunk,
  noBody,
  type ParsedRequest,
} from "../codec/mod.ts";
import { writeChunk } from "../write_chunk.ts";
import { InvalidAnswerError } from "./errors.ts";

/** The properties of a request on which the framing of its answer depends. `null`: the request could not be parsed. */
export type AnswerContext = Pick<ParsedRequest, "method" | "version" | "acceptsTrailers"> | null;

/**
 * The framing of a final answer. A Content-Length in the fields is used. Without one a whole body gets its length, and
 * a stream is sent in chunks, or until the close to an HTTP/1.0 client. Answers to HEAD, 204 and 304 have no body.
 *
 * Trailer fields need chunks, for a whole body, too. They are sent only to a client that sent `TE: trailers` (RFC 9110
 * §6.5.1, §10.1.4): others may ignore or mix them with header fields.
 *
 * @throws {InvalidAnswerError} for a status that is not final, and a Content-Length that is malformed or not that of a
 *   whole body
 */
export function chooseFraming(answer: Answer, request: AnswerContext): Framing {
  const { status, fields, body } = answer;
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    throw new InvalidAnswerError(`The answer's status is ${status}, not a final one`);
  }
  if (isBodyless(status)) return noBody;
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
  if (length === -1) throw new InvalidAnswerError("The answer's Content-Length is no number");
  return length;
}

function hasTrailers(answer: Answer, request: AnswerContext): boolean {
  return request !== null && request.acceptsTrailers && request.version === "1.1" &&
    answer.trailers !== undefined && answer.trailers().length > 0;
}

/** The end of a chunked body, with the trailers where the client accepts them. */
export function answerEnd(answer: Answer, request: AnswerContext): Uint8Array {
  return lastChunk(hasTrailers(answer, request) ? answer.trailers?.() : undefined);
}

/** The owner of an `AnswerWriter`. One of `bodySent` and `bodyFailed` is called, once. */
export interface AnswerOwner {
  /** A part of the body is about to be written, of so many bytes; 0: what was written has left. */
  bodyMoved(bytes: number): void;
  /** The client does not take more for now. */
  bodyBlocked(): void;
  /** The body was written, without the end of a chunked one. */
  bodySent(): void;
  /** The body broke off, or does not have the length that the head says. */
  bodyFailed(error: unknown): void;
}

/** Writes the streamed body of an answer on the client's socket. After an upgrade the framing is `close`. */
export class AnswerWriter implements BodySink {
  readonly #socket: Socket;
  readonly #owner: AnswerOwner;
  readonly #isChunked: boolean;
  readonly #pump: BodyPump;

  /** @throws {TypeError} where `body` has a reader already */
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
    this.#owner.bodyMoved(0);
    this.#pump.drained();
  }

  /** Cancels the body. Nothing more is written, and the owner is not called. */
  stop(reason: unknown): void {
    this.#pump.stop(reason);
  }

  /** Called by the pump, as are `end` and `fail`. */
  write(chunk: Uint8Array): boolean {
    this.#owner.bodyMoved(chunk.length);
    const isReady = this.#isChunked ? writeChunk(this.#socket, chunk) : this.#socket.write(chunk);
    if (!isReady) this.#owner.bodyBlocked();
    return isReady;
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
