/**
 * A body that arrives, as a stream: what is pushed waits here until the reader pulls it. The stream itself reads
 * nothing ahead (its high-water mark is 0), so only what the owner pushes without being asked waits. The owner bounds
 * that: it reads on while `canTakeMore`, or pushes only when `onPull` asks. Many small chunks that wait are copied
 * together.
 *
 *     socket or stream ── push ──▶ BodySource ── pull ──▶ reader
 *              ▲                        │
 *              └──────── onPull ◀───────┘   the reader waits, and the queue is empty
 */

import { compactPieces, MAX_LOOSE_PIECES } from "../../memory/mod.ts";

/** What pushes the chunks of a body. */
export interface BodyOwner {
  /** The reader waits, and everything that was pushed has been taken. May push at once. */
  onPull(): void;
  /** The reader canceled. Called at most once, and not after the reader got the end or the failure. */
  onCancel(reason: unknown): void;
  /** The reader took a chunk. */
  onTaken?(chunk: Uint8Array): void;
  /** The reader got the end. */
  onEnded?(): void;
}

const readNothingAhead = { highWaterMark: 0 };

export class BodySource implements UnderlyingDefaultSource<Uint8Array> {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #owner: BodyOwner;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #compactAt = MAX_LOOSE_PIECES;
  #isWaiting = false;
  #isEnding = false;
  #isOver = false;

  constructor(owner: BodyOwner) {
    this.#owner = owner;
    this.stream = new ReadableStream<Uint8Array>(this, readNothingAhead);
  }

  /** True while the reader waits for bytes that were not pushed yet. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Bytes that were pushed and wait for the reader. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** True while at most the next chunk would wait. */
  get canTakeMore(): boolean {
    return this.#isWaiting || this.#queue.length === 0;
  }

  /** True once `end()` was called, even where the reader does not have all of the body yet. */
  get isComplete(): boolean {
    return this.#isEnding;
  }

  /** True once the reader got the end or the failure, or canceled. All calls are then without effect. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Gives the reader a chunk, or queues it. Empty chunks and chunks after the end are dropped. */
  push(chunk: Uint8Array): void {
    if (this.#isOver || this.#isEnding || chunk.length === 0) return;
    if (!this.#isWaiting) {
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
      if (this.#queue.length >= this.#compactAt) this.#compact();
      return;
    }
    this.#isWaiting = false;
    this.#controller.enqueue(chunk);
    this.#owner.onTaken?.(chunk);
  }

  /** The body is complete. The stream ends after the queued chunks. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.#queue.length === 0) this.#close();
  }

  /** The body broke off. Queued chunks are dropped, and the reader's next read rejects with `error`. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#controller.error(error);
  }

  /** Called by the stream alone, as are `pull` and `cancel`. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  pull(): void {
    const chunk = this.#queue.shift();
    if (chunk === undefined) {
      if (this.#isOver) return;
      this.#isWaiting = true;
      this.#owner.onPull();
      return;
    }
    this.#queuedBytes -= chunk.length;
    this.#controller.enqueue(chunk);
    this.#owner.onTaken?.(chunk);
    if (this.#isEnding && this.#queue.length === 0) this.#close();
  }

  cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#owner.onCancel(reason);
  }

  #close(): void {
    if (this.#isOver) return;
    this.#finish();
    this.#controller.close();
    this.#owner.onEnded?.();
  }

  #finish(): void {
    this.#isOver = true;
    this.#isWaiting = false;
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  /** Again when there are twice as many, so that large chunks are not looked at each time. */
  #compact(): void {
    this.#queue = compactPieces(this.#queue);
    this.#compactAt = Math.max(MAX_LOOSE_PIECES, 2 * this.#queue.length);
  }
}

/** Bytes as a stream of one chunk. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const source = new BodySource({ onPull() {}, onCancel() {} });
  source.push(bytes);
  source.end();
  return source.stream;
}
