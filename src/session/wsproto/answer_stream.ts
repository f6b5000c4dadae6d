/**
 * The body of a streamed answer, and the count of what waits in it. The link cannot be told to wait for one answer, and
 * its client may be slow.
 */
import { type BodyOwner, BodySource } from "../../http/mod.ts";

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
  /** The reader wants no more. Nothing follows `onEnded`, `onCanceled` or `abort()`. */
  onCanceled(reason: unknown): void;
}

export class AnswerStream implements BodyOwner {
  readonly #events: AnswerStreamEvents;
  readonly #held: Held;
  readonly #source = new BodySource(this);
  #bufferedBytes = 0;

  constructor(held: Held, events: AnswerStreamEvents) {
    this.#held = held;
    this.#events = events;
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  /** True once `end()` was called: what still waits is the reader's, whatever becomes of the link. */
  get ended(): boolean {
    return this.#source.isComplete;
  }

  /** Bytes pushed and not read yet, plus 128 for each chunk. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Empty chunks and chunks after the end are dropped. */
  push(chunk: Uint8Array): void {
    if (this.#source.isOver || this.#source.isComplete || chunk.length === 0) return;
    this.#count(chunk.length + chunkOverhead);
    this.#source.push(chunk);
  }

  /** The body is complete. The reader gets its end after what waits. */
  end(): void {
    this.#source.end();
  }

  /** The body broke off: the reader fails at once, and what waits is dropped. */
  abort(error: Error): void {
    if (this.#source.isOver) return;
    this.#count(-this.#bufferedBytes);
    this.#source.fail(error);
  }

  /** For the source, as is all that follows. */
  onPull(): void {}

  onTaken(chunk: Uint8Array): void {
    this.#count(-chunk.length - chunkOverhead);
    this.#events.onTaken();
  }

  onEnded(): void {
    this.#events.onEnded();
  }

  onCancel(reason: unknown): void {
    this.#count(-this.#bufferedBytes);
    this.#events.onCanceled(reason);
  }

  #count(bytes: number): void {
    this.#bufferedBytes += bytes;
    this.#held.bytes += bytes;
  }
}
