/**
 * Timeouts of an exchange. The answer's head must arrive within `firstByteMs`, counted anew with each chunk of the
 * request's body. Then the exchange may be silent for `idleMs`, in both directions together. There is no limit on the
 * whole, and none on the silence of SSE, NDJSON and upgraded streams.
 */
import { type CancelSignal, CancelSource, type Clock, RunnelError, Timeout } from "../base/mod.ts";
import { type BodyObserver, cancelBody, observeBody } from "./body/mod.ts";
import { fieldValue } from "./fields.ts";
import { isLiveFormat } from "./media_type.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";
import { ExchangeError } from "./problems.ts";

export interface ExchangeTimeouts {
  /** Milliseconds until the answer's head. Default 60,000. */
  firstByteMs: number;
  /** Milliseconds without a byte in either direction, once the answer's head is there. Default 300,000. */
  idleMs: number;
}

export const defaultExchangeTimeouts: ExchangeTimeouts = { firstByteMs: 60_000, idleMs: 300_000 };

/** Calls handlers under these timeouts. */
export class TimeoutGuard {
  readonly clock: Clock;
  readonly timeouts: ExchangeTimeouts;

  constructor(clock: Clock, timeouts: ExchangeTimeouts = defaultExchangeTimeouts) {
    this.clock = clock;
    this.timeouts = timeouts;
  }

  /**
   * Calls `handler`. Rejects with `upstream_timeout` where no head arrives, and breaks off an answer that is silent.
   */
  call(handler: Handler, head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> {
    return new GuardedExchange(this, signal).run(handler, head, body);
  }
}

/** One exchange under guard, and the signal for its handler: it aborts with the caller's signal and at a timeout. */
class GuardedExchange extends CancelSource implements BodyObserver {
  readonly #timeouts: ExchangeTimeouts;
  readonly #signal: CancelSignal;
  readonly #timeout: Timeout;
  #isAnswered = false;

  constructor(guard: TimeoutGuard, signal: CancelSignal) {
    super();
    this.#timeouts = guard.timeouts;
    this.#signal = signal;
    this.#timeout = new Timeout(guard.clock, this);
    this.#timeout.start(this.#timeouts.firstByteMs);
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener("abort", this);
  }

  run(handler: Handler, head: RequestHead, body: Body): Promise<Answer> {
    const observed = body instanceof ReadableStream ? observeBody(body, { onChunk: () => this.onChunk() }) : body;
    let answer: Promise<Answer>;
    try {
      answer = handler(head, observed, this);
    } catch (error) {
      answer = Promise.reject(error);
    }
    return answer.then((answer) => this.#pass(answer, observed), (error) => this.#fail(error, observed));
  }

  /** The caller's signal aborted. */
  handleEvent(): void {
    this.abort(this.#signal.reason);
  }

  handleTimeout(): void {
    const { firstByteMs, idleMs } = this.#timeouts;
    const reason = this.#isAnswered ? `Nothing moved for ${idleMs} ms` : `No answer within ${firstByteMs} ms`;
    this.abort(new ExchangeError("upstream_timeout", reason));
  }

  onChunk(): void {
    this.#timeout.touch();
  }

  onOver(): void {
    this.#timeout.stop();
    this.#signal.removeEventListener("abort", this);
  }

  #pass(answer: Answer, requestBody: Body): Answer {
    this.#isAnswered = true;
    if (!(answer.body instanceof ReadableStream)) {
      this.onOver();
      return answer;
    }
    this.#timeout.stop();
    if (isExempt(answer)) return answer;
    try {
      const body = observeBody(answer.body, this);
      this.#timeout.start(this.#timeouts.idleMs);
      return { ...answer, body };
    } catch (error) {
      // The answer's body has a reader already.
      return this.#fail(error, requestBody);
    }
  }

  #fail(error: unknown, requestBody: Body): never {
    this.onOver();
    // The server waits until the request's body is read or canceled, and the handler may have done neither.
    cancelBody(requestBody, error);
    throw this.reason instanceof RunnelError ? this.reason : error;
  }
}

function isExempt(answer: Answer): boolean {
  return answer.status === 101 || isLiveFormat(fieldValue(answer.fields, "content-type"));
}
