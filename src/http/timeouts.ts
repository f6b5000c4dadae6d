/**
 * Timeouts of an exchange. The answer's head must arrive within `firstByteMs`, counted anew with each chunk of the
 * request's body and with its end, and not while the visitor is waited for: whoever receives the body limits that. Then
 * the exchange may be silent for `idleMs`, in both directions together; an answer without a Content-Length, whose end
 * nobody knows, for `streamIdleMs`. There is no limit on the whole, and none on the silence of live media types and of
 * upgraded streams. All of them stand still while the link to whom serves the exchange is lost.
 */
import { type CancelSignal, CancelSource, type Clock, RunnelError, Timeout } from "../base/mod.ts";
import { type BodyObserver, cancelBody, observeBody } from "./body/mod.ts";
import { fieldValue } from "./fields.ts";
import { LiveTypes } from "./media_type.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";
import { ExchangeError } from "./problems.ts";
import type { Suspendable } from "./traffic.ts";

/** All in milliseconds; `Infinity`: no limit. */
export interface ExchangeTimeouts {
  /** Until the answer's head, as long as no more of the request's body is waited for. Default 60,000. */
  readonly firstByteMs: number;
  /** Without a byte in either direction, once the head of an answer with a Content-Length is there. Default 300,000. */
  readonly idleMs: number;
  /** The same where the answer has no Content-Length. Default 3,600,000. */
  readonly streamIdleMs: number;
}

export const defaultExchangeTimeouts: ExchangeTimeouts = {
  firstByteMs: 60_000,
  idleMs: 300_000,
  streamIdleMs: 3_600_000,
};

/** While a link is lost, it is looked this often whether it still is. A timeout may be late by as much. */
const LOOK_MS = 1_000;
/** Rests of timeouts are rounded up to it, so that many have the same. */
const STEP_MS = 250;

/** Calls handlers under these timeouts. */
export class TimeoutGuard {
  readonly clock: Clock;
  readonly timeouts: ExchangeTimeouts;
  readonly liveTypes: LiveTypes;

  /** @param timeouts those that are not to have their defaults */
  constructor(clock: Clock, timeouts: Partial<ExchangeTimeouts> = {}, liveTypes: LiveTypes = new LiveTypes()) {
    this.clock = clock;
    this.timeouts = { ...defaultExchangeTimeouts, ...timeouts };
    this.liveTypes = liveTypes;
  }

  /**
   * Calls `handler`. Rejects with `upstream_timeout` where no head arrives, and breaks off an answer that is silent.
   *
   * @param timeouts for this exchange. Default: the guard's.
   * @param server whose suspensions do not count. Default: it is never suspended.
   */
  call(
    handler: Handler,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
    timeouts: ExchangeTimeouts = this.timeouts,
    server: Suspendable | null = null,
  ): Promise<Answer> {
    return new GuardedExchange(this, timeouts, signal, server).run(handler, head, body);
  }
}

/** One exchange under guard, and the signal for its handler: it aborts with the caller's signal and at a timeout. */
class GuardedExchange extends CancelSource implements BodyObserver {
  readonly #timeouts: ExchangeTimeouts;
  readonly #liveTypes: LiveTypes;
  readonly #signal: CancelSignal;
  readonly #timeout: Timeout;
  /** The idle timeout of the answer; null before its head. */
  #idleMs: number | null = null;
  #awaitsHead = true;
  readonly #server: Suspendable | null;
  /** That of the server, when it was looked at last. */
  #suspendedMs: number;
  /** The timeout runs for what is left of it, and not for all of its time. */
  #isRest = false;

  constructor(guard: TimeoutGuard, timeouts: ExchangeTimeouts, signal: CancelSignal, server: Suspendable | null) {
    super();
    this.#server = server;
    this.#suspendedMs = server === null ? 0 : server.suspendedMs;
    this.#timeouts = timeouts;
    this.#liveTypes = guard.liveTypes;
    this.#signal = signal;
    this.#timeout = new Timeout(guard.clock, this);
    if (timeouts.firstByteMs !== Infinity) this.#timeout.start(timeouts.firstByteMs);
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener("abort", this);
  }

  run(handler: Handler, head: RequestHead, body: Body): Promise<Answer> {
    const observed = body instanceof ReadableStream ? observeBody(body, new RequestObserver(this, head)) : body;
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
    const { firstByteMs } = this.#timeouts;
    const idleMs = this.#idleMs;
    const leftMs = this.#takeStandstill(idleMs ?? firstByteMs);
    if (leftMs > 0) {
      this.#isRest = true;
      return this.#timeout.start(leftMs);
    }
    const reason = idleMs === null ? `No answer within ${firstByteMs} ms` : `Nothing moved for ${idleMs} ms`;
    this.abort(new ExchangeError("upstream_timeout", reason));
  }

  /** How long the timeout stood still, of `limitMs` at most, since it was looked last. Whole steps make few real timers. */
  #takeStandstill(limitMs: number): number {
    if (this.#server === null) return 0;
    const { suspendedMs, isSuspended } = this.#server;
    const stoodMs = suspendedMs - this.#suspendedMs;
    this.#suspendedMs = suspendedMs;
    if (stoodMs <= 0 && !isSuspended) return 0;
    const leftMs = isSuspended ? Math.max(stoodMs, LOOK_MS) : stoodMs;
    return Math.min(limitMs, Math.ceil(leftMs / STEP_MS) * STEP_MS);
  }

  onChunk(): void {
    if (this.#isRest) this.#startIdle();
    else this.#timeout.touch();
  }

  onOver(): void {
    this.#timeout.stop();
    this.#signal.removeEventListener("abort", this);
  }

  /** More of the request's body is waited for: the visitor is late, and not the handler. */
  waitForVisitor(): void {
    if (this.#awaitsHead) this.#timeout.stop();
  }

  /** A chunk of the request's body came, or it is over. */
  requestMoved(): void {
    if (!this.#awaitsHead) return this.onChunk();
    this.#isRest = false;
    if (this.#timeouts.firstByteMs !== Infinity) this.#timeout.start(this.#timeouts.firstByteMs);
  }

  /** For all of its time, where it runs. */
  #startIdle(): void {
    if (this.#idleMs === null || this.#timeout.list === null) return;
    this.#isRest = false;
    this.#timeout.start(this.#idleMs);
  }

  #pass(answer: Answer, requestBody: Body): Answer {
    this.#awaitsHead = false;
    if (!(answer.body instanceof ReadableStream)) {
      this.onOver();
      return answer;
    }
    this.#timeout.stop();
    this.#isRest = false;
    const idleMs = this.#idleMsOf(answer);
    if (idleMs === Infinity) return answer;
    try {
      const body = observeBody(answer.body, this);
      this.#idleMs = idleMs;
      this.#timeout.start(idleMs);
      return { ...answer, body };
    } catch (error) {
      // The answer's body has a reader already.
      return this.#fail(error, requestBody);
    }
  }

  #idleMsOf({ status, fields }: Answer): number {
    if (status === 101 || this.#liveTypes.has(fieldValue(fields, "content-type"))) return Infinity;
    return fieldValue(fields, "content-length") === undefined ? this.#timeouts.streamIdleMs : this.#timeouts.idleMs;
  }

  #fail(error: unknown, requestBody: Body): never {
    this.#awaitsHead = false;
    this.onOver();
    // The server waits until the request's body is read or canceled, and the handler may have done neither.
    cancelBody(requestBody, error);
    throw this.reason instanceof RunnelError ? this.reason : error;
  }
}

/** Tells an exchange when its request's body moves, and when it is waited for. */
class RequestObserver implements BodyObserver {
  readonly #exchange: GuardedExchange;
  /** Bytes that are to come before the answer's head: behind an upgrade's content the visitor waits for the 101. */
  #contentLeft: number;

  constructor(exchange: GuardedExchange, { upgrade, fields }: RequestHead) {
    this.#exchange = exchange;
    this.#contentLeft = upgrade === undefined ? Infinity : Number(fieldValue(fields, "content-length") ?? 0);
  }

  onWait(): void {
    if (this.#contentLeft > 0) this.#exchange.waitForVisitor();
  }

  onChunk(chunk: Uint8Array): void {
    this.#contentLeft -= chunk.length;
    this.#exchange.requestMoved();
  }

  onOver(): void {
    this.#exchange.requestMoved();
  }
}
