/** Observes the exchanges of a handler: lists those under way, and reports each one when it has ended. */
import {
  cachedClock,
  type CancelSignal,
  type Clock,
  escapeText,
  messageOf,
  RunnelError,
  systemClock,
} from "../base/mod.ts";
import { type BodyObserver, observeBody } from "./body/mod.ts";
import { type Answer, type Body, type Handler, pathOf, type RequestHead } from "./message.ts";
import { requestIdOf } from "./forwarding.ts";
import type { ExchangeFigures, OpenExchange, OpenExchanges } from "./open_exchanges.ts";
import { problemCodeOf } from "./problem_answer.ts";
import { isProblemCode, type ProblemCode, problemKinds } from "./problems.ts";
import { UpstreamError } from "./upstream_error.ts";

/** One exchange, after its end. Without the query string, which may be secret. */
export interface RequestReport {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** What the client got: the answer's status, or that of the problem; 0 where the client left before. */
  readonly status: number;
  /** Body bytes from the client, and to it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds from the request to the answer's head; null where there was none. */
  readonly firstByteMs: number | null;
  /** Milliseconds from the request to the end of the answer's body. */
  readonly durationMs: number;
  /** Why it ended early: a problem code, or `canceled`. */
  readonly code?: string;
  /**
   * The same for whoever runs the agent, beside each code: the cause, with what can be done about it, in visible ASCII
   * and at most 500 characters. It may name private addresses, and holds no query and no value of a secret field.
   */
  readonly reason?: string;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Told of an exchange after its end. */
export type ExchangeReporter = (request: RequestReport, head: RequestHead) => void;

/**
 * `handler`, with a call of `report` at the end of each exchange.
 *
 * @param open gets the exchanges that are under way. Default null: nobody looks at them.
 */
export function observeExchanges(
  handler: Handler,
  report: ExchangeReporter,
  clock: Clock = systemClock,
  open: OpenExchanges | null = null,
): Handler {
  const time = cachedClock(clock);
  return (head, body, signal) => new ObservedExchange(head, signal, report, time, open).run(handler, body);
}

/** The codes of errors with which a caller cancels a body before its signal aborts. */
const givenUpCodes: ReadonlySet<string> = new Set(["canceled", "client_closed", "client_reset", "server_closed"]);

/** @param isGivenUp the caller's signal aborted: without a problem code its reason says that the client left */
function failureCode(failure: unknown, isGivenUp: boolean): ProblemCode | "canceled" {
  if (failure instanceof RunnelError) {
    if (isProblemCode(failure.code)) return failure.code;
    if (givenUpCodes.has(failure.code)) return "canceled";
    // Of an answer that could not be written as its head said.
    if (failure.code === "answer_failed") return failureCode(failure.cause, false);
  }
  return isGivenUp ? "canceled" : problemCodeOf(failure);
}

const MAX_REASON_LENGTH = 500;

function failureReason(failure: unknown): string {
  let reason = failure instanceof RunnelError ? failure.reason : messageOf(failure);
  if (failure instanceof UpstreamError && failure.remedy !== null) reason += `; ${failure.remedy}`;
  const text = escapeText(reason).replaceAll("…", "...");
  return text.length > MAX_REASON_LENGTH ? `${text.slice(0, MAX_REASON_LENGTH - 3)}...` : text;
}

class ObservedExchange implements BodyObserver, ExchangeFigures {
  readonly startedAt: number;
  /** In the list of those that are under way; null where there is no list. */
  readonly #member: OpenExchange | null;
  readonly #head: RequestHead;
  readonly #signal: CancelSignal;
  readonly #report: ExchangeReporter;
  readonly #clock: Clock;
  #status = 0;
  #firstByteMs: number | null = null;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(
    head: RequestHead,
    signal: CancelSignal,
    report: ExchangeReporter,
    clock: Clock,
    open: OpenExchanges | null,
  ) {
    this.#head = head;
    this.#signal = signal;
    this.#report = report;
    this.#clock = clock;
    this.startedAt = clock.now();
    this.#member = open === null ? null : open.add(this);
  }

  get method(): string {
    return this.#head.method;
  }

  get path(): string {
    return pathOf(this.#head.target);
  }

  get status(): number {
    return this.#status;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  run(handler: Handler, body: Body): Promise<Answer> {
    const counted = body === null
      ? null
      : observeBody(body, { onChunk: (chunk) => void (this.#bytesIn += chunk.length) });
    let answer: Promise<Answer>;
    try {
      answer = handler(this.#head, counted, this.#signal);
    } catch (error) {
      answer = Promise.reject(error);
    }
    return answer.then((answer) => this.#pass(answer), (error) => this.#fail(error));
  }

  /** For the answer's body, as is `onOver`. */
  onChunk(chunk: Uint8Array): void {
    this.#bytesOut += chunk.length;
  }

  onOver(error?: unknown): void {
    this.#finish(this.#elapsedMs(), error);
  }

  #pass(answer: Answer): Answer {
    const elapsedMs = this.#elapsedMs();
    const { status, body } = answer;
    this.#status = status;
    this.#firstByteMs = elapsedMs;
    if (body instanceof ReadableStream) return this.#observe(answer, body);
    // The exchange ends with the head, so one look at the clock is enough.
    this.#bytesOut = body === null ? 0 : body.length;
    this.#finish(elapsedMs);
    return answer;
  }

  #observe(answer: Answer, body: ReadableStream<Uint8Array>): Answer {
    try {
      return { ...answer, body: observeBody(body, this) };
    } catch (error) {
      // The body has a reader already.
      return this.#fail(error);
    }
  }

  #fail(error: unknown): never {
    this.onOver(error);
    throw error;
  }

  #finish(durationMs: number, error?: unknown): void {
    this.#member?.unlink();
    // Where the signal aborted, the error is a consequence of that.
    const failure = error === undefined ? null : this.#signal.aborted ? this.#signal.reason ?? error : error;
    const code = failure === null ? null : failureCode(failure, this.#signal.aborted);
    if (this.#status === 0 && code !== null && code !== "canceled") this.#status = problemKinds[code].status;
    const { method } = this.#head;
    const report: Writable<RequestReport> = {
      id: requestIdOf(this.#head),
      method,
      path: this.path,
      status: this.#status,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      firstByteMs: this.#firstByteMs,
      durationMs,
    };
    if (code !== null) {
      report.code = code;
      report.reason = failureReason(failure);
    }
    this.#report(report, this.#head);
  }

  #elapsedMs(): number {
    return Math.round(this.#clock.now() - this.startedAt);
  }
}
