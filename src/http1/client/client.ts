/**
 * The pooled HTTP/1.1 client of one upstream: exact bytes both ways, answers as they come, nothing decoded, followed
 * or normalised. A request goes through `planRequest`, waits for a connection in the pool, and is then a
 * `ClientExchange` until its answer is over.
 */
import type { CancelSignal } from "../../base/mod.ts";
import { type Answer, type Body, cancelBody, type Handler, type RequestHead, UpstreamError } from "../../http/mod.ts";
import { ClientExchange } from "./exchange.ts";
import { type ClientOptions, type ClientSettings, verifyClientOptions } from "./options.ts";
import { ConnectionPool } from "./pool.ts";
import { planRequest, type RequestPlan } from "./request.ts";

export class HttpClient {
  readonly #settings: ClientSettings;
  readonly #pool: ConnectionPool;

  /** @throws {OptionError} for an option out of its range. */
  constructor(options: ClientOptions) {
    this.#settings = verifyClientOptions(options);
    this.#pool = new ConnectionPool(this.#settings);
  }

  /**
   * Asks the upstream. Bound, so that it can be passed on as a `Handler`. Resolves as soon as the answer's head is
   * there; the body is whole where it came with the head, else a stream, which must be read to its end or canceled.
   *
   * A safe request without a body whose reused connection closes before the first byte of an answer is sent once
   * more, on a new connection. The upstream sees a reset as soon as `signal` aborts, a reader of the answer cancels,
   * or the request's body fails.
   *
   * Rejects with `UpstreamError`; the stream of a body that breaks off fails with one, too.
   */
  readonly request: Handler = (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    let plan: RequestPlan;
    try {
      if (signal.aborted) throw UpstreamError.ofCancel(signal.reason);
      plan = planRequest(head, body, this.#settings);
    } catch (error) {
      cancelBody(body, error);
      return Promise.reject(error);
    }
    const exchange = new ClientExchange(this.#pool, this.#settings, head, body, signal, plan);
    this.#pool.acquire(exchange);
    return exchange.answer;
  };

  /** Connections kept for later requests. */
  get idle(): number {
    return this.#pool.idle;
  }

  /** Connections that carry a request, are being dialed, or are on their way out. */
  get active(): number {
    return this.#pool.active;
  }

  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#pool.waiting;
  }

  /** Breaks off what runs, refuses what waits, closes every connection. Later requests fail with `canceled`. */
  close(): void {
    this.#pool.close();
  }
}
