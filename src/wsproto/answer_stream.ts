/**
 * The body of a streamed answer between the link, which cannot be told to wait for one answer, and a client that may
 * be slow: a queue with a reader, and the count of what it holds.
 */

/** What a waiting chunk costs beside its bytes; counted, so that a flood of one-byte chunks is bounded, too. */
const chunkOverhead = 128;

/** What all answers of a session hold together. */
export interface Held {
  bytes: number;
}

export interface AnswerStreamEvents {
  /** The reader took bytes; `bufferedBytes` is already lower. */
  onTaken(): void;
  /** The reader has the end that `end()` announced. */
  onEnded(): void;
  /** The reader wants no more. `onEnded`, `onCancelled` or `abort()`: one of them comes, once, and nothing after it. */
  onCancelled(reason: unknown): void;
}

export class AnswerStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #events: AnswerStreamEvents;
  readonly #held: Held;
  readonly #queue: Uint8Array[] = [];
  #bufferedBytes = 0;
  #ended = false;
  #over = false;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** Resolves the `pull()` that found the queue empty. */
  #wake: (() => void) | null = null;

  constructor(held: Held, events: AnswerStreamEvents) {
    this.#held = held;
    this.#events = events;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: (reason) => {
        if (this.#over) return;
        this.#finish();
        this.#events.onCancelled(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** True once `end()` was called: what still waits is the reader's, whatever becomes of the link. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes pushed and not read yet, plus 128 for each chunk. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Empty chunks are dropped; chunks after the end, too. */
  push(chunk: Uint8Array): void {
    if (this.#over || this.#ended || chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#count(chunk.length + chunkOverhead);
    this.#serve();
  }

  /** The body is complete; the reader gets its end after what waits. */
  end(): void {
    if (this.#over) return;
    this.#ended = true;
    this.#serve();
  }

  /** The body broke off: the reader fails at once, what waits is dropped. */
  abort(error: Error): void {
    if (this.#over) return;
    this.#finish();
    this.#controller.error(error);
  }

  #pull(): Promise<void> | void {
    if (this.#queue.length > 0 || this.#ended) return this.#deliver();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #serve(): void {
    const wake = this.#wake;
    if (wake === null) return;
    this.#wake = null;
    this.#deliver();
    wake();
  }

  #deliver(): void {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#count(-chunk.length - chunkOverhead);
      this.#controller.enqueue(chunk);
      this.#events.onTaken();
    } else {
      this.#finish();
      this.#controller.close();
      this.#events.onEnded();
    }
  }

  #count(bytes: number): void {
    this.#bufferedBytes += bytes;
    this.#held.bytes += bytes;
  }

  #finish(): void {
    this.#over = true;
    this.#queue.length = 0;
    this.#count(-this.#bufferedBytes);
    this.#wake?.();
    this.#wake = null;
  }
}
