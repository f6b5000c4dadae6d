/** The body that goes out on a stream, and the trailers behind it. */
import { BodyPump, type BodySink, type Fields } from "../../http/mod.ts";
import type { Stream } from "../../httpstream/mod.ts";

const empty = new Uint8Array(0);
const noFields: Fields = [];

export class StreamSender implements BodySink {
  readonly #stream: Stream;
  readonly #pump: BodyPump;
  readonly #trailers: (() => Fields) | undefined;
  readonly #settled = Promise.withResolvers<void>();

  /**
   * Locks `body`. Nothing is read before `run()`.
   *
   * @param trailers asked for when the body has ended
   * @throws {TypeError} where somebody reads `body` already
   */
  constructor(stream: Stream, body: ReadableStream<Uint8Array>, trailers?: () => Fields) {
    this.#stream = stream;
    this.#trailers = trailers;
    // Its receiver checks the length.
    this.#pump = new BodyPump(body, this, null);
  }

  /**
   * Resolves when all is sent or nobody wants more. Rejects with what the body throws, at once even where there is no
   * room: the caller then breaks the stream off.
   */
  run(): Promise<void> {
    void this.#pump.run();
    return this.#settled.promise;
  }

  /** The stream has room. */
  onWritable(): void {
    this.#pump.drained();
  }

  /** Nobody wants more: the body is canceled with `reason`. */
  stop(reason: unknown): void {
    this.#pump.stop(reason);
    this.#settled.resolve();
  }

  /** For the pump, as are `end` and `fail`. */
  write(chunk: Uint8Array): boolean {
    return this.#stream.send(chunk, false);
  }

  end(): void {
    const trailers = this.#trailers?.() ?? noFields;
    if (trailers.length > 0) this.#stream.sendTrailers(trailers);
    else this.#stream.send(empty, true);
    this.#settled.resolve();
  }

  fail(error: unknown): void {
    this.#settled.reject(error);
  }
}
