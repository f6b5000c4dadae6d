/** Looks at a body as it passes, without holding it. */
import type { Body } from "../message.ts";
import { type BodyOwner, BodySource } from "./source.ts";

export interface Tap {
  /** A chunk passes, which must not be changed, kept or released. */
  onChunk(chunk: Uint8Array): void;
  /** Once, when the body is over; with `error` where it broke off or its reader canceled it. */
  onOver?(error?: unknown): void;
}

/**
 * The same body, watched. One that is no stream is told as one chunk, and over, at once. One that breaks off is told so
 * and breaks off for its reader, although nobody is reading.
 *
 * @param isLazy true: `body` is locked by the first read, so that its owner can still see that nobody reads it. A body
 *   that breaks off before is told then. Default false: it is locked at once.
 * @throws {TypeError} where somebody reads `body` already
 */
export function tap<B extends Body>(body: B, watcher: Tap, isLazy = false): B {
  if (body instanceof ReadableStream) return new TappedBody(body, watcher, isLazy).stream as B;
  if (body !== null && body.length > 0) watcher.onChunk(body);
  watcher.onOver?.();
  return body;
}

class TappedBody implements BodyOwner {
  readonly #body: ReadableStream<Uint8Array>;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  readonly #watcher: Tap;
  readonly #source: BodySource;

  constructor(body: ReadableStream<Uint8Array>, watcher: Tap, isLazy: boolean) {
    this.#body = body;
    this.#watcher = watcher;
    this.#source = new BodySource(this);
    if (!isLazy) this.#lock();
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  onPull(): void {
    const reader = this.#reader ?? this.#lock();
    reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  onCancel(reason: unknown): void {
    this.#watcher.onOver?.(reason ?? new Error("The reader canceled the body"));
    // A source that fails while it is told to stop has stopped.
    (this.#reader ?? this.#body).cancel(reason).catch(() => {});
  }

  #lock(): ReadableStreamDefaultReader<Uint8Array> {
    const reader = this.#reader = this.#body.getReader();
    reader.closed.catch((error) => this.#fail(error));
    return reader;
  }

  #take({ value, done }: ReadableStreamReadResult<Uint8Array>): void {
    // A read that is under way when the reader cancels comes to its end, too. That is no second end.
    if (this.#source.isOver) return;
    try {
      if (done) {
        this.#watcher.onOver?.();
        return this.#source.end();
      }
      this.#watcher.onChunk(value);
    } catch (error) {
      return this.#fail(error);
    }
    if (value.length > 0) this.#source.push(value);
    else this.onPull();
  }

  #fail(error: unknown): void {
    if (this.#source.isOver) return;
    this.#watcher.onOver?.(error);
    this.#source.fail(error);
  }
}
