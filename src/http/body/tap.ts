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
 */
export function tap<B extends Body>(body: B, watcher: Tap): B {
  if (body instanceof ReadableStream) return new TappedBody(body, watcher).stream as B;
  if (body !== null && body.length > 0) watcher.onChunk(body);
  watcher.onOver?.();
  return body;
}

class TappedBody implements BodyOwner {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #watcher: Tap;
  readonly #source: BodySource;

  /** @throws {TypeError} where somebody reads `body` already */
  constructor(body: ReadableStream<Uint8Array>, watcher: Tap) {
    this.#reader = body.getReader();
    this.#watcher = watcher;
    this.#source = new BodySource(this);
    this.#reader.closed.catch((error) => this.#fail(error));
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  onPull(): void {
    this.#reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  onCancel(reason: unknown): void {
    this.#watcher.onOver?.(reason ?? new Error("The reader canceled the body"));
    // A source that fails while it is told to stop has stopped.
    this.#reader.cancel(reason).catch(() => {});
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
