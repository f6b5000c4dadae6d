/**
 * Sends a body: each chunk leaves as it is read, and the next one is read when the sink has room. At most one chunk is
 * under way, so that backpressure reaches the body's source.
 */
import { release } from "../../memory/mod.ts";

/** Where a pump sends to. After `stop()` nothing more is called. */
export interface BodySink {
  /**
   * Sends a chunk, never an empty one, and takes its reference (src/memory). Returns false where the pump should wait
   * for `drained()`. May throw: the body then failed.
   */
  write(chunk: Uint8Array): boolean;
  /** The body was sent to its end. May throw: the body then failed. */
  end(): void;
  /** The body broke off, was not as long as it should be, or the sink threw. `end` was not called, or threw. */
  fail(error: unknown): void;
}

/** A body is not as long as its Content-Length says. */
export class BodyLengthError extends Error {
  override readonly name = "BodyLengthError";
  readonly length: number;
  /** Bytes that came; more than `length` where the body went on. */
  readonly sentBytes: number;

  constructor(length: number, sentBytes: number) {
    super(
      sentBytes > length ? `Body is longer than ${length} bytes` : `Body ended after ${sentBytes} of ${length} bytes`,
    );
    this.length = length;
    this.sentBytes = sentBytes;
  }
}

export class BodyPump {
  readonly #sink: BodySink;
  readonly #length: number | null;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #sentBytes = 0;
  /** Everything was read and has the right length: `stop()` has nothing to stop. */
  #isDone = false;
  #isStopped = false;
  #wake: (() => void) | null = null;

  /**
   * Locks `body`. Nothing is read before `run()`.
   *
   * @param length bytes that the body must have; null where it may have any
   * @throws {TypeError} where somebody reads `body` already
   */
  constructor(body: ReadableStream<Uint8Array>, sink: BodySink, length: number | null) {
    this.#sink = sink;
    this.#length = length;
    this.#reader = body.getReader();
    // A pump that waits for room learns from the next read that the body broke off: a receiver that takes nothing is
    // cut off at once, too.
    this.#reader.closed.catch(() => this.drained());
  }

  /** Sends until the end, a failure or `stop()`. Never rejects: the sink is told. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (this.#isStopped) {
          if (!done) release(value);
          return;
        }
        if (done) break;
        if (value.length === 0 || this.#write(value)) continue;
        await new Promise<void>((resolve) => this.#wake = resolve);
        if (this.#isStopped) return;
      }
      this.#checkLength();
      this.#isDone = true;
      this.#sink.end();
    } catch (error) {
      if (this.#isStopped) return;
      this.stop(error);
      this.#sink.fail(error);
    }
  }

  /** The sink has room. */
  drained(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Cancels the body. The sink hears nothing more. */
  stop(reason: unknown): void {
    if (this.#isStopped || this.#isDone) return;
    this.#isStopped = true;
    // A source that fails while it is told to stop has stopped.
    this.#reader.cancel(reason).catch(() => {});
    this.drained();
  }

  #write(chunk: Uint8Array): boolean {
    this.#sentBytes += chunk.length;
    if (this.#length !== null && this.#sentBytes > this.#length) throw this.#wrongLength();
    return this.#sink.write(chunk);
  }

  #checkLength(): void {
    if (this.#length !== null && this.#sentBytes !== this.#length) throw this.#wrongLength();
  }

  #wrongLength(): BodyLengthError {
    return new BodyLengthError(this.#length ?? 0, this.#sentBytes);
  }
}
