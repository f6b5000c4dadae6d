/**
 * A body that comes in from a socket, as a stream. It holds what came before it was asked for, which its owner bounds:
 * the owner reads on only while `isHungry`.
 */
import { claim, share, spend } from "../net/lease.ts";

/** What a body tells its owner. */
export interface BodyOwner {
  /** The reader waits, and nothing is here for it. */
  bodyWanted(): void;
  /** The reader wants nothing more. Called at most once, and not after `end()` was read to the end or `fail()`. */
  bodyCanceled(): void;
}

export class InboundBody implements UnderlyingDefaultSource<Uint8Array> {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #owner: BodyOwner;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #queue: Uint8Array[] = [];
  #isWaiting = false;
  #isEnding = false;
  #isOver = false;

  constructor(owner: BodyOwner) {
    this.#owner = owner;
    this.stream = new ReadableStream<Uint8Array>(this, { highWaterMark: 0 });
  }

  /** True while the next bytes would leave at once, or be the only ones that wait. */
  get isHungry(): boolean {
    return this.#isWaiting || this.#queue.length === 0;
  }

  /** True while the reader waits for bytes that are not here. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** True once it was read to its end, cancelled or failed: `push()`, `end()` and `fail()` then do nothing. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** True once `end()` was called, whatever the reader did with what was there. */
  get isComplete(): boolean {
    return this.#isEnding;
  }

  push(chunk: Uint8Array): void {
    if (this.#isOver) return;
    claim(chunk);
    if (!this.#isWaiting) {
      this.#queue.push(chunk);
      return;
    }
    this.#isWaiting = false;
    this.#controller.enqueue(chunk);
  }

  /** The body is complete; the stream ends behind what waits. */
  end(): void {
    this.#isEnding = true;
    if (this.#queue.length === 0) this.#close();
  }

  /** The body broke off: what waits is dropped. */
  fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isWaiting = false;
    this.#queue = [];
    this.#controller.error(reason);
  }

  /** For the stream alone, as are `pull` and `cancel`. */
  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  pull(): void {
    const chunk = this.#queue.shift();
    if (chunk !== undefined) {
      this.#controller.enqueue(chunk);
      if (this.#isEnding && this.#queue.length === 0) this.#close();
    } else if (!this.#isOver) {
      this.#isWaiting = true;
      this.#owner.bodyWanted();
    }
  }

  cancel(): void {
    this.#isOver = true;
    this.#isWaiting = false;
    this.#queue = [];
    this.#owner.bodyCanceled();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isWaiting = false;
    this.#controller.close();
  }
}

/** Longer runs of content stay where they are. */
const MOVED_SLICE_BYTES = 4 * 1024;

/**
 * Adds a run of content to those of the same read. A short one is moved up to the run before it, over the chunk framing
 * between them, so that a body of tiny chunks does not make its readers take tiny steps.
 *
 * @param slices of the same chunk, whose bytes before `slice` have all been read
 */
export function gatherSlice(slices: Uint8Array[], slice: Uint8Array): void {
  const last = slices.at(-1);
  if (last === undefined || slice.length > MOVED_SLICE_BYTES) {
    slices.push(slice);
    return;
  }
  const joined = new Uint8Array(last.buffer, last.byteOffset, last.length + slice.length);
  joined.set(slice, last.length);
  slices[slices.length - 1] = joined;
}

/** Of `chunk`, a whole read, only `slices` are still needed. */
export function divide(chunk: Uint8Array, slices: readonly Uint8Array[]): void {
  claim(chunk);
  if (slices[0] === chunk) return;
  for (const slice of slices) share(chunk, slice);
  spend(chunk);
}
