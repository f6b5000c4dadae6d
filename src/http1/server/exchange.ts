/**
 * One request and its answer on a connection. Both go on independently of each other:
 *
 *     request:  head ──▶ body ──▶ complete            answer:  none ──▶ head ──▶ body ──▶ complete
 *                          └─ fault, FIN, RST ─▶ aborted ◀─ reset, failed body ──┘
 *
 * When both are complete, the connection is free for the next request. When only the answer is, the handler may go on
 * to read the request; if it does not, the connection lingers and closes. After a 101 there are no more messages, and
 * each direction ends with a FIN. A client may send FIN behind a complete request, and is then half-closed
 * (half_closed.ts).
 */
import { cachedClock, CancelSource, type Lease } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  type BodyOwner,
  BodySource,
  cancelBody,
  type ExchangeMeter,
  type ExchangeServer,
  type Fields,
  type Handler,
  isAsked,
  type RequestHead,
  type Traffic,
} from "../../http/mod.ts";
import { emptyBytes, release } from "../../memory/mod.ts";
import {
  BodyDecoder,
  closeDelimitedBody,
  decodeRead,
  encodeResponseHead,
  type Framing,
  noBody,
  type ParsedRequest,
} from "../codec/mod.ts";
import { writeChunk } from "../write_chunk.ts";
import { answerEnd, type AnswerOwner, AnswerWriter, chooseFraming } from "./answer.ts";
import { ExchangeAbortedError, InvalidAnswerError } from "./errors.ts";
import type { ExchangeEnd, ExchangeHost } from "./exchange_host.ts";
import { halfClosedAnswerMs, halfClosedMs } from "./half_closed.ts";

/** What is counted for a request whose body cannot be read, and for one that not even an error could be written for. */
const REFUSED_STATUS = 400;
const UNANSWERED_STATUS = 500;

/** Up to here head and body are written in one buffer. */
const JOINED_BODY_BYTES = 16 * 1024;

/** The error of a body that is not needed after the answer. Nothing failed. */
const answerComplete = new ExchangeAbortedError("answer_complete", "The answer is complete without this body");

export class Exchange implements BodyOwner, AnswerOwner, ExchangeMeter {
  readonly head: RequestHead;
  readonly #host: ExchangeHost;
  readonly #request: ParsedRequest;
  readonly #cancel = new CancelSource();
  #decoder: BodyDecoder | null = null;
  /** Some of the body waited for the handler. */
  #hasQueued = false;
  /** Decoded, and not yet pushed to the body. */
  #decoded: Uint8Array[] = [];
  #body: BodySource | null = null;
  #writer: AnswerWriter | null = null;
  #answer: Answer | null = null;
  #framing: Framing = noBody;
  #isRequestComplete = false;
  #isHeadSent = false;
  #isAnswerComplete = false;
  /** The connection may carry another request. */
  #keepAlive = true;
  /** An upgrade is asked for, and there is no answer yet: what comes behind the request waits. */
  #awaitsVerdict: boolean;
  #isUpgraded = false;
  /** The client sent FIN behind its whole request, and is served all the same. */
  #isHalfClosed = false;
  #isOver = false;
  /** The client has not taken the last interim answer yet. */
  #isInterimBlocked = false;
  #traffic: Traffic | null = null;
  /** Null where nobody says who serves it. */
  #server: ExchangeServer | null = null;
  /** That of the server, when it was looked at last. */
  #suspendedMs = 0;
  /** What the exchange has taken of somebody's limits; null where nothing is limited. */
  #lease: Lease | null = null;
  /** Since when it is counted. */
  #startedAt = 0;
  /** Bytes of the request's body that came before. */
  #earlyBytes = 0;
  /** Since when the client takes nothing of the answer; -1 while it does. */
  #blockedAt = -1;

  constructor(host: ExchangeHost, request: ParsedRequest) {
    this.#host = host;
    this.#request = request;
    this.#awaitsVerdict = request.upgrade !== undefined;
    const { clientOf, nextId, scheme, visitorOf } = host.options;
    const visitor = visitorOf === null ? null : visitorOf(host.socket, request.fields, scheme);
    this.head = {
      method: request.method,
      target: request.target,
      scheme: visitor === null ? scheme : visitor.scheme,
      authority: request.authority,
      // TE is a hop-by-hop field, which the parser has taken off. The next hop gets a new one.
      fields: request.acceptsTrailers ? [...request.fields, "TE", "trailers"] : request.fields,
      upgrade: request.upgrade,
      client: visitor === null ? clientOf(host.socket) : visitor.client,
      id: nextId(),
      requestId: visitor === null ? undefined : visitor.requestId,
      isProxied: visitor === null ? undefined : visitor.isProxied,
      visitorConnection: host.name,
      tunnel: undefined,
      onInformational: request.version === "1.1" ? (status, fields) => this.#sendInterim(status, fields) : undefined,
      trailers: request.framing.kind === "chunked" ? () => this.#decoder?.trailers ?? [] : undefined,
      meter: this,
    };
  }

  get traffic(): Traffic | null {
    return this.#traffic;
  }

  countFor(traffic: Traffic): void {
    if (this.#isOver || this.#traffic !== null) return;
    this.#traffic = traffic;
    this.#startedAt = this.#now();
    traffic.active++;
    traffic.bytesIn += this.#earlyBytes;
  }

  servedBy(server: ExchangeServer): void {
    if (this.#isOver) return;
    if (this.#server !== null) this.#server.outstanding--;
    this.#server = server;
    this.#suspendedMs = server.suspendedMs;
    server.outstanding++;
  }

  releaseAtEnd(lease: Lease): void {
    if (this.#isOver) lease.release();
    else this.#lease = lease;
  }

  /** Bytes of the body that wait for the handler. */
  get queuedBytes(): number {
    return this.#body === null ? 0 : this.#body.queuedBytes;
  }

  /**
   * True while more bytes may be read: of the request, or of later ones up to a limit.
   *
   * @param canReadAhead false: only bytes that somebody waits for
   */
  wantsBytes(readAheadBytes: number, canReadAhead: boolean): boolean {
    if (this.#isRequestComplete && !this.#isUpgraded) {
      return canReadAhead && readAheadBytes < this.#host.options.pipelineBytes;
    }
    if (this.#body === null || this.#body.isOver) return true;
    return canReadAhead ? this.#body.canTakeMore : this.#body.isWaiting;
  }

  /**
   * Calls the handler, unless the client's FIN came before the request's end. Its answer is always sent later.
   *
   * @throws {HttpParseError} for a malformed body in the read-ahead: the handler is then not called
   */
  start(handler: Handler): void {
    const body = this.#openBody();
    if (this.#host.hasClientEnded) {
      if (!this.#isRequestWhole) return this.#endWith(this.#clientClosed(), "close");
      this.#isHalfClosed = true;
    }
    let answer: Promise<Answer>;
    try {
      answer = handler(this.head, body, this.#cancel);
    } catch (error) {
      answer = Promise.reject(error);
    }
    answer.then((answer) => this.#takeAnswer(answer), (error) => this.#failAnswer(error));
  }

  /** Takes bytes that arrive during the exchange. */
  takeData(chunk: Uint8Array): void {
    if (this.#isRequestComplete && this.#isUpgraded) {
      this.#countIn(chunk.length);
      return this.#body?.push(chunk);
    }
    if (this.#isRequestComplete) return this.#host.pushReadAhead(chunk);
    try {
      this.#decode(chunk);
    } catch (error) {
      return this.#failRequest(error);
    }
    this.#deliver();
  }

  /** The client's FIN. */
  clientEnded(): void {
    if (this.#isUpgraded && this.#isRequestComplete) return this.#body?.end();
    if (this.#isRequestWhole && halfClosedMs(this.#host.options, this.head.scheme) > 0) {
      this.#isHalfClosed = true;
      return this.#limitHalfClosed();
    }
    if (this.#isAnswerComplete) return this.#endWith(this.#clientClosed(), "close");
    this.#leaveClient();
  }

  /** The socket has closed. After both FINs of an upgraded connection that is its regular end. */
  socketClosed(error: unknown): void {
    if (this.#isUpgraded && error === null && this.#isAnswerComplete && this.#body?.isComplete) return this.#markOver();
    this.abort(new ExchangeAbortedError("client_reset", "The client's connection was lost", error ?? undefined));
  }

  /** Nothing of the request's body has arrived for too long, or nothing was written to a half-closed client. */
  timedOut(): void {
    if (this.#hasStoodStill()) return;
    if (this.#isHalfClosed) return this.#leaveClient();
    const { bodyIdleMs } = this.#host.options;
    const reason = `Nothing of the request's body arrived for ${bodyIdleMs} ms`;
    this.#failRequest(new ExchangeAbortedError("request_timeout", reason));
  }

  /** True where nothing could move for a while, whatever the client did: the timeout then begins anew. */
  #hasStoodStill(): boolean {
    const suspendedMs = this.#server?.suspendedMs ?? 0;
    if (suspendedMs === this.#suspendedMs) return false;
    this.#suspendedMs = suspendedMs;
    if (this.#isHalfClosed) this.#limitHalfClosed();
    else this.#host.timeout.start(this.#host.options.bodyIdleMs);
    return true;
  }

  drained(): void {
    this.#isInterimBlocked = false;
    this.#writer?.drained();
  }

  /**
   * Ends what the handler uses: the signal, the request's body and the answer's body. The socket stays as it is.
   *
   * @param status of the answer, for the counters; 0: there is none. Default: what was sent.
   */
  abort(reason: unknown, status?: number): void {
    if (this.#isOver) return;
    this.#markOver(status);
    this.#host.timeout.stop();
    this.#writer?.stop(reason);
    this.#body?.fail(reason);
    this.#cancel.abort(reason);
  }

  /** The handler waits for more of the request's body. */
  onPull(): void {
    if (this.#isOver) return;
    if (!this.#isRequestComplete) this.#host.timeout.start(this.#host.options.bodyIdleMs);
    this.#host.updateFlow();
  }

  /** The handler took a chunk that had waited. */
  onTaken(): void {
    if (this.#hasQueued && !this.#isOver) this.#host.updateFlow();
  }

  /** The handler canceled the request's body. */
  onCancel(): void {
    if (this.#isOver) return;
    if (!this.#isRequestComplete) this.#host.timeout.stop();
    if (this.#isAnswerComplete) this.#finishIfPossible();
    else this.#host.updateFlow();
  }

  /** The request's body may be silent as long as the answer moves: where its timeout runs, it begins anew. */
  bodyMoved(bytes: number): void {
    this.#host.timeout.touch();
    if (this.#traffic === null) return;
    this.#traffic.bytesOut += bytes;
    if (this.#blockedAt >= 0) this.#endWait(this.#traffic);
  }

  bodyBlocked(): void {
    if (this.#traffic === null || this.#blockedAt >= 0) return;
    this.#blockedAt = this.#now();
    this.#traffic.visitorWait.begin(this.#blockedAt);
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

  /** Nothing more of the request is to come. That of an upgrade goes on in the new protocol, unless it was refused. */
  get #isRequestWhole(): boolean {
    return this.#isRequestComplete && (this.#request.upgrade === undefined || this.#isHeadSent);
  }

  /** Starts the timeout of a half-closed client, once a streamed answer has begun. */
  #limitHalfClosed(): void {
    if (this.#writer === null) return;
    const limitMs = halfClosedAnswerMs(this.#host.options, this.head.scheme, this.#answer!.fields);
    if (limitMs === 0) return this.#leaveClient();
    this.#host.timeout.start(limitMs);
  }

  /**
   * Ends the exchange with a client that has closed, or is taken to have. A reset would drop what was not sent of an
   * earlier answer. But only a reset tells of the end of an answer that is delimited by the close.
   */
  #leaveClient(): void {
    if (this.#host.hasAnswered && this.#framing.kind !== "close") return this.#endWith(this.#clientClosed(), "close");
    this.abort(this.#clientClosed());
    this.#host.socket.reset();
  }

  #endWith(reason: unknown, end: ExchangeEnd): void {
    this.abort(reason);
    this.#host.exchangeOver(end);
  }

  #clientClosed(): ExchangeAbortedError {
    const when = this.#isRequestComplete ? "before its answer ended" : "in the middle of its request";
    return new ExchangeAbortedError("client_closed", `The client closed ${when}`);
  }

  /** The body for the handler: none, the bytes of one that was read already, or a stream. */
  #openBody(): Body {
    const { framing, upgrade } = this.#request;
    if (framing.kind === "none" || (framing.kind === "length" && framing.length === 0)) {
      this.#isRequestComplete = true;
      // Bytes behind the request of an upgrade wait for the answer: without a 101 they are the next request.
      return upgrade === undefined ? null : this.#openStream();
    }
    this.#decoder = new BodyDecoder(framing, this.#host.options.limits);
    for (let bytes = this.#host.shiftReadAhead(); bytes !== null; bytes = this.#host.shiftReadAhead()) {
      this.#decode(bytes);
      if (this.#isRequestComplete) break;
    }
    // The body of an upgrade goes on behind its content.
    const isWhole = this.#isRequestComplete && upgrade === undefined;
    if (isWhole && this.#decoded.length <= 1) return this.#decoded[0] ?? emptyBytes;
    const stream = this.#openStream();
    this.#deliver();
    return stream;
  }

  #openStream(): ReadableStream<Uint8Array> {
    this.#body = new BodySource(this);
    return this.#body.stream;
  }

  #decode(chunk: Uint8Array): void {
    const { content, rest } = decodeRead(this.#decoder as BodyDecoder, chunk);
    if (content.length > 0) {
      this.#countIn(content.length);
      this.#decoded.push(content);
    }
    if (rest === null) return;
    this.#isRequestComplete = true;
    if (rest.length > 0) this.#host.unshiftReadAhead(rest);
  }

  /** Pushes the decoded content to the body's reader. */
  #deliver(): void {
    const body = this.#body as BodySource;
    const decoded = this.#decoded;
    if (decoded.length > 0) this.#decoded = [];
    for (const content of decoded) body.push(content);
    this.#hasQueued = body.queuedBytes > 0;
    if (!this.#isRequestComplete) {
      if (body.isWaiting) this.#host.timeout.start(this.#host.options.bodyIdleMs);
      else this.#host.timeout.stop();
      return;
    }
    this.#host.timeout.stop();
    if (this.#isUpgraded) return this.#deliverRaw();
    if (!this.#awaitsVerdict) body.end();
    if (this.#isAnswerComplete) this.#finishIfPossible();
  }

  /** Pushes what was read behind the request, after a 101. */
  #deliverRaw(): void {
    for (let bytes = this.#host.shiftReadAhead(); bytes !== null; bytes = this.#host.shiftReadAhead()) {
      this.#countIn(bytes.length);
      this.#body?.push(bytes);
    }
  }

  #sendInterim(status: number, fields: Fields): void {
    if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
      throw new InvalidAnswerError(`The interim answer's status is ${status}`);
    }
    // They are optional (RFC 9110 §15.2), and must not pile up for a client that does not read.
    if (this.#isOver || this.#isHeadSent || this.#isInterimBlocked) return;
    this.#isInterimBlocked = !this.#host.socket.write(encodeResponseHead({ status, fields, framing: noBody }));
  }

  #takeAnswer(answer: Answer): void {
    if (this.#isOver) return cancelBody(answer.body, this.#cancel.reason);
    try {
      if (answer.status === 101) this.#sendUpgrade(answer);
      else this.#send(answer);
    } catch (error) {
      cancelBody(answer.body, error);
      this.#failAnswer(error);
    }
  }

  /** There is no answer, or it cannot be written. */
  #failAnswer(error: unknown): void {
    if (this.#isOver) return;
    const { options } = this.#host;
    options.onError(error);
    try {
      this.#send(options.errorAnswer(error, this.head, this.head.client));
    } catch (second) {
      options.onError(second);
      this.#breakOff(second);
    }
  }

  /** The rest of the request cannot be read. */
  #failRequest(error: unknown): void {
    if (!this.#isHeadSent) {
      this.abort(error, REFUSED_STATUS);
      return this.#host.refuse(error, this.head);
    }
    if (!this.#isAnswerComplete) return this.#breakOff(error);
    this.#endWith(error, "linger");
  }

  /** The answer is incomplete: the reset tells the client so. */
  #breakOff(error: unknown): void {
    if (this.#isOver) return;
    if (this.#traffic !== null && this.#isHeadSent) this.#traffic.brokenAnswers++;
    const status = this.#isHeadSent ? undefined : UNANSWERED_STATUS;
    this.abort(new ExchangeAbortedError("answer_failed", "The answer broke off", error), status);
    this.#host.socket.reset();
  }

  #send(answer: Answer): void {
    const { socket, isDraining } = this.#host;
    const request = this.#request;
    const framing = chooseFraming(answer, request);
    const { body } = answer;
    const isStreamed = framing.kind !== "none" && body instanceof ReadableStream;
    // A streamed answer may end after the request's body, and then the connection is free for the next request.
    this.#keepAlive = request.keepAlive && !isDraining && framing.kind !== "close" &&
      (this.#isRequestComplete || isStreamed);
    const { status, reason, fields, upgrade } = answer;
    const head = { status, reason, fields, framing, version: request.version, keepAlive: this.#keepAlive, upgrade };
    const isBare = request.method === "HEAD" || !(body instanceof Uint8Array);
    // Before it is written: its memory may be gone afterwards.
    const wholeBytes = isBare || framing.kind === "none" ? 0 : body.length;
    if (isBare || framing.kind !== "length" || body.length > JOINED_BODY_BYTES) socket.write(encodeResponseHead(head));
    else {
      socket.write(encodeResponseHead(head, body));
      release(body);
    }
    this.#isHeadSent = true;
    this.#answer = answer;
    this.#framing = framing;
    this.#traffic?.answered(this.#now() - this.#startedAt, wholeBytes);
    if (this.#awaitsVerdict) this.#refuseUpgrade();
    if (isStreamed) return this.#startWriter(body);
    if (isBare || framing.kind === "none") cancelBody(body, answerComplete);
    else if (framing.kind === "chunked") return this.#sendWholeChunk(body);
    else if (body.length > JOINED_BODY_BYTES) socket.write(body);
    this.#completeAnswer();
  }

  /** What follows the request's content are requests. */
  #refuseUpgrade(): void {
    this.#awaitsVerdict = false;
    if (this.#isRequestComplete) this.#body?.end();
  }

  #startWriter(body: ReadableStream<Uint8Array>): void {
    try {
      this.#writer = new AnswerWriter(this.#host.socket, this, body, this.#framing);
    } catch (error) {
      return this.bodyFailed(error);
    }
    if (this.#isHalfClosed) this.#limitHalfClosed();
    if (!this.#isOver) this.#writer.run();
  }

  #sendWholeChunk(body: Uint8Array): void {
    if (body.length > 0) writeChunk(this.#host.socket, body);
    this.bodySent();
  }

  #sendUpgrade(answer: Answer): void {
    const asked = this.#request.upgrade;
    const { status, reason, fields, upgrade, body } = answer;
    if (asked === undefined || upgrade === undefined || !isAsked(asked, upgrade)) {
      throw new InvalidAnswerError(`The answer upgrades to ${upgrade} where ${asked ?? "nothing"} was asked for`);
    }
    if (answer.takeSocket !== undefined && !this.#isRequestComplete) {
      throw new InvalidAnswerError("The answer takes the socket before the request's body came");
    }
    const { socket } = this.#host;
    socket.write(encodeResponseHead({ status, reason, fields, framing: noBody, upgrade }));
    this.#isHeadSent = true;
    this.#answer = answer;
    this.#traffic?.answered(this.#now() - this.#startedAt, 0);
    if (answer.takeSocket !== undefined) {
      this.#markOver();
      this.#body?.end();
      return this.#host.giveSocketTo(answer.takeSocket);
    }
    this.#isUpgraded = true;
    this.#framing = closeDelimitedBody;
    if (this.#isRequestComplete) this.#deliverRaw();
    if (body instanceof ReadableStream) this.#startWriter(body);
    else {
      if (body !== null) {
        this.bodyMoved(body.length);
        socket.write(body);
      }
      this.#completeAnswer();
    }
    this.#host.updateFlow();
  }

  #completeAnswer(): void {
    this.#isAnswerComplete = true;
    if (this.#isUpgraded) this.#host.socket.end();
    else this.#finishIfPossible();
  }

  /** The answer is complete. Ends the exchange, unless the handler goes on to read the request. */
  #finishIfPossible(): void {
    if (this.#isOver) return;
    // After an upgrade there are no more requests.
    if (this.#isUpgraded) {
      this.#markOver();
      return this.#host.exchangeOver("linger");
    }
    if (!this.#isRequestComplete) {
      if (this.#body !== null && !this.#body.isOver && this.#body.stream.locked) {
        if (!this.#keepAlive) this.#host.socket.end();
        return;
      }
      this.#markOver();
      this.#body?.fail(answerComplete);
      return this.#host.exchangeOver("linger");
    }
    this.#markOver();
    this.#host.exchangeOver(this.#keepAlive ? "next" : "close");
  }

  #markOver(status = this.#answer?.status ?? 0): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#lease !== null) this.#lease.release();
    if (this.#server !== null) this.#server.outstanding--;
    if (this.#traffic === null) return;
    if (this.#blockedAt >= 0) this.#endWait(this.#traffic);
    this.#traffic.ended(status, this.#now() - this.#startedAt);
  }

  #countIn(bytes: number): void {
    if (this.#traffic === null) this.#earlyBytes += bytes;
    else this.#traffic.bytesIn += bytes;
  }

  #endWait(traffic: Traffic): void {
    traffic.visitorWait.end(this.#blockedAt, this.#now());
    this.#blockedAt = -1;
  }

  #now(): number {
    return cachedClock(this.#host.options.clock).now();
  }
}
