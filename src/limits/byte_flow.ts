/**
 * Bodies at a rate. Nothing is cut off: a body that is ahead of its rate is not read for a while, so that its sender
 * waits. Large chunks pass in pieces, so that something moves all the time.
 */
import type { Clock, Timer, TokenBucket } from "../base/mod.ts";
import { type Body, type BodyOwner, BodySource, streamOf } from "../http/mod.ts";
import { type MemoryAccount, release, slice } from "../memory/mod.ts";

/** Pieces come this often where nobody else takes of the rate. */
const PIECES_PER_SECOND = 8;
const LEAST_PIECE_BYTES = 4 * 1024;
const LARGEST_PIECE_BYTES = 64 * 1024;

/** The bytes of one direction, for whom they are counted, and how fast they may be. */
export class ByteFlow {
  readonly clock: Clock;
  /** Told of the bytes that wait. */
  readonly memory: MemoryAccount | null;
  readonly pieceBytes: number;
  readonly #buckets: readonly TokenBucket[];

  /**
   * @param buckets of bytes: those of the visitor, of the tunnel, or both
   * @param bytesPerSecond the least of their rates
   */
  constructor(buckets: readonly TokenBucket[], bytesPerSecond: number, clock: Clock, memory: MemoryAccount | null) {
    this.#buckets = buckets;
    this.clock = clock;
    this.memory = memory;
    const piece = Math.floor(bytesPerSecond / PIECES_PER_SECOND);
    this.pieceBytes = Math.min(LARGEST_PIECE_BYTES, Math.max(LEAST_PIECE_BYTES, piece));
  }

  /** Counts bytes. Returns the milliseconds until they may pass. */
  spend(bytes: number): number {
    const now = this.clock.now();
    let waitMs = 0;
    for (const bucket of this.#buckets) waitMs = Math.max(waitMs, bucket.spend(now, bytes));
    return waitMs;
  }

  /** Gives back what was counted of bytes that will not pass. */
  refund(bytes: number): void {
    const now = this.clock.now();
    for (const bucket of this.#buckets) bucket.spend(now, -bytes);
  }

  /** `body` at this rate. Of one that is whole, and may pass as it is, the bytes are counted. */
  shape<B extends Body>(body: B): B | ReadableStream<Uint8Array> {
    if (body === null) return body;
    if (body instanceof ReadableStream) return new ShapedBody(body, this).stream;
    if (body.length === 0 || body.length <= this.pieceBytes && !this.#hasDebt()) {
      this.spend(body.length);
      return body;
    }
    return new ShapedBody(streamOf(body), this).stream;
  }

  #hasDebt(): boolean {
    const now = this.clock.now();
    return this.#buckets.some((bucket) => bucket.waitMs(now) > 0);
  }
}

class ShapedBody implements BodyOwner {
  readonly #flow: ByteFlow;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #source = new BodySource(this);
  /** The piece that waits, and what of its chunk comes behind it. */
  #piece: Uint8Array | null = null;
  #rest: Uint8Array | null = null;
  #timer: Timer | null = null;
  /** What the account was told of. */
  #heldBytes = 0;

  constructor(body: ReadableStream<Uint8Array>, flow: ByteFlow) {
    this.#flow = flow;
    this.#reader = body.getReader();
    // A body that breaks off while a piece waits is reported at once.
    this.#reader.closed.catch((error) => this.#fail(error));
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  onPull(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) this.#pass(rest);
    else this.#reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  onCancel(reason: unknown): void {
    this.#drop();
    // A source that fails while it is being canceled has stopped, too.
    this.#reader.cancel(reason).catch(() => {});
  }

  #take({ done, value }: ReadableStreamReadResult<Uint8Array>): void {
    if (this.#source.isOver) {
      if (!done) release(value);
    } else if (done) this.#source.end();
    else if (value.length === 0) this.onPull();
    else this.#pass(value);
  }

  #pass(chunk: Uint8Array): void {
    const { clock, pieceBytes } = this.#flow;
    let piece = chunk;
    if (chunk.length > pieceBytes) {
      piece = slice(chunk, 0, pieceBytes);
      this.#rest = slice(chunk, pieceBytes, chunk.length);
      release(chunk);
    }
    const waitMs = this.#flow.spend(piece.length);
    this.#tellHeld((this.#rest?.length ?? 0) + (waitMs > 0 ? piece.length : 0));
    if (waitMs === 0) return this.#source.push(piece);
    this.#piece = piece;
    this.#timer = clock.after(waitMs, () => this.#passPiece());
  }

  #passPiece(): void {
    const piece = this.#piece as Uint8Array;
    this.#piece = this.#timer = null;
    this.#tellHeld(this.#rest?.length ?? 0);
    this.#source.push(piece);
  }

  #fail(error: unknown): void {
    if (this.#source.isOver) return;
    this.#drop();
    this.#source.fail(error);
  }

  #drop(): void {
    this.#timer?.cancel();
    if (this.#piece !== null) {
      this.#flow.refund(this.#piece.length);
      release(this.#piece);
    }
    if (this.#rest !== null) release(this.#rest);
    this.#piece = this.#rest = this.#timer = null;
    this.#tellHeld(0);
  }

  #tellHeld(bytes: number): void {
    if (bytes !== this.#heldBytes) this.#flow.memory?.add(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }
}
