/** Observes a body as it passes. */
import type { Body } from "../message.ts";
import { type BodyOwner, BodySource } from "./source.ts";

export interface BodyObserver {
  /** The reader waits for a chunk of a stream. A chunk, or the end, may come at once. */
  onWait?(): void;
  /** A chunk passes, which the observer must not change, store or release. Where this throws, the body breaks off. */
  onChunk(chunk: Uint8Array): void;
  /**
   * Called once, when the body is over; with `error` where it broke off, or where its reader canceled it (`isCanceled`).
   * Where this throws at the end of a body that did not break off, the body breaks off in place of its end, and this is
   * called again, with that error.
   */
  onOver?(error?: unknown, isCanceled?: boolean): void;
}

/**
 * The same body, observed. Of a body that is no stream `onChunk` and `onOver` are called at once. A stream that breaks
 * off is reported at once, to its reader, too, although there may be no read.
 *
 * @param isLazy true: `body` is locked by the first read, so that its owner can still see that it has no reader. Where
 *   it breaks off before, the first read reports it. Default false: it is locked at once.
 * @throws {TypeError} where `body` has a reader already
 */
export function observeBody<B extends Body>(body: B, observer: BodyObserver, isLazy = false): B {
  if (body instanceof ReadableStream) return new ObservedBody(body, observer, isLazy).stream as B;
  if (body !== null && body.length > 0) observer.onChunk(body);
  observer.onOver?.();
  return body;
}

class ObservedBody implements BodyOwner {
  readonly #body: ReadableStream<Uint8Array>;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  readonly #observer: BodyObserver;
  readonly #source: BodySource;

  constructor(body: ReadableStream<Uint8Array>, observer: BodyObserver, isLazy: boolean) {
    this.#body = body;
    this.#observer = observer;
    this.#source = new BodySource(this);
    if (!isLazy) this.#lock();
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  onPull(): void {
    const reader = this.#reader ?? this.#lock();
    this.#observer.onWait?.();
    reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  onCancel(reason: unknown): void {
    this.#observer.onOver?.(reason ?? new Error("The reader canceled the body"), true);
    // A source that fails while it is being canceled has stopped, too.
    (this.#reader ?? this.#body).cancel(reason).catch(() => {});
  }

  #lock(): ReadableStreamDefaultReader<Uint8Array> {
    const reader = this.#reader = this.#body.getReader();
    reader.closed.catch((error) => this.#fail(error));
    return reader;
  }

  #take({ value, done }: ReadableStreamReadResult<Uint8Array>): void {
    // A read that was pending when the reader canceled ends, too. The observer knows of the end already.
    if (this.#source.isOver) return;
    try {
      if (done) {
        this.#observer.onOver?.();
        return this.#source.end();
      }
      this.#observer.onChunk(value);
    } catch (error) {
      this.#reader?.cancel(error).catch(() => {});
      return this.#fail(error);
    }
    if (value.length > 0) this.#source.push(value);
    else this.onPull();
  }

  #fail(error: unknown): void {
    if (this.#source.isOver) return;
    this.#observer.onOver?.(error);
    this.#source.fail(error);
  }
}
