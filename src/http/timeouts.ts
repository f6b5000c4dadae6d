/**
 * Timeouts that know streams: the head of the answer must come within `firstByteMs` (an upload that moves pushes that
 * back), a body may be silent for `idleMs` counting the bytes of both directions, nothing limits the whole. SSE, NDJSON
 * and upgraded streams may be silent for ever.
 */
import { type CancelSignal, CancelSource, type Clock, RunnelError, Timeout } from "../base/mod.ts";
import { fieldValue } from "./fields.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";
import { ExchangeError } from "./problems.ts";
import { isLiveFormat } from "./media_type.ts";
import { cancelBody, type Tap, tap } from "./body/mod.ts";

export interface ExchangeTimeouts {
  /** Milliseconds until the answer's head. Default 60,000. */
  firstByteMs: number;
  /** Milliseconds without a byte in either direction, once the answer began. Default 300,000. */
  idleMs: number;
}

export const defaultExchangeTimeouts: ExchangeTimeouts = { firstByteMs: 60_000, idleMs: 300_000 };

/** Asks handlers under these timeouts. */
export class TimeoutGuard {
  readonly clock: Clock;
  readonly timeouts: ExchangeTimeouts;

  constructor(clock: Clock, timeouts: ExchangeTimeouts = defaultExchangeTimeouts) {
    this.clock = clock;
    this.timeouts = timeouts;
  }

  /** Asks `handler`; rejects with `upstream_timeout` where no head comes, and breaks off an answer that falls silent. */
  ask(handler: Handler, head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> {
    return new GuardedExchange(this, signal).run(handler, head, body);
  }
}

/** One exchange under guard: what its handler gets as signal, which aborts with the asking side's and with the time. */
class GuardedExchange extends CancelSource implements Tap {
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
      const body = tap(answer.body, this);
      this.#timeout.start(this.#timeouts.idleMs);
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
