/**
 * The body of a streamed answer, at the edge. The link cannot be told to wait for one answer while its client is slow, so
 * this counts how many bytes wait here.
 */
import { type BodyOwner, BodySource } from "../../http/mod.ts";
import type { MemoryAccount } from "../../httpstream/mod.ts";
import { release } from "../../memory/mod.ts";

/** The cost of a waiting chunk beside its bytes. It is counted, so that a flood of chunks of one byte is bounded. */
const CHUNK_OVERHEAD_BYTES = 128;
/** Of a body that has come whole: a slow reader is given so much at a time. */
const PART_BYTES = 64 * 1024;

/** Counts the bytes that wait in all answers of a session together. */
export type BufferTotal = Pick<MemoryAccount, "heldBytes" | "add">;

export interface AnswerBodyEvents {
  /** The reader took bytes; `bufferedBytes` is already lower. */
  onTaken(): void;
  /** The reader has the end that `end()` announced. */
  onEnded(): void;
  /** The reader wants no more. */
  onCanceled(reason: unknown): void;
}

/** Tells its events until `onEnded`, `onCanceled` or `abort()`. */
export class AnswerBody implements BodyOwner {
  readonly #events: AnswerBodyEvents;
  readonly #total: BufferTotal;
  readonly #source = new BodySource(this);
  #bufferedBytes = 0;
  #isOneBuffer = false;

  constructor(total: BufferTotal, events: AnswerBodyEvents) {
    this.#total = total;
    this.#events = events;
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  /** True once `end()` was called. What waits then is still to be read, also when the link is lost. */
  get isComplete(): boolean {
    return this.#source.isComplete;
  }

  /** Bytes pushed and not read yet, plus 128 for each chunk; of one that came whole, all of them. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Takes the chunk's reference (src/memory). Empty chunks and chunks after the end are dropped. */
  push(chunk: Uint8Array): void {
    if (this.#source.isOver || this.#source.isComplete || chunk.length === 0) return void release(chunk);
    this.#count(chunk.length + CHUNK_OVERHEAD_BYTES);
    this.#source.push(chunk);
  }

  /** The whole body, in parts that share one buffer: its bytes count until the reader has the last one. */
  pushWhole(bytes: Uint8Array): void {
    this.#isOneBuffer = true;
    this.#count(bytes.length);
    for (let from = 0; from < bytes.length; from += PART_BYTES) {
      this.#source.push(bytes.subarray(from, from + PART_BYTES));
    }
    this.#source.end();
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

  /** For the source alone, as is all that follows. */
  onPull(): void {}

  onTaken(chunk: Uint8Array): void {
    if (!this.#isOneBuffer) this.#count(-chunk.length - CHUNK_OVERHEAD_BYTES);
    this.#events.onTaken();
  }

  onEnded(): void {
    this.#count(-this.#bufferedBytes);
    this.#events.onEnded();
  }

  onCancel(reason: unknown): void {
    this.#count(-this.#bufferedBytes);
    this.#events.onCanceled(reason);
  }

  #count(bytes: number): void {
    this.#bufferedBytes += bytes;
    this.#total.add(bytes);
  }
}
