/** The largest body of a request. One whose length is announced is refused at once, another when it turns out too long. */
import { type CancelSignal, CancelSource } from "../base/mod.ts";
import { type Body, type BodyObserver, ExchangeError, fieldValue, observeBody, type RequestHead } from "../http/mod.ts";

export function tooLarge(limitBytes: number): ExchangeError {
  return new ExchangeError("body_too_large", `The request's body has more than ${limitBytes} bytes`);
}

/**
 * @param limitBytes `Infinity`: none
 * @throws {ExchangeError} `body_too_large`, where the head says so
 */
export function checkAnnouncedLength({ fields }: RequestHead, limitBytes: number): void {
  if (limitBytes === Infinity) return;
  const length = fieldValue(fields, "content-length");
  if (length !== undefined && Number(length) > limitBytes) throw tooLarge(limitBytes);
}

/** A body of a length that nobody has announced, and the signal that ends its exchange where it is too long. */
export interface LimitedBody {
  readonly body: Body;
  readonly signal: CancelSignal;
}

/**
 * Counts the bytes of a request's body. Behind an upgrade's content come the bytes of another protocol, which are no body:
 * they are not counted, nor is what was announced and checked.
 *
 * @throws {ExchangeError} `body_too_large`, for a body that is whole
 */
export function limitBody(head: RequestHead, body: Body, signal: CancelSignal, limitBytes: number): LimitedBody {
  if (limitBytes === Infinity || body === null || head.upgrade !== undefined) return { body, signal };
  if (body instanceof ReadableStream) {
    if (fieldValue(head.fields, "content-length") !== undefined) return { body, signal };
    const limit = new BodyLimit(signal, limitBytes);
    return { body: observeBody(body, limit), signal: limit };
  }
  if (body.length > limitBytes) throw tooLarge(limitBytes);
  return { body, signal };
}

/** Aborts with the caller's signal, and where the body is too long. */
class BodyLimit extends CancelSource implements BodyObserver {
  readonly #signal: CancelSignal;
  readonly #limitBytes: number;
  #left: number;

  constructor(signal: CancelSignal, limitBytes: number) {
    super();
    this.#signal = signal;
    this.#limitBytes = this.#left = limitBytes;
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener("abort", this);
  }

  handleEvent(): void {
    this.abort(this.#signal.reason);
  }

  onChunk(chunk: Uint8Array): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) return;
    const error = tooLarge(this.#limitBytes);
    this.abort(error);
    throw error;
  }
}
