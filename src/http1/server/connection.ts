/**
 * The connection of one client, from the accepted socket to its end:
 *
 *     waiting ──head──▶ serving ──"next"──▶ waiting
 *        │                 ├──"next", many in a row──▶ yielding ──its turn──▶ waiting
 *        │                 ├──"close", "linger"──▶ closing ──both FINs, time──▶ over
 *        └──bad head, FIN, time──────────────────▶ closing
 *
 * In each state the connection is over when its socket closes or is given away. Requests are served one at a time.
 * Bytes of later requests are read ahead up to a limit; then the socket is paused.
 */
import { Timeout, work } from "../../base/mod.ts";
import { cancelBody, type Handler, type RequestHead } from "../../http/mod.ts";
import { compactPieces, concat, emptyBytes, MAX_LOOSE_PIECES, release, share, tightened } from "../../memory/mod.ts";
import {
  Queue,
  type Socket,
  type SocketError,
  type SocketHandlers,
  type TurnTaker,
  waitForTurn,
} from "../../net/mod.ts";
import { encodeResponseHead, HttpParseError, type ParsedRequest, RequestParser } from "../codec/mod.ts";
import { chooseFraming } from "./answer.ts";
import { ExchangeAbortedError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeEnd, ExchangeHost } from "./exchange_host.ts";
import type { HttpServerOptions } from "./options.ts";
import { HeadUnderWay, type RequestMemory } from "./request_memory.ts";

type Phase = "waiting" | "serving" | "yielding" | "closing" | "over";

/** Requests that were read ahead and are served in a row. Answers that need nothing of others take 20 to 50 us each. */
const REQUESTS_PER_TURN = 16;
/** What they cost, with their answers (src/net/turns.ts). */
const UNITS_PER_TURN = REQUESTS_PER_TURN * 1_500;

export class ServerConnection implements SocketHandlers, ExchangeHost, TurnTaker {
  readonly socket: Socket;
  readonly options: HttpServerOptions;
  readonly timeout: Timeout;
  readonly name: string | undefined;
  readonly #handler: Handler;
  readonly #memory: RequestMemory;
  readonly #onOver: (connection: ServerConnection) => void;
  readonly #parser: RequestParser;
  #phase: Phase = "waiting";
  #exchange: Exchange | null = null;
  /** Bytes that were read and belong to no exchange yet. */
  #readAhead: Uint8Array[] = [];
  #readAheadBytes = 0;
  /** What `#memory` was told of. */
  #toldBytes = 0;
  /** Null until a head came in more than one piece. */
  #headUnderWay: HeadUnderWay | null = null;
  #servedInRow = 0;
  /** Requests that were read, and since when; the time is only taken where a connection may grow too old. */
  #requests = 0;
  readonly #acceptedAt: number;
  #isReading = false;
  #isDraining = false;
  #hasClientEnded = false;
  #hasAnswered = false;
  /** True while the timeout is that of the head which is arriving. */
  #isHeadTimed = true;
  /** How many more bytes may be discarded, and until when. */
  #lingerBytes = 0;
  #lingerUntil = 0;

  /** @param onOver called once, when the socket is closed or given away */
  constructor(
    socket: Socket,
    handler: Handler,
    options: HttpServerOptions,
    memory: RequestMemory,
    onOver: (connection: ServerConnection) => void,
  ) {
    this.socket = socket;
    this.options = options;
    this.name = options.nameConnection();
    this.#handler = handler;
    this.#memory = memory;
    this.#onOver = onOver;
    this.#parser = new RequestParser(options.limits);
    this.#acceptedAt = options.maxConnectionAgeMs === Infinity ? 0 : options.clock.now();
    this.timeout = new Timeout(options.clock, () => this.#onTimeout());
  }

  /**
   * Begins to serve.
   *
   * @param first bytes that were read from the socket already
   * @param isDraining true: only one request is served
   */
  start(first: Uint8Array, isDraining: boolean): void {
    this.#isDraining = isDraining;
    this.socket.handlers = this;
    this.timeout.start(this.options.headTimeoutMs);
    if (first.length > 0) this.pushReadAhead(first);
    this.#parseReadAhead();
    this.updateFlow();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** True while an exchange is under way. */
  get isServing(): boolean {
    return this.#phase === "serving";
  }

  get hasClientEnded(): boolean {
    return this.#hasClientEnded;
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** Closes behind the next answer that can announce it; or after `drainIdleMs` without a request. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    const { drainIdleMs, lingerMs } = this.options;
    const isIdle = this.#phase === "waiting" && !this.#parser.hasStarted;
    if (this.#phase === "closing") this.timeout.start(lingerMs);
    else if (drainIdleMs === 0 && (isIdle || this.#phase === "yielding")) this.#close(lingerMs);
    else if (isIdle) {
      // A head that comes has its own time, from its first byte on.
      this.#isHeadTimed = false;
      this.timeout.start(drainIdleMs);
    }
  }

  /** Resets the socket at once. */
  close(): void {
    if (this.#phase === "over") return;
    this.#exchange?.abort(new ExchangeAbortedError("server_closed", "The server was closed"));
    this.socket.reset();
    this.#finish();
  }

  onData(chunk: Uint8Array): void {
    switch (this.#phase) {
      case "waiting":
        this.#readHead(chunk);
        break;
      case "serving":
        this.#exchange?.takeData(chunk);
        break;
      case "yielding":
        this.pushReadAhead(chunk);
        break;
      case "closing":
        return this.#discard(chunk);
      case "over":
        return;
    }
    this.updateFlow();
  }

  onEnd(): void {
    this.#hasClientEnded = true;
    if (this.#phase === "waiting") this.#close(this.options.keepAliveMs);
    else if (this.#phase === "serving") this.#exchange?.clientEnded();
  }

  onDrain(): void {
    this.#exchange?.drained();
  }

  onClose(error: SocketError | null): void {
    if (this.#phase === "over") return;
    const exchange = this.#exchange;
    this.#finish();
    exchange?.socketClosed(error);
  }

  updateFlow(): void {
    if (this.#phase === "over") return;
    this.#tellHeldBytes(this.#readAheadBytes + (this.#exchange?.queuedBytes ?? 0));
    const wants = this.#phase === "serving"
      ? (this.#exchange as Exchange).wantsBytes(this.#readAheadBytes, this.#memory.canReadAhead)
      : this.#phase !== "yielding" || this.#readAheadBytes < this.options.pipelineBytes;
    if (wants === this.#isReading) return;
    this.#isReading = wants;
    if (wants) this.socket.resume();
    else this.socket.pause();
  }

  pushReadAhead(bytes: Uint8Array): void {
    this.#readAhead.push(bytes);
    this.#readAheadBytes += bytes.length;
    // The limit of bytes keeps large ones few.
    if (this.#readAhead.length >= MAX_LOOSE_PIECES) this.#readAhead = compactPieces(this.#readAhead);
  }

  unshiftReadAhead(bytes: Uint8Array): void {
    this.#readAhead.unshift(bytes);
    this.#readAheadBytes += bytes.length;
  }

  shiftReadAhead(): Uint8Array | null {
    const bytes = this.#readAhead.shift();
    if (bytes === undefined) return null;
    this.#readAheadBytes -= bytes.length;
    return bytes;
  }

  exchangeOver(end: ExchangeEnd): void {
    this.#exchange = null;
    this.#hasAnswered = true;
    const { keepAliveMs, lingerMs, drainIdleMs } = this.options;
    if (end !== "next" || (this.#isDraining && drainIdleMs === 0)) {
      return this.#close(end === "close" && !this.#isDraining ? keepAliveMs : lingerMs);
    }
    if (this.#readAheadBytes > 0 && ++this.#servedInRow >= REQUESTS_PER_TURN) {
      this.#phase = "yielding";
      waitForTurn(this);
    } else this.#goOn();
    this.updateFlow();
  }

  /** The turn of requests that were read ahead. */
  takeTurn(): Queue {
    if (this.#phase !== "yielding") return Queue.NONE;
    work.units += UNITS_PER_TURN;
    this.#servedInRow = 0;
    this.#goOn();
    this.updateFlow();
    return Queue.NONE;
  }

  /** Begins to wait for the next request, which may have been read already. */
  #goOn(): void {
    const { keepAliveMs, drainIdleMs } = this.options;
    this.#phase = "waiting";
    // While it drains: the head of the last answer had promised more.
    this.timeout.start(this.#isDraining ? drainIdleMs : keepAliveMs);
    if (this.#readAheadBytes > 0) this.#parseReadAhead();
    if (this.#phase === "waiting" && this.#hasClientEnded) this.#close(keepAliveMs);
  }

  refuse(error: unknown, head: RequestHead | null): void {
    this.#exchange = null;
    this.#phase = "closing";
    const { options, socket } = this;
    try {
      const answer = options.errorAnswer(error, head, options.clientOf(socket));
      const context = head === null ? null : { method: head.method, version: "1.0", acceptsTrailers: false } as const;
      const framing = chooseFraming(answer, context);
      cancelBody(answer.body, error);
      const { status, fields, body } = answer;
      const bytes = head?.method === "HEAD" || !(body instanceof Uint8Array) ? emptyBytes : body;
      socket.write(encodeResponseHead({ status, fields, framing, keepAlive: false }, bytes));
    } catch (failure) {
      socket.reset();
      return options.onError(failure);
    }
    this.#close(options.lingerMs);
  }

  giveSocketTo(take: (socket: Socket, rest: Uint8Array) => void): void {
    const rest = this.#takeReadAhead();
    this.socket.pause();
    this.#exchange = null;
    this.#finish();
    try {
      take(this.socket, rest);
    } catch (error) {
      this.socket.reset();
      this.options.onError(error);
    }
  }

  #parseReadAhead(): void {
    while (this.#phase === "waiting") {
      const bytes = this.shiftReadAhead();
      if (bytes === null) return;
      this.#readHead(bytes);
    }
  }

  #readHead(chunk: Uint8Array): void {
    let request: ParsedRequest | null;
    try {
      request = this.#parser.push(chunk);
    } catch (error) {
      return this.refuse(error, null);
    }
    const rest = this.#parser.takeRest();
    if (rest.length > 0) share(chunk, rest);
    release(chunk);
    if (request !== null) return this.#serve(request, rest);
    if (!this.#parser.hasStarted) return;
    this.#headUnderWay ??= new HeadUnderWay(() => this.#refuseHead());
    this.#memory.headGrew(this.#headUnderWay, this.#parser.heldBytes);
    if (this.#isHeadTimed || this.#phase !== "waiting") return;
    this.#isHeadTimed = true;
    this.timeout.start(this.options.headTimeoutMs);
  }

  #serve(request: ParsedRequest, rest: Uint8Array): void {
    this.#isHeadTimed = false;
    this.timeout.stop();
    if (this.#headUnderWay !== null) this.#memory.headOver(this.#headUnderWay);
    if (rest.length > 0) this.unshiftReadAhead(rest);
    if (this.#isLastRequest()) this.#isDraining = true;
    this.#phase = "serving";
    try {
      this.#exchange = new Exchange(this, request);
      this.#exchange.start(this.#handler);
    } catch (error) {
      // Another error is that of an option's callback.
      if (!(error instanceof HttpParseError)) this.options.onError(error);
      const head = this.#exchange?.head ?? null;
      this.#exchange?.abort(error);
      this.refuse(error, head);
    }
    if (this.#readAheadBytes > 0) this.#readAhead = this.#readAhead.map(tightened);
  }

  /** True where the connection has had as many requests as it may have, or is too old for another one. */
  #isLastRequest(): boolean {
    const { maxRequestsPerConnection, maxConnectionAgeMs, clock } = this.options;
    if (++this.#requests >= maxRequestsPerConnection) return true;
    return maxConnectionAgeMs !== Infinity && clock.now() - this.#acceptedAt >= maxConnectionAgeMs;
  }

  #refuseHead(): void {
    this.refuse(new ExchangeAbortedError("overloaded", "Too many requests are being read at once"), null);
  }

  /** @param bytes that this connection holds of requests now */
  #tellHeldBytes(bytes: number): void {
    if (bytes === this.#toldBytes) return;
    this.#memory.addReadAhead(bytes - this.#toldBytes);
    this.#toldBytes = bytes;
  }

  #dropHead(): void {
    if (this.#headUnderWay !== null) this.#memory.headOver(this.#headUnderWay);
    this.#parser.drop();
  }

  /** Sends FIN, discards further bytes, and waits `waitMs` for the client's FIN. */
  #close(waitMs: number): void {
    this.#phase = "closing";
    this.#takeReadAhead();
    this.#dropHead();
    this.#lingerBytes = this.options.lingerBytes;
    this.#lingerUntil = this.options.clock.now() + this.options.lingerTotalMs;
    this.socket.end();
    this.timeout.start(waitMs);
    this.updateFlow();
  }

  #discard(chunk: Uint8Array): void {
    this.#lingerBytes -= chunk.length;
    release(chunk);
    if (this.#lingerBytes < 0 || this.options.clock.now() >= this.#lingerUntil) return this.socket.reset();
    this.timeout.touch();
  }

  #onTimeout(): void {
    const { options } = this;
    if (this.#phase === "serving") return this.#exchange?.timedOut();
    if (this.#phase === "closing") return this.socket.reset();
    if (!this.#parser.hasStarted) return this.#close(options.lingerMs);
    const reason = `The request's head did not arrive within ${options.headTimeoutMs} ms`;
    this.refuse(new ExchangeAbortedError("request_timeout", reason), null);
  }

  #takeReadAhead(): Uint8Array {
    const chunks = this.#readAhead;
    const bytes = this.#readAheadBytes;
    this.#readAhead = [];
    this.#readAheadBytes = 0;
    return chunks.length < 2 ? chunks[0] ?? emptyBytes : concat(chunks, bytes);
  }

  #finish(): void {
    this.#phase = "over";
    this.timeout.close();
    this.#tellHeldBytes(0);
    this.#dropHead();
    this.#onOver(this);
  }
}
