/**
 * The pooled HTTP/1.1 client of one upstream. It passes messages on as they are: nothing is decoded, normalized or
 * redirected. `planRequest` encodes a request's head, and a `ClientExchange` gets a connection from the pool, on which
 * it sends the request and reads the answer.
 */
import type { CancelSignal } from "../../base/mod.ts";
import {
  type Answer,
  type Body,
  cancelBody,
  type Handler,
  type RequestHead,
  upgradeParts,
  UpstreamError,
  withUpstreamOrigin,
} from "../../http/mod.ts";
import { ClientExchange } from "./exchange.ts";
import { type ClientOptions, type ClientSettings, verifyClientOptions } from "./options.ts";
import { ConnectionPool } from "./pool.ts";
import { planRequest, type RequestPlan } from "./request.ts";

export class HttpClient {
  readonly #settings: ClientSettings;
  readonly #pool: ConnectionPool;

  /**
   * Sends a request to the upstream. It is bound, so that it can be used as a `Handler`. Resolves as soon as the
   * answer's head is there. The body is bytes where it arrived with the head, else a stream, which must be read to its
   * end or canceled.
   *
   * Where a reused connection closes before the first byte of an answer, a safe request without a body is sent once
   * more, on a new connection. The upstream's connection is reset when `signal` aborts, the answer's body is canceled
   * or the request's body fails.
   *
   * Rejects with `UpstreamError`. The stream of a body that breaks off fails with one, too.
   */
  readonly request: Handler;

  /** @throws {OptionError} for an option out of its range */
  constructor(options: ClientOptions) {
    this.#settings = verifyClientOptions(options);
    this.#pool = new ConnectionPool(this.#settings);
    const { host, scheme } = this.#settings;
    this.request = host === null ? this.#send : withUpstreamOrigin(this.#send, { scheme, authority: host });
  }

  readonly #send: Handler = (head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> => {
    let content = body;
    let raw: Body = null;
    let plan: RequestPlan;
    try {
      if (signal.aborted) throw UpstreamError.ofCancel(signal.reason);
      if (head.upgrade !== undefined) ({ content, raw } = upgradeParts(head, body));
      plan = planRequest(head, content, this.#settings);
    } catch (error) {
      cancelBody(body, error);
      return Promise.reject(error);
    }
    const exchange = new ClientExchange(this.#pool, this.#settings, head, content, signal, plan, raw);
    this.#pool.acquire(exchange);
    return exchange.answer;
  };

  /** Idle connections, which later requests may use. */
  get idle(): number {
    return this.#pool.idle;
  }

  /** Connections that carry a request, are being dialed or are closing. */
  get active(): number {
    return this.#pool.active;
  }

  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#pool.waiting;
  }

  /** Closes all connections. Current, waiting and later requests fail with `canceled`. */
  close(): void {
    this.#pool.close();
  }
}
