/**
 * One request to the upstream and its answer, on one connection, or on a second one where the first was stale.
 *
 *     waiting ─ start ─▶ head ─ final head ─▶ body ─ last byte ─▶ over
 *        ▲                │ └──── whole answer ────────────────────▲
 *        └─ stale socket ─┘ └──── 101 ─▶ upgraded ─ both FINs ─────┤
 *     any ──────────────────── fail, abort ────────────────────────┘
 *
 * The request's body is sent at the same time (`Upload`). The answer may begin, and end, before the body ends. The
 * client's bytes in a new protocol follow the body, and wait for the 101.
 */
import { type CancelSignal, FloodBudget, showText, type Timer, work } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  type BodyOwner,
  BodySource,
  cancelBody,
  type Fields,
  isAsked,
  type RequestHead,
  streamOf,
  UpstreamError,
  withoutHost,
} from "../../http/mod.ts";
import { release, share } from "../../memory/mod.ts";
import { afterPoll, type PollListener, type SocketError } from "../../net/mod.ts";
import { BodyDecoder, decodeRead, HttpParseError, type ParsedResponse } from "../codec/mod.ts";
import type { ClientConnection, ConnectionUser } from "./connection.ts";
import type { ClientSettings } from "./options.ts";
import type { ConnectionPool, PendingRequest } from "./pool.ts";
import type { RequestPlan } from "./request.ts";
import { Upload, type UploadFraming, type UploadOwner } from "./upload.ts";

/** Interim answers that are passed on. Further ones are dropped. */
const MAX_INTERIM_ANSWERS = 16;
/**
 * Without a final answer an upstream may send so many interim ones at once, and so many a second. More is a 502. A 102
 * is sent each few seconds (RFC 2518 §10.1), and a page has a few 103s. Each KiB of a head counts as one more.
 */
const INTERIM_BURST = 256;
const INTERIM_PER_SECOND = 16;
/** What one costs beside its bytes (src/net/turns.ts). */
const UNITS_PER_INTERIM = 64;
/** A body that arrived with its head is bytes up to here, and a stream if it is longer. */
const MAX_WHOLE_BYTES = 64 * 1024;
/**
 * An upstream that closes before it has read a request's body resets the connection, and Bun then drops what a paused
 * socket has not read. So of the answer to a request with a body this much is read ahead of its reader.
 */
const EARLY_READ_BYTES = 64 * 1024;
/**
 * Such a reset ends an answer until the close, up to here. So much leaves the upstream's kernel at once (RFC 6928: ten
 * segments), and the reset is taken only behind what left before it (RFC 5961 §3.2). Of a longer answer the end may
 * have been dropped with the upstream's socket.
 */
const MAX_RESET_CLOSE_BYTES = 8 * 1024;

type Phase = "waiting" | "head" | "body" | "upgraded" | "over";

export class ClientExchange implements PendingRequest, ConnectionUser, UploadOwner, BodyOwner, PollListener {
  readonly answer: Promise<Answer>;
  readonly needsFreshConnection: boolean;
  readonly visitorConnection: string | undefined;

  readonly #pool: ConnectionPool;
  readonly #settings: ClientSettings;
  readonly #head: RequestHead;
  readonly #body: Body;
  /** The client's bytes behind a 101; null where no upgrade is asked for. */
  readonly #raw: Body;
  readonly #signal: CancelSignal;
  readonly #plan: RequestPlan;
  #resolve!: (answer: Answer) => void;
  #reject!: (error: UpstreamError) => void;

  #phase: Phase = "waiting";
  #connection: ClientConnection | null = null;
  #upload: Upload | null = null;
  /** The head was written. */
  #isSent = false;
  /** The whole request was sent. */
  #isUploaded = false;
  /** The upstream takes no more of the request. */
  #isBroken = false;
  #firstByteTimer: Timer | null = null;
  /** Bytes of an answer arrived: the upstream has processed the request. */
  #hasAnswerBegun = false;
  #interimAnswers = 0;
  /** Null until one comes that is not passed on. */
  #interimBudget: FloodBudget | null = null;
  #keepAlive = false;
  /** Bytes of the answer's body so far, and those that the reader has not asked for. */
  #answerBytes = 0;
  #readAheadBytes = 0;
  #decoder: BodyDecoder | null = null;
  #answerBody: BodySource | null = null;
  /** While upgraded: the upstream's FIN came. */
  #hasUpstreamEnded = false;

  constructor(
    pool: ConnectionPool,
    settings: ClientSettings,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
    plan: RequestPlan,
    raw: Body,
  ) {
    this.#pool = pool;
    this.#settings = settings;
    this.#head = head;
    this.#body = body;
    this.#raw = raw;
    this.#signal = signal;
    this.#plan = plan;
    this.needsFreshConnection = !plan.isReplayable;
    this.visitorConnection = settings.connectionAuth ? head.visitorConnection : undefined;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal.addEventListener("abort", this);
  }

  /** The signal aborted. */
  handleEvent(): void {
    this.fail(UpstreamError.ofCancel(this.#signal.reason));
  }

  start(connection: ClientConnection): void {
    this.#phase = "head";
    this.#connection = connection;
    connection.assign(this);
    if (this.#plan.isConnectionAuth) connection.isAuthenticated = true;
    // The upstream's FIN may have come, and not been read. While nothing is sent, nothing is lost by that.
    if (connection.isReused && !this.#plan.isReplayable) afterPoll(this);
    else this.#send(connection);
  }

  onPolled(): void {
    if (this.#phase !== "head" || this.#isSent || this.#connection!.socket.closed) return;
    this.#send(this.#connection!);
    // Before another turn of the event loop passes. A streamed body leaves together with the head.
    if (this.#upload === null) this.#connection!.socket.flush();
  }

  #send(connection: ClientConnection): void {
    this.#isSent = true;
    connection.socket.write(this.#plan.head);
    const { framing } = this.#plan;
    if (this.#body === null) return this.onUploaded();
    if (this.#body instanceof ReadableStream) return this.#beginUpload(this.#body, connection, framing);
    if (framing.kind === "chunked") return this.#beginUpload(streamOf(this.#body), connection, framing);
    connection.socket.write(this.#body);
    this.onUploaded();
  }

  /** The whole request was sent; after a 101 also: all bytes of the new protocol were. */
  onUploaded(): void {
    const isRequest = !this.#isUploaded;
    this.#isUploaded = true;
    if (isRequest && this.#phase === "upgraded") return this.#beginRaw();
    const { firstByteMs, clock } = this.#settings;
    if (firstByteMs === null || this.#phase !== "head") return;
    this.#firstByteTimer = clock.after(firstByteMs, () => {
      this.fail(new UpstreamError("upstream_timeout", `The upstream did not answer within ${firstByteMs} ms`));
    });
  }

  onUploadFailed(error: UpstreamError): void {
    this.fail(error);
  }

  /** The reader of the answer waits for bytes. */
  onPull(): void {
    this.#readAheadBytes = 0;
    if (this.#phase !== "over") this.#connection!.resume();
  }

  /** The reader of the answer canceled. */
  onCancel(reason: unknown): void {
    this.fail(UpstreamError.ofCancel(reason));
  }

  onDrain(): void {
    this.#upload?.drained();
  }

  onData(chunk: Uint8Array): void {
    if (this.#phase === "body") this.#readBody(chunk);
    else if (this.#phase === "upgraded") this.#deliver(chunk);
    else if (this.#phase !== "head") return;
    else if (this.#isSent) this.#readHead(chunk);
    // It answers nothing, but says why the upstream closes.
    else this.#connection!.socket.reset();
  }

  onEnd(): void {
    if (this.#phase === "upgraded") {
      this.#hasUpstreamEnded = true;
      this.#answerBody!.end();
    } else if (this.#phase === "body") {
      this.#endBody();
    } else if (this.#canRetry) {
      // The second attempt begins in `onClose`.
      this.#connection!.socket.reset();
    } else {
      this.#failEarly(null);
    }
  }

  /** The upstream may have answered before it had read the body. Without one a reset has nothing to say. */
  onBroken(): boolean {
    if (this.#body === null) return false;
    this.#isBroken = true;
    this.#upload?.stop(new UpstreamError("upstream_closed", "The upstream takes no more of the request's body"));
    return true;
  }

  onClose(error: SocketError | null): void {
    if (this.#phase === "upgraded") {
      if (error === null && this.#hasUpstreamEnded) this.#finish();
      else this.fail(UpstreamError.ofLoss("upstream_reset", "The upstream broke off the upgraded connection", error));
    } else if (this.#phase === "body" && this.#isWholeUntilReset) {
      this.#endBody();
    } else if (this.#phase === "body") {
      this.fail(UpstreamError.ofLoss("upstream_reset", "The upstream broke off its answer", error));
    } else if (this.#canRetry) {
      this.#firstByteTimer?.cancel();
      this.#phase = "waiting";
      this.#connection = null;
      this.#pool.acquireNew(this);
    } else {
      this.#failEarly(error);
    }
  }

  /** The connection is over, and the answer's head is not there. */
  #failEarly(error: SocketError | null): void {
    if (this.#hasAnswerBegun) {
      return this.fail(UpstreamError.ofLoss("upstream_closed", "The upstream closed within its answer's head", error));
    }
    const { target } = this.#settings;
    // What many servers with TLS do with a plain request.
    const remedy = target.kind === "tcp" && target.tls === undefined ? "if it speaks TLS, TARGET needs https://" : null;
    this.fail(UpstreamError.ofLoss("upstream_closed", "The upstream closed before its answer", error, remedy));
  }

  /** The upstream may have closed an idle connection just when it was used. Then nothing was lost. */
  get #canRetry(): boolean {
    return this.#connection!.isReused && !this.#hasAnswerBegun && (this.#plan.isReplayable || !this.#isSent);
  }

  get #isWholeUntilReset(): boolean {
    return this.#body !== null && this.#decoder!.isUntilClose && this.#answerBytes <= MAX_RESET_CLOSE_BYTES;
  }

  #beginUpload(body: ReadableStream<Uint8Array>, connection: ClientConnection, framing: UploadFraming): void {
    this.#upload = new Upload(body, connection.socket, framing, this, this.#head.trailers);
    this.#upload.run();
  }

  #readHead(chunk: Uint8Array): void {
    const isFirst = !this.#hasAnswerBegun;
    this.#hasAnswerBegun = true;
    const { parser } = this.#connection!;
    let unread = chunk;
    for (;;) {
      let parsed: ParsedResponse | null;
      try {
        parsed = parser.push(unread, this.#head.method);
      } catch (cause) {
        const line = parser.faultyLine(unread);
        if (!isFirst || unread !== chunk) return this.fail(UpstreamError.ofParse(cause, line));
        return this.fail(UpstreamError.ofFirstBytes(cause, chunk, line));
      }
      const { rest } = parser;
      const headBytes = unread.length - rest.length;
      // The head was copied into strings, so only the bytes after it are needed.
      if (rest.length > 0) share(unread, rest);
      release(unread);
      if (parsed === null) return;
      const fields = withoutHost(parsed.fields);
      if (fields !== parsed.fields) parsed = { ...parsed, fields };
      if (parsed.status >= 200 || parsed.status === 101) return this.#begin(parsed, rest);
      work.units += UNITS_PER_INTERIM + headBytes;
      if (!this.#passInterim(parsed, headBytes)) return void release(rest);
      unread = rest;
      if (unread.length === 0 || this.#isOver()) return;
    }
  }

  // A method, because the compiler assumes that callbacks do not change the phase.
  #isOver(): boolean {
    return this.#phase === "over";
  }

  /** False where it was one too many. */
  #passInterim(parsed: ParsedResponse, headBytes: number): boolean {
    if (++this.#interimAnswers > MAX_INTERIM_ANSWERS) return this.#dropInterim(headBytes);
    try {
      this.#head.onInformational?.(parsed.status, parsed.fields);
    } catch (cause) {
      this.fail(UpstreamError.ofCancel(cause));
    }
    return true;
  }

  #dropInterim(headBytes: number): boolean {
    const now = this.#settings.clock.now();
    this.#interimBudget ??= new FloodBudget(now, INTERIM_BURST, INTERIM_PER_SECOND);
    if (this.#interimBudget.take(now, 0, 1 + headBytes / 1024)) return true;
    const reason = `The upstream sent ${this.#interimAnswers} interim answers (1xx) and no final one`;
    this.fail(new UpstreamError("upstream_invalid", reason));
    return false;
  }

  /** The final head was read, with `rest` behind it. */
  #begin(parsed: ParsedResponse, rest: Uint8Array): void {
    this.#firstByteTimer?.cancel();
    if (parsed.isConnectionAuth) this.#connection!.isAuthenticated = true;
    if (parsed.status === 101) return this.#beginUpgraded(parsed, rest);
    if (this.#raw !== null) cancelBody(this.#raw, new UpstreamError("canceled", "The upgrade was refused"));
    this.#keepAlive = parsed.keepAlive;
    if (parsed.keepAliveSeconds !== -1) this.#connection!.keepFor(parsed.keepAliveSeconds * 1_000);
    const { status, reason, fields, framing, upgrade } = parsed;
    if (framing.kind === "none") {
      this.#resolve({ status, reason, fields, body: null, upgrade });
      return this.#complete(rest.length === 0);
    }
    // A small answer that has arrived: the usual case, for which no decoder is needed.
    if (framing.kind === "length" && framing.length <= Math.min(rest.length, MAX_WHOLE_BYTES)) {
      const isAll = framing.length === rest.length;
      this.#resolve({ status, reason, fields, body: isAll ? rest : rest.subarray(0, framing.length), upgrade });
      return this.#complete(isAll);
    }
    this.#beginBody(parsed, rest);
  }

  #beginBody({ status, reason, fields, framing, upgrade }: ParsedResponse, read: Uint8Array): void {
    const decoder = new BodyDecoder(framing, this.#settings.limits, "response");
    this.#decoder = decoder;
    const trailers = (): Fields => decoder.trailers;
    let content: Uint8Array = read;
    let rest: Uint8Array | null = null;
    if (read.length > 0) {
      try {
        ({ content, rest } = decodeRead(decoder, read));
      } catch (cause) {
        return this.fail(UpstreamError.ofParse(cause));
      }
    }
    // Only a stream can be followed by trailers.
    if (rest !== null && content.length <= MAX_WHOLE_BYTES && decoder.trailers.length === 0) {
      this.#resolve({ status, reason, fields, body: content, upgrade });
      return this.#complete(rest.length === 0);
    }
    this.#phase = "body";
    this.#resolve({ status, reason, fields, body: this.#openBody(), upgrade, trailers });
    this.#take(content, rest);
  }

  #readBody(read: Uint8Array): void {
    let content: Uint8Array;
    let rest: Uint8Array | null;
    try {
      ({ content, rest } = decodeRead(this.#decoder!, read));
    } catch (cause) {
      return this.fail(UpstreamError.ofParse(cause));
    }
    this.#take(content, rest);
  }

  #take(content: Uint8Array, rest: Uint8Array | null): void {
    if (content.length > 0) this.#deliver(content);
    if (rest === null) return;
    this.#answerBody!.end();
    this.#complete(rest.length === 0);
  }

  #deliver(chunk: Uint8Array): void {
    this.#answerBytes += chunk.length;
    this.#readAheadBytes += chunk.length;
    // Before the push, which may call `onPull` at once.
    if (!this.#canReadAhead) this.#connection!.pause();
    this.#answerBody!.push(chunk);
  }

  get #canReadAhead(): boolean {
    return this.#body !== null && this.#phase === "body" && this.#readAheadBytes < EARLY_READ_BYTES;
  }

  /** From now on the socket is read when the body's reader asks. */
  #openBody(): ReadableStream<Uint8Array> {
    if (!this.#canReadAhead) this.#connection!.pause();
    this.#answerBody = new BodySource(this);
    return this.#answerBody.stream;
  }

  /** FIN in the body: its end where it is delimited by the close (RFC 9112 §6.3), else an error. */
  #endBody(): void {
    try {
      this.#decoder!.finish();
    } catch (cause) {
      const detail = cause instanceof HttpParseError ? `: ${cause.reason}` : "";
      return this.fail(new UpstreamError("upstream_closed", `The upstream ended its answer early${detail}`, cause));
    }
    this.#keepAlive = false;
    this.#answerBody!.end();
    this.#complete(true);
  }

  #beginUpgraded(parsed: ParsedResponse, rest: Uint8Array): void {
    const asked = this.#head.upgrade;
    if (asked === undefined || parsed.upgrade === undefined || !isAsked(asked, parsed.upgrade)) {
      const agreed = showText(parsed.upgrade ?? "nothing");
      const reason = `The upstream switched to ${agreed}, asked for was ${showText(asked ?? "nothing")}`;
      return this.fail(new UpstreamError("upstream_invalid", reason));
    }
    this.#phase = "upgraded";
    const { status, reason, fields, upgrade } = parsed;
    this.#resolve({ status, reason, fields, upgrade, body: this.#openBody() });
    if (rest.length > 0) this.#deliver(rest);
    // The upstream may switch before it has the whole request: the client's bytes begin behind that.
    if (this.#isUploaded) this.#beginRaw();
  }

  #beginRaw(): void {
    const connection = this.#connection!;
    if (this.#raw instanceof ReadableStream) return this.#beginUpload(this.#raw, connection, { kind: "raw" });
    if (this.#raw !== null) connection.socket.write(this.#raw);
    connection.socket.end();
  }

  /** The answer is complete. @param isAll true: no bytes follow it, which would belong to no request */
  #complete(isAll: boolean): void {
    const connection = this.#connection!;
    const isClean = this.#isUploaded && !this.#isBroken && isAll && connection.socket.bufferedBytes === 0;
    this.#finish();
    if (!isClean) return connection.reset();
    if (!this.#keepAlive || this.#decoder?.isIrregular || this.#isUpgradeRefused) return connection.end();
    this.#pool.release(connection, this);
  }

  /**
   * Node's server says nothing more on such a connection once it cannot read a request: it takes the bytes for those of the
   * new protocol. Signing in, as by NTLM, takes several answers on one connection.
   */
  get #isUpgradeRefused(): boolean {
    return this.#head.upgrade !== undefined && !this.#connection!.isAuthenticated;
  }

  /** Ends everything but the connection. */
  #finish(): void {
    this.#phase = "over";
    this.#signal.removeEventListener("abort", this);
    this.#firstByteTimer?.cancel();
    this.#upload?.stop(new UpstreamError("canceled", "The answer ended before the request's body"));
  }

  fail(error: UpstreamError): void {
    if (this.#phase === "over") return;
    if (this.#phase === "waiting") this.#pool.cancel(this);
    this.#connection?.reset();
    this.#upload?.stop(error);
    cancelBody(this.#body, error);
    cancelBody(this.#raw, error);
    this.#finish();
    if (this.#answerBody === null) this.#reject(error);
    else this.#answerBody.fail(error);
  }
}
