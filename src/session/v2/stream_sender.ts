/** Sends a body on a stream, and the trailers after it. */
import { BodyPump, type BodySink, emptyBytes, type Fields } from "../../http/mod.ts";
import type { Stream } from "../../httpstream/mod.ts";

const noTrailers: Fields = [];

export class StreamSender implements BodySink {
  readonly #stream: Stream;
  readonly #pump: BodyPump;
  readonly #trailers: (() => Fields) | undefined;
  readonly #finished = Promise.withResolvers<void>();

  /**
   * Locks `body`. Nothing is read before `run()`.
   *
   * @param trailers called when the body has ended. Default: none are sent.
   * @throws {TypeError} where somebody reads `body` already
   */
  constructor(stream: Stream, body: ReadableStream<Uint8Array>, trailers?: () => Fields) {
    this.#stream = stream;
    this.#trailers = trailers;
    // The receiving end checks the length.
    this.#pump = new BodyPump(body, this, null);
  }

  /**
   * Resolves when everything was sent, or after `stop()`. Rejects with what the body throws, at once even while the
   * stream takes no more bytes: the caller then resets the stream.
   */
  run(): Promise<void> {
    void this.#pump.run();
    return this.#finished.promise;
  }

  /** The stream takes bytes again. */
  onWritable(): void {
    this.#pump.drained();
  }

  /** The receiver wants no more: cancels the body with `reason`. */
  stop(reason: unknown): void {
    this.#pump.stop(reason);
    this.#finished.resolve();
  }

  /** For the pump, as are `end` and `fail`. */
  write(chunk: Uint8Array): boolean {
    return this.#stream.send(chunk, false);
  }

  end(): void {
    const trailers = this.#trailers?.() ?? noTrailers;
    if (trailers.length > 0) this.#stream.sendTrailers(trailers);
    else this.#stream.send(emptyBytes, true);
    this.#finished.resolve();
  }

  fail(error: unknown): void {
    this.#finished.reject(error);
  }
}
