/** The body that goes out on a stream: each chunk leaves as it is read, and the next is read when there is room. */
import type { Fields } from "../http1/message.ts";
import type { Stream } from "../httpstream/mod.ts";

export class StreamWriter {
  readonly #stream: Stream;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #wake: (() => void) | null = null;
  #stopped = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /**
   * Sends `body` to its end, then `trailers`, if there are any. Resolves when that is done or when nobody wants more;
   * rejects with what the body throws, at once even where there is no room: the caller then breaks the stream off.
   */
  async send(body: ReadableStream<Uint8Array>, trailers?: () => Fields): Promise<void> {
    const reader = this.#reader = body.getReader();
    if (this.#stopped) return void await reader.cancel();
    // Whoever waits for room learns from the next read why there will be nothing to put there.
    reader.closed.catch(() => this.onWritable());
    for (;;) {
      const { value, done } = await reader.read();
      if (this.#stopped) return;
      if (done) break;
      if (!this.#stream.send(value, false)) await this.#room();
    }
    this.#reader = null;
    const fields = trailers?.() ?? [];
    if (fields.length > 0) this.#stream.sendTrailers(fields);
    else this.#stream.send(empty, true);
  }

  /** The stream takes more. */
  onWritable(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Nobody wants more: the body is cancelled with `reason`. */
  stop(reason: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // The source is being told to stop; what it says to that changes nothing here.
    this.#reader?.cancel(reason).catch(() => {});
    this.onWritable();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

const empty = new Uint8Array(0);
