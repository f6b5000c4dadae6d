/**
 * One client's connection, from its socket to its end:
 *
 *     waiting ──head──▶ serving ──"next"──▶ waiting
 *        │                 ├──"close", "linger"──▶ closing ──both FINs, time──▶ over
 *        └──bad head, FIN, time──────────────────▶ closing
 *
 * and from each of them to over when the socket closes or is handed over. Requests are served one at a time; what a
 * client sends ahead waits, in bounds, and then in its own kernel.
 */
import type { Socket, SocketError, SocketHandlers } from "../../net/mod.ts";
import { cancelBody, type Handler, type RequestHead } from "../../http/mod.ts";
import { encodeAnswerHead, HttpParseError, type ParsedRequest, RequestParser } from "../codec/mod.ts";
import { answerFraming } from "./answer.ts";
import { ExchangeAbortedError } from "./errors.ts";
import { Exchange, type ExchangeEnd, type ExchangeHost } from "./exchange.ts";
import type { HttpServerOptions } from "./options.ts";
import { concat, emptyBytes } from "../../memory/mod.ts";
import { Timeout } from "../../base/mod.ts";

type Phase = "waiting" | "serving" | "closing" | "over";

export class ServerConnection implements SocketHandlers, ExchangeHost {
  readonly socket: Socket;
  readonly options: HttpServerOptions;
  readonly deadline: Timeout;
  readonly #handler: Handler;
  readonly #onOver: (connection: ServerConnection) => void;
  readonly #parser: RequestParser;
  #phase: Phase = "waiting";
  #exchange: Exchange | null = null;
  /** Bytes that were read and belong to no exchange yet. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isReading = false;
  #isDraining = false;
  #clientEnded = false;
  /** The deadline is that of the head which is coming in. */
  #headTimed = true;
  /** What may still be discarded. */
  #lingerBytes = 0;

  /** @param onOver called once: the socket is closed, or somebody else's */
  constructor(
    socket: Socket,
    handler: Handler,
    options: HttpServerOptions,
    onOver: (connection: ServerConnection) => void,
  ) {
    this.socket = socket;
    this.options = options;
    this.#handler = handler;
    this.#onOver = onOver;
    this.#parser = new RequestParser(options.limits);
    this.deadline = new Timeout(options.clock, () => this.#timePassed());
  }

  /**
   * Begins to serve.
   *
   * @param first bytes that were already read from the socket
   * @param isDraining true: the first request is the last one
   */
  start(first: Uint8Array, isDraining: boolean): void {
    this.#isDraining = isDraining;
    this.socket.handlers = this;
    this.deadline.start(this.options.headTimeoutMs);
    if (first.length > 0) this.hold(first);
    this.#readHeld();
    this.updateFlow();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Serves what has begun, announces the close to its client, then closes. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    if (this.#phase === "waiting" && !this.#parser.started) this.#close(this.options.lingerMs);
    else if (this.#phase === "closing") this.deadline.start(this.options.lingerMs);
  }

  /** Resets it now. */
  close(): void {
    if (this.#phase === "over") return;
    this.#exchange?.release(new ExchangeAbortedError("server_closed", "The server was closed"));
    this.socket.reset();
    this.#end();
  }

  onData(chunk: Uint8Array): void {
    switch (this.#phase) {
      case "waiting":
        this.#readHead(chunk);
        break;
      case "serving":
        this.#exchange?.takeData(chunk);
        break;
      case "closing":
        return this.#discard(chunk);
      case "over":
        return;
    }
    this.updateFlow();
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#phase === "waiting") this.#close(this.options.keepAliveMs);
    else if (this.#phase === "serving") this.#exchange?.clientEnded();
  }

  onDrain(): void {
    this.#exchange?.drained();
  }

  onClose(error: SocketError | null): void {
    if (this.#phase === "over") return;
    const exchange = this.#exchange;
    this.#end();
    exchange?.socketClosed(error);
  }

  updateFlow(): void {
    if (this.#phase === "over") return;
    const wants = this.#phase !== "serving" || (this.#exchange as Exchange).wantsBytes(this.#heldBytes);
    if (wants === this.#isReading) return;
    this.#isReading = wants;
    if (wants) this.socket.resume();
    else this.socket.pause();
  }

  hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  putBack(bytes: Uint8Array): void {
    this.#held.unshift(bytes);
    this.#heldBytes += bytes.length;
  }

  takeHeld(): Uint8Array | null {
    const bytes = this.#held.shift();
    if (bytes === undefined) return null;
    this.#heldBytes -= bytes.length;
    return bytes;
  }

  exchangeOver(end: ExchangeEnd): void {
    this.#exchange = null;
    const { keepAliveMs, lingerMs } = this.options;
    if (end !== "next") return this.#close(end === "close" && !this.#isDraining ? keepAliveMs : lingerMs);
    this.#phase = "waiting";
    this.deadline.start(keepAliveMs);
    if (this.#heldBytes > 0) this.#readHeld();
    if (this.#phase === "waiting" && this.#clientEnded) return this.#close(keepAliveMs);
    this.updateFlow();
  }

  refuse(error: unknown, head: RequestHead | null): void {
    this.#exchange = null;
    this.#phase = "closing";
    const { options, socket } = this;
    try {
      const answer = options.errorAnswer(error, head);
      const context = head === null ? null : { method: head.method, version: "1.0", acceptsTrailers: false } as const;
      const framing = answerFraming(answer, context);
      cancelBody(answer.body, error);
      const { status, fields, body } = answer;
      const bytes = head?.method === "HEAD" || !(body instanceof Uint8Array) ? emptyBytes : body;
      socket.write(encodeAnswerHead({ status, fields, framing, keepAlive: false }, bytes));
    } catch (failure) {
      socket.reset();
      return options.onError(failure);
    }
    this.#close(options.lingerMs);
  }

  handOver(take: (socket: Socket, rest: Uint8Array) => void): void {
    const rest = this.#takeAllHeld();
    this.socket.pause();
    this.#exchange = null;
    this.#end();
    try {
      take(this.socket, rest);
    } catch (error) {
      this.socket.reset();
      this.options.onError(error);
    }
  }

  #readHeld(): void {
    while (this.#phase === "waiting") {
      const bytes = this.takeHeld();
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
    if (request !== null) return this.#serve(request, this.#parser.rest);
    if (this.#headTimed || !this.#parser.started) return;
    this.#headTimed = true;
    this.deadline.start(this.options.headTimeoutMs);
  }

  #serve(request: ParsedRequest, rest: Uint8Array): void {
    this.#headTimed = false;
    this.deadline.stop();
    if (rest.length > 0) this.putBack(rest);
    this.#phase = "serving";
    try {
      this.#exchange = new Exchange(this, request);
      this.#exchange.start(this.#handler);
    } catch (error) {
      // Anything else is a callback of the options that threw.
      if (!(error instanceof HttpParseError)) this.options.onError(error);
      const head = this.#exchange?.head ?? null;
      this.#exchange?.release(error);
      this.refuse(error, head);
    }
  }

  /** Sends FIN, discards what still comes, and waits `waitMs` for the client's FIN. */
  #close(waitMs: number): void {
    this.#phase = "closing";
    this.#takeAllHeld();
    this.#lingerBytes = this.options.lingerBytes;
    this.socket.end();
    this.deadline.start(waitMs);
    this.updateFlow();
  }

  #discard(chunk: Uint8Array): void {
    this.#lingerBytes -= chunk.length;
    if (this.#lingerBytes < 0) this.socket.reset();
  }

  #timePassed(): void {
    const { options } = this;
    if (this.#phase === "serving") return this.#exchange?.bodyTimedOut();
    if (this.#phase === "closing") return this.socket.reset();
    if (!this.#parser.started) return this.#close(options.lingerMs);
    const reason = `The request's head did not come within ${options.headTimeoutMs} ms`;
    this.refuse(new ExchangeAbortedError("request_timeout", reason), null);
  }

  #takeAllHeld(): Uint8Array {
    const held = this.#held;
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    return held.length < 2 ? held[0] ?? emptyBytes : concat(held, bytes);
  }

  #end(): void {
    this.#phase = "over";
    this.deadline.close();
    this.#onOver(this);
  }
}
