/** How an answer goes out: which framing it gets (RFC 9112 §6.3), and the loop that writes a streamed body. */
import { claim, spend } from "../net/lease.ts";
import type { Socket } from "../net/socket.ts";
import { CR, LF } from "./bytes.ts";
import { fieldValue } from "./fields.ts";
import { chunkedBody, closeDelimitedBody, type Framing, noBody } from "./framing.ts";
import { parseLength } from "./head_facts.ts";
import type { Answer, Body, Fields } from "./message.ts";
import type { ParsedRequest } from "./request_parser.ts";
import { InvalidAnswerError } from "./server_errors.ts";
import { chunkEnd, chunkHeader, lastChunk } from "./writer.ts";

/** Up to here a chunk is copied between its header and its CRLF: cheaper than three writes. */
const COPIED_CHUNK_BYTES = 4 * 1024;

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

/** Writes one chunk of a chunked body; false as `Socket.write`. */
export function writeChunk(socket: Socket, data: Uint8Array): boolean {
  const header = chunkHeader(data.length);
  if (data.length > COPIED_CHUNK_BYTES) {
    socket.write(header);
    socket.write(data);
    return socket.write(chunkEnd);
  }
  const chunk = new Uint8Array(header.length + data.length + 2);
  chunk.set(header);
  chunk.set(data, header.length);
  spend(data);
  chunk[chunk.length - 2] = CR;
  chunk[chunk.length - 1] = LF;
  return socket.write(chunk);
}

/** Lets a body go that nobody will read. */
export function cancelBody(body: Body, reason: unknown): void {
  // Its source has nobody left to tell that it failed to stop.
  if (body instanceof ReadableStream) body.cancel(reason).catch(() => {});
}

/** What a pump tells its owner; one of the two, once, and neither after `stop()`. */
export interface PumpOwner {
  /** The body was written to its end, without what closes a chunked one. */
  bodySent(): void;
  /** It broke off, or is not as long as the head said. */
  bodyFailed(error: unknown): void;
}

/** Writes a stream to a socket, and reads on only when the socket takes more. `close` is also raw bytes' framing. */
export class BodyPump {
  readonly #socket: Socket;
  readonly #owner: PumpOwner;
  readonly #framing: Framing;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #sentBytes = 0;
  #isOver = false;
  #wake: (() => void) | null = null;

  /** @throws {TypeError} if somebody reads `body` already */
  constructor(socket: Socket, owner: PumpOwner, body: ReadableStream<Uint8Array>, framing: Framing) {
    this.#socket = socket;
    this.#owner = owner;
    this.#framing = framing;
    this.#reader = body.getReader();
    // Who waits for the socket learns from the next read that the body broke off: a client that takes nothing is cut
    // off at once, too.
    this.#reader.closed.catch(() => this.drained());
  }

  /** Never rejects; the owner hears how it went. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (this.#isOver) return;
        if (done) break;
        claim(value);
        // An empty chunk would end a chunked body.
        if (value.length === 0 || this.#send(value)) continue;
        await new Promise<void>((resolve) => this.#wake = resolve);
        if (this.#isOver) return;
      }
      this.#checkEnd();
    } catch (error) {
      if (this.#isOver) return;
      this.stop(error);
      return this.#owner.bodyFailed(error);
    }
    this.#isOver = true;
    this.#owner.bodySent();
  }

  /** The socket takes more. */
  drained(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Cancels the source; nothing more is written. */
  stop(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // The source has nobody left to tell that it failed to stop.
    this.#reader.cancel(reason).catch(() => {});
    this.drained();
  }

  #send(chunk: Uint8Array): boolean {
    if (this.#framing.kind === "chunked") return writeChunk(this.#socket, chunk);
    if (this.#framing.kind === "length") {
      this.#sentBytes += chunk.length;
      if (this.#sentBytes > this.#framing.length) {
        throw new InvalidAnswerError(`The answer's body is longer than its Content-Length, ${this.#framing.length}`);
      }
    }
    return this.#socket.write(chunk);
  }

  #checkEnd(): void {
    if (this.#framing.kind !== "length" || this.#sentBytes === this.#framing.length) return;
    throw new InvalidAnswerError(
      `The answer's body ended after ${this.#sentBytes} of ${this.#framing.length} bytes`,
    );
  }
}
