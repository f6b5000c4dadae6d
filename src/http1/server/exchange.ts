/**
 * One request and its answer on a connection. The two sides go on independently of each other:
 *
 *     request:  head ──▶ body ──▶ complete            answer:  none ──▶ head ──▶ body ──▶ complete
 *                          └─ fault, FIN, RST ─▶ aborted ◀─ reset, failed body ──┘
 *
 * Both complete: the connection is free for the next request. The answer alone complete: the handler may read the
 * request on; once it does not, the connection lingers and closes. After a 101 both sides are raw bytes, and each ends
 * with a FIN of its own.
 */
import { CancelSource, type Timeout } from "../../base/mod.ts";
import { emptyBytes, release } from "../../memory/mod.ts";
import type { Socket } from "../../net/mod.ts";
import {
  BodyDecoder,
  closeDelimitedBody,
  decodeRead,
  encodeAnswerHead,
  type Framing,
  noBody,
  type ParsedRequest,
} from "../codec/mod.ts";
import {
  type Answer,
  type Body,
  type BodyOwner,
  BodySource,
  cancelBody,
  type Fields,
  type Handler,
  type RequestHead,
} from "../../http/mod.ts";
import { writeChunk } from "../write_chunk.ts";
import { answerEnd, answerFraming, type AnswerOwner, AnswerWriter } from "./answer.ts";
import { ExchangeAbortedError, InvalidAnswerError } from "./errors.ts";
import type { HttpServerOptions } from "./options.ts";

/** Up to here a whole body is written with its head in one buffer. */
const JOINED_BODY_BYTES = 16 * 1024;

/** Why a body is let go that nobody needs any more; nothing failed. */
const answerOver = new ExchangeAbortedError("answer_complete", "The answer is complete without this body");

/** How a connection goes on behind an exchange. */
export type ExchangeEnd =
  /** With the next request. */
  | "next"
  /** It closes; the request was read to its end. */
  | "close"
  /** It closes, and what is still to come of the request is discarded. */
  | "linger";

/** The connection, as its exchange sees it. */
export interface ExchangeHost {
  readonly socket: Socket;
  readonly options: HttpServerOptions;
  readonly deadline: Timeout;
  readonly isDraining: boolean;
  /** Reads or rests, whatever `wantsBytes` now says. */
  updateFlow(): void;
  /** Keeps bytes that came behind the request, after those it keeps already. */
  hold(bytes: Uint8Array): void;
  /** The first of the bytes that it keeps. */
  takeHeld(): Uint8Array | null;
  /** Returns what of them is not the request's, before all others. */
  putBack(bytes: Uint8Array): void;
  exchangeOver(end: ExchangeEnd): void;
  /** Answers a request that could not be read to its end, then closes. */
  refuse(error: unknown, head: RequestHead): void;
  /** Gives the socket away. */
  handOver(take: (socket: Socket, rest: Uint8Array) => void): void;
}

export class Exchange implements BodyOwner, AnswerOwner {
  readonly head: RequestHead;
  readonly #host: ExchangeHost;
  readonly #request: ParsedRequest;
  readonly #abort = new CancelSource();
  #decoder: BodyDecoder | null = null;
  /** Decoded, and not yet given to the handler. */
  #decoded: Uint8Array[] = [];
  #body: BodySource | null = null;
  #writer: AnswerWriter | null = null;
  #answer: Answer | null = null;
  #framing: Framing = noBody;
  #requestComplete = false;
  #headSent = false;
  #answerComplete = false;
  #keepsAlive = true;
  #isRaw = false;
  #isOver = false;
  #interimWait = false;

  constructor(host: ExchangeHost, request: ParsedRequest) {
    this.#host = host;
    this.#request = request;
    this.head = {
      method: request.method,
      target: request.target,
      scheme: host.options.scheme,
      authority: request.authority,
      // TE concerns one hop and was taken off; what the client said with it is said anew on the next one.
      fields: request.acceptsTrailers ? [...request.fields, "TE", "trailers"] : request.fields,
      upgrade: request.upgrade,
      client: host.options.clientOf(host.socket),
      id: host.options.nextId(),
      onInformational: request.version === "1.1" ? (status, fields) => this.#inform(status, fields) : undefined,
      trailers: request.framing.kind === "chunked" ? () => this.#decoder?.trailers ?? [] : undefined,
    };
  }

  /** True while more bytes may be read for it: of the request, or of the next one as long as those stay few. */
  wantsBytes(bytesAhead: number): boolean {
    if (this.#requestComplete && !this.#isRaw) return bytesAhead < this.#host.options.pipelineBytes;
    return this.#body === null || this.#body.isOver || this.#body.canTakeMore;
  }

  /**
   * Calls the handler; its answer comes later in every case.
   * @throws {HttpParseError} for a body that is broken in what was read with its head: the handler is not called.
   */
  start(handler: Handler): void {
    const body = this.#openBody();
    let answer: Promise<Answer>;
    try {
      answer = handler(this.head, body, this.#abort);
    } catch (error) {
      answer = Promise.reject(error);
    }
    answer.then((answer) => this.#deliver(answer), (error) => this.#fail(error));
  }

  /** Takes what came in while it is served, and passes on what is not the request's. */
  takeData(chunk: Uint8Array): void {
    if (this.#isRaw) return this.#body?.push(chunk);
    if (this.#requestComplete) return this.#host.hold(chunk);
    try {
      this.#decode(chunk);
    } catch (error) {
      return this.#fault(error);
    }
    this.#passOn();
  }

  /** The client's FIN. */
  clientEnded(): void {
    if (this.#isRaw) return this.#body?.end();
    const isWhole = this.#requestComplete && this.#request.upgrade === undefined;
    if (isWhole && this.#host.options.allowHalfOpenClients) return;
    const reason = new ExchangeAbortedError(
      "client_closed",
      this.#requestComplete
        ? "The client closed before its answer ended"
        : "The client closed in the middle of its request",
    );
    this.release(reason);
    // A complete answer may still be on its way: a reset would take it back.
    if (this.#answerComplete) this.#host.exchangeOver("close");
    else this.#host.socket.reset();
  }

  /** The socket is gone. After both FINs of an upgrade that is the clean end. */
  socketClosed(error: unknown): void {
    if (this.#isRaw && error === null && this.#answerComplete && this.#body?.isComplete) {
      this.#isOver = true;
      return;
    }
    this.release(new ExchangeAbortedError("client_reset", "The client's connection was lost", error ?? undefined));
  }

  /** The handler waited in vain for the request's body. */
  bodyTimedOut(): void {
    const { bodyIdleMs } = this.#host.options;
    this.#fault(new ExchangeAbortedError("request_timeout", `Nothing came of the request for ${bodyIdleMs} ms`));
  }

  drained(): void {
    this.#interimWait = false;
    this.#writer?.drained();
  }

  /** Ends all that the handler holds: signal, request body, answer body. The socket is the caller's affair. */
  release(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.deadline.stop();
    this.#writer?.stop(reason);
    this.#body?.fail(reason);
    this.#abort.abort(reason);
  }

  /** The handler waits for more of the request's body. */
  onPull(): void {
    if (this.#isOver) return;
    if (!this.#requestComplete) this.#host.deadline.start(this.#host.options.bodyIdleMs);
    this.#host.updateFlow();
  }

  /** The handler wants no more of the request's body. */
  onCancel(): void {
    if (this.#isOver) return;
    if (!this.#requestComplete) this.#host.deadline.stop();
    if (this.#answerComplete) this.#settle();
    else this.#host.updateFlow();
  }

  bodySent(): void {
    if (this.#framing.kind === "chunked") {
      try {
        this.#host.socket.write(answerEnd(this.#answer as Answer, this.#request));
      } catch (error) {
        return this.bodyFailed(error);
      }
    }
    this.#completeAnswer();
  }

  bodyFailed(error: unknown): void {
    this.#host.options.onError(error);
    this.#breakOff(error);
  }

  /** What the handler gets: nothing, all of a body that is here already, or a stream. */
  #openBody(): Body {
    const { framing, upgrade } = this.#request;
    if (framing.kind === "none" || (framing.kind === "length" && framing.length === 0)) {
      this.#requestComplete = true;
      // The client's raw bytes wait for the verdict: without a 101 they are the next request.
      return upgrade === undefined ? null : this.#openStream();
    }
    this.#decoder = new BodyDecoder(framing, this.#host.options.limits);
    for (let bytes = this.#host.takeHeld(); bytes !== null; bytes = this.#host.takeHeld()) {
      this.#decode(bytes);
      if (this.#requestComplete) break;
    }
    if (this.#requestComplete && this.#decoded.length <= 1) return this.#decoded[0] ?? emptyBytes;
    const stream = this.#openStream();
    this.#passOn();
    return stream;
  }

  #openStream(): ReadableStream<Uint8Array> {
    this.#body = new BodySource(this);
    return this.#body.stream;
  }

  #decode(chunk: Uint8Array): void {
    const { content, rest } = decodeRead(this.#decoder as BodyDecoder, chunk);
    if (content.length > 0) this.#decoded.push(content);
    if (rest === null) return;
    this.#requestComplete = true;
    if (rest.length > 0) this.#host.putBack(rest);
  }

  /** Gives the body's reader what was decoded. */
  #passOn(): void {
    const body = this.#body as BodySource;
    for (const content of this.#decoded) body.push(content);
    this.#decoded.length = 0;
    if (!this.#requestComplete) {
      if (body.isWaiting) this.#host.deadline.start(this.#host.options.bodyIdleMs);
      else this.#host.deadline.stop();
      return;
    }
    this.#host.deadline.stop();
    body.end();
    if (this.#answerComplete) this.#settle();
  }

  #inform(status: number, fields: Fields): void {
    if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
      throw new InvalidAnswerError(`The interim answer's status is ${status}`);
    }
    // For a client that does not read they would pile up, and none of them is needed (RFC 9110 §15.2).
    if (this.#isOver || this.#headSent || this.#interimWait) return;
    this.#interimWait = !this.#host.socket.write(encodeAnswerHead({ status, fields, framing: noBody }));
  }

  #deliver(answer: Answer): void {
    if (this.#isOver) return cancelBody(answer.body, this.#abort.reason);
    try {
      if (answer.status === 101) this.#upgrade(answer);
      else this.#begin(answer);
    } catch (error) {
      cancelBody(answer.body, error);
      this.#fail(error);
    }
  }

  /** There is no answer, or none that can be written. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    const { options } = this.#host;
    options.onError(error);
    try {
      this.#begin(options.errorAnswer(error, this.head));
    } catch (second) {
      options.onError(second);
      this.#breakOff(second);
    }
  }

  /** The request cannot be read on. */
  #fault(error: unknown): void {
    if (!this.#headSent) {
      this.release(error);
      return this.#host.refuse(error, this.head);
    }
    if (!this.#answerComplete) return this.#breakOff(error);
    this.release(error);
    this.#host.exchangeOver("linger");
  }

  /** The answer cannot be written on: the client must not take it for whole. */
  #breakOff(error: unknown): void {
    if (this.#isOver) return;
    this.release(new ExchangeAbortedError("answer_failed", "The answer broke off", error));
    this.#host.socket.reset();
  }

  #begin(answer: Answer): void {
    const { socket, isDraining } = this.#host;
    const request = this.#request;
    const framing = answerFraming(answer, request);
    const { body } = answer;
    const isStreamed = framing.kind !== "none" && body instanceof ReadableStream;
    // A streamed answer may outlast the request's body, and then the connection is free for the next request.
    this.#keepsAlive = request.keepAlive && !isDraining && framing.kind !== "close" &&
      (this.#requestComplete || isStreamed);
    const { status, fields } = answer;
    const head = { status, fields, framing, version: request.version, keepAlive: this.#keepsAlive };
    const isBare = request.method === "HEAD" || !(body instanceof Uint8Array);
    if (isBare || framing.kind !== "length" || body.length > JOINED_BODY_BYTES) socket.write(encodeAnswerHead(head));
    else {
      socket.write(encodeAnswerHead(head, body));
      release(body);
    }
    this.#headSent = true;
    this.#answer = answer;
    this.#framing = framing;
    // Not an upgrade after all: what follows are requests.
    if (request.upgrade !== undefined) this.#body?.end();
    if (isStreamed) return this.#startWriter(body);
    if (isBare || framing.kind === "none") cancelBody(body, answerOver);
    else if (framing.kind === "chunked") return this.#sendWholeChunk(body);
    else if (body.length > JOINED_BODY_BYTES) socket.write(body);
    this.#completeAnswer();
  }

  #startWriter(body: ReadableStream<Uint8Array>): void {
    try {
      this.#writer = new AnswerWriter(this.#host.socket, this, body, this.#framing);
    } catch (error) {
      return this.bodyFailed(error);
    }
    this.#writer.run();
  }

  #sendWholeChunk(body: Uint8Array): void {
    if (body.length > 0) writeChunk(this.#host.socket, body);
    this.bodySent();
  }

  #upgrade(answer: Answer): void {
    const asked = this.#request.upgrade;
    const { status, fields, upgrade, body } = answer;
    if (asked === undefined || upgrade?.toLowerCase() !== asked.toLowerCase()) {
      throw new InvalidAnswerError(`The answer upgrades to ${upgrade} where ${asked ?? "nothing"} was asked for`);
    }
    const { socket } = this.#host;
    socket.write(encodeAnswerHead({ status, fields, framing: noBody, upgrade }));
    this.#headSent = true;
    this.#answer = answer;
    if (answer.takeSocket !== undefined) {
      this.#isOver = true;
      this.#body?.end();
      return this.#host.handOver(answer.takeSocket);
    }
    this.#isRaw = true;
    this.#framing = closeDelimitedBody;
    for (let bytes = this.#host.takeHeld(); bytes !== null; bytes = this.#host.takeHeld()) this.#body?.push(bytes);
    if (body instanceof ReadableStream) this.#startWriter(body);
    else {
      if (body !== null) socket.write(body);
      this.#completeAnswer();
    }
    this.#host.updateFlow();
  }

  #completeAnswer(): void {
    this.#answerComplete = true;
    if (this.#isRaw) this.#host.socket.end();
    else this.#settle();
  }

  /** The answer is complete: is the exchange? */
  #settle(): void {
    if (this.#isOver) return;
    if (!this.#requestComplete) {
      if (this.#body !== null && !this.#body.isOver && this.#body.stream.locked) {
        if (!this.#keepsAlive) this.#host.socket.end();
        return;
      }
      this.#isOver = true;
      this.#body?.fail(answerOver);
      return this.#host.exchangeOver("linger");
    }
    this.#isOver = true;
    this.#host.exchangeOver(this.#keepsAlive && !this.#host.isDraining ? "next" : "close");
  }
}
