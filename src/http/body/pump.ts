/**
 * Sends a body: each chunk is written as soon as it is read, and the next one is read when the sink can take more. No
 * chunk waits here, so that backpressure reaches the body's source.
 */
import { nameErrorClass } from "../../base/mod.ts";
import { release } from "../../memory/mod.ts";

/** Where a pump sends to. Nothing is called after `BodyPump.stop()`. */
export interface BodySink {
  /**
   * Sends a chunk, never an empty one, and takes over its reference (src/memory). Returns false where the pump must
   * wait for `drained()`. Where it throws, the body has failed.
   */
  write(chunk: Uint8Array): boolean;
  /** The body was sent to its end. Where it throws, the body has failed. */
  end(): void;
  /** The body broke off, had the wrong length, or the sink threw. The last call. */
  fail(error: unknown): void;
}

/** A body does not have the length that its Content-Length says. */
export class BodyLengthError extends Error {
  static {
    nameErrorClass(this, "BodyLengthError");
  }

  readonly length: number;
  /** Bytes that were read; more than `length` where the body is too long. */
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
  /** The whole body was read and has the right length: `stop()` has no effect. */
  #isDone = false;
  #isStopped = false;
  #wake: (() => void) | null = null;

  /**
   * Locks `body`. Nothing is read before `run()`.
   *
   * @param length the bytes that the body must have; null: any number
   * @throws {TypeError} where `body` has a reader already
   */
  constructor(body: ReadableStream<Uint8Array>, sink: BodySink, length: number | null) {
    this.#sink = sink;
    this.#length = length;
    this.#reader = body.getReader();
    // A pump that waits for its sink must notice a body that breaks off, too: the next read reports it.
    this.#reader.closed.catch(() => this.drained());
  }

  /** Sends until the end, a failure or `stop()`. Never rejects: failures are passed to the sink. */
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

  /** The sink can take more. */
  drained(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Cancels the body. Nothing of the sink is called any more. */
  stop(reason: unknown): void {
    if (this.#isStopped || this.#isDone) return;
    this.#isStopped = true;
    // A source that fails while it is being canceled has stopped, too.
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
