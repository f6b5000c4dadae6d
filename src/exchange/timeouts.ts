/**
 * Timeouts that know streams: the head of the answer must come within `firstByteMs` (an upload that moves pushes that
 * back), a body may be silent for `idleMs` counting the bytes of both directions, nothing limits the whole. SSE, NDJSON
 * and upgraded streams may be silent for ever.
 */
import { type CancelSignal, CancelSource } from "../cancel.ts";
import type { Clock } from "../clock.ts";
import { RunnelError } from "../errors.ts";
import { fieldValue } from "../http1/fields.ts";
import type { Answer, Body, Handler, RequestHead } from "../http1/message.ts";
import { cancelBody } from "../http1/server_answer.ts";
import { ExchangeError } from "./errors.ts";
import { isLiveFormat } from "./media_type.ts";
import { type Tap, tap } from "./tap.ts";
import { type Timeout, type TimeoutListener, TimeoutQueue } from "./timeout_queue.ts";

export interface ExchangeTimeouts {
  /** Milliseconds until the answer's head. Default 60,000. */
  firstByteMs: number;
  /** Milliseconds without a byte in either direction, once the answer began. Default 300,000. */
  idleMs: number;
}

export const defaultExchangeTimeouts: ExchangeTimeouts = { firstByteMs: 60_000, idleMs: 300_000 };

/** Wraps handlers; one for each pair of lengths, since the queues behind it are shared by all exchanges. */
export class TimeoutGuard {
  readonly #firstByteMs: number;
  readonly #idleMs: number;
  readonly #firstByte: TimeoutQueue;
  readonly #idle: TimeoutQueue;

  constructor(clock: Clock, timeouts: ExchangeTimeouts = defaultExchangeTimeouts) {
    this.#firstByteMs = timeouts.firstByteMs;
    this.#idleMs = timeouts.idleMs;
    this.#firstByte = new TimeoutQueue(clock, timeouts.firstByteMs);
    this.#idle = new TimeoutQueue(clock, timeouts.idleMs);
  }

  /** Asks `handler`; rejects with `upstream_timeout` where no head comes, and breaks off an answer that falls silent. */
  ask(handler: Handler, head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> {
    return new GuardedExchange(this, signal).run(handler, head, body);
  }

  awaitHead(exchange: TimeoutListener): Timeout {
    return this.#firstByte.add(exchange);
  }

  awaitBody(exchange: TimeoutListener): Timeout {
    return this.#idle.add(exchange);
  }

  /** Why an exchange ends whose time has passed. */
  timeoutError(isAnswered: boolean): ExchangeError {
    const reason = isAnswered ? `Nothing moved for ${this.#idleMs} ms` : `No answer within ${this.#firstByteMs} ms`;
    return new ExchangeError("upstream_timeout", reason);
  }
}

/** One exchange under guard: what its handler gets as signal, which aborts with the asking side's and with the time. */
class GuardedExchange extends CancelSource implements Tap {
  readonly #guard: TimeoutGuard;
  readonly #signal: CancelSignal;
  #timeout: Timeout;
  #isAnswered = false;

  constructor(guard: TimeoutGuard, signal: CancelSignal) {
    super();
    this.#guard = guard;
    this.#signal = signal;
    this.#timeout = guard.awaitHead(this);
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener("abort", this);
  }

  run(handler: Handler, head: RequestHead, body: Body): Promise<Answer> {
    const tapped = body instanceof ReadableStream ? tap(body, { onChunk: () => this.onChunk() }) : body;
    let answer: Promise<Answer>;
    try {
      answer = handler(head, tapped, this);
    } catch (error) {
      answer = Promise.reject(error);
    }
    return answer.then((answer) => this.#pass(answer, tapped), (error) => this.#fail(error, tapped));
  }

  /** The asking side's signal aborted. */
  handleEvent(): void {
    this.abort(this.#signal.reason);
  }

  handleTimeout(): void {
    this.abort(this.#guard.timeoutError(this.#isAnswered));
  }

  onChunk(): void {
    this.#timeout.touch();
  }

  onOver(): void {
    this.#timeout.cancel();
    this.#signal.removeEventListener("abort", this);
  }

  #pass(answer: Answer, requestBody: Body): Answer {
    this.#isAnswered = true;
    if (!(answer.body instanceof ReadableStream)) {
      this.onOver();
      return answer;
    }
    this.#timeout.cancel();
    if (isExempt(answer)) return answer;
    try {
      const body = tap(answer.body, this);
      this.#timeout = this.#guard.awaitBody(this);
      return { ...answer, body };
    } catch (error) {
      // Somebody reads the answer's body already.
      return this.#fail(error, requestBody);
    }
  }

  #fail(error: unknown, requestBody: Body): never {
    this.onOver();
    // The server waits for whoever has a request's body: one that the handler left unread would have nobody.
    cancelBody(requestBody, error);
    throw this.reason instanceof RunnelError ? this.reason : error;
  }
}

function isExempt(answer: Answer): boolean {
  return answer.status === 101 || isLiveFormat(fieldValue(answer.fields, "content-type"));
}
