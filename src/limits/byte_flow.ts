/**
 * Bodies at a rate. Nothing is cut off: a body that is ahead of its rate is not read for a while, so that its sender
 * waits. Large chunks pass in pieces, so that something moves all the time.
 */
import { type Body, type BodyOwner, BodySource, streamOf } from "../http/mod.ts";
import { type MemoryAccount, release, slice } from "../memory/mod.ts";
import type { Turn, TurnBucket } from "./turn_bucket.ts";

/** Pieces come this often where nobody else takes of the rate. */
const PIECES_PER_SECOND = 8;
const LEAST_PIECE_BYTES = 4 * 1024;
const LARGEST_PIECE_BYTES = 64 * 1024;

/** The bytes of one exchange in one direction: for whom they are counted, and how fast they may be. */
export class ByteFlow {
  /** Told of the bytes that wait. */
  readonly memory: MemoryAccount | null;
  readonly pieceBytes: number;
  readonly #buckets: readonly TurnBucket[];
  readonly #visitor: string;

  /**
   * @param buckets those of the visitor, of the tunnel, or both, in this order
   * @param bytesPerSecond the least of their rates
   * @param visitor whose the exchange is; empty where that is unknown
   */
  constructor(
    buckets: readonly TurnBucket[],
    bytesPerSecond: number,
    visitor: string,
    memory: MemoryAccount | null = null,
  ) {
    this.#buckets = buckets;
    this.#visitor = visitor;
    this.memory = memory;
    const piece = Math.floor(bytesPerSecond / PIECES_PER_SECOND);
    this.pieceBytes = Math.min(LARGEST_PIECE_BYTES, Math.max(LEAST_PIECE_BYTES, piece));
  }

  /** Lets a piece pass each of the rates. Null where it may at once; else `onPass` is called when it may. */
  pass(bytes: number, onPass: () => void): Turn | null {
    const passage = new Passage(this.#buckets, this.#visitor, bytes, onPass);
    return passage.advance() ? null : passage;
  }

  /** `body` at this rate. Of one that is whole, and may pass as it is, the bytes are counted. */
  shape<B extends Body>(body: B): B | ReadableStream<Uint8Array> {
    if (body === null) return body;
    if (body instanceof ReadableStream) return new ShapedBody(body, this).stream;
    if (body.length === 0 || body.length <= this.pieceBytes && this.#buckets.every(({ isFree }) => isFree)) {
      for (const bucket of this.#buckets) bucket.count(body.length);
      return body;
    }
    return new ShapedBody(streamOf(body), this).stream;
  }
}

/** A piece on its way through one rate after the other. */
class Passage implements Turn {
  readonly #buckets: readonly TurnBucket[];
  readonly #visitor: string;
  readonly #bytes: number;
  readonly #onPass: () => void;
  /** Those that it has passed. */
  #passed = 0;
  #turn: Turn | null = null;

  constructor(buckets: readonly TurnBucket[], visitor: string, bytes: number, onPass: () => void) {
    this.#buckets = buckets;
    this.#visitor = visitor;
    this.#bytes = bytes;
    this.#onPass = onPass;
  }

  /** False where it has to wait. */
  advance(): boolean {
    for (; this.#passed < this.#buckets.length; this.#passed++) {
      this.#turn = this.#buckets[this.#passed]!.take(this.#visitor, this.#bytes, () => this.#onTurn());
      if (this.#turn !== null) return false;
    }
    return true;
  }

  cancel(): void {
    this.#turn?.cancel();
    for (const bucket of this.#buckets.slice(0, this.#passed)) bucket.count(-this.#bytes);
  }

  #onTurn(): void {
    this.#passed++;
    if (this.advance()) this.#onPass();
  }
}

class ShapedBody implements BodyOwner {
  readonly #flow: ByteFlow;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #source = new BodySource(this);
  /** The piece that waits, and what of its chunk comes behind it. */
  #piece: Uint8Array | null = null;
  #rest: Uint8Array | null = null;
  #turn: Turn | null = null;
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
    const { pieceBytes } = this.#flow;
    let piece = chunk;
    if (chunk.length > pieceBytes) {
      piece = slice(chunk, 0, pieceBytes);
      this.#rest = slice(chunk, pieceBytes, chunk.length);
      release(chunk);
    }
    this.#turn = this.#flow.pass(piece.length, () => this.#passPiece());
    this.#tellHeld((this.#rest?.length ?? 0) + (this.#turn === null ? 0 : piece.length));
    if (this.#turn === null) return this.#source.push(piece);
    this.#piece = piece;
  }

  #passPiece(): void {
    const piece = this.#piece as Uint8Array;
    this.#piece = this.#turn = null;
    this.#tellHeld(this.#rest?.length ?? 0);
    this.#source.push(piece);
  }

  #fail(error: unknown): void {
    if (this.#source.isOver) return;
    this.#drop();
    this.#source.fail(error);
  }

  #drop(): void {
    this.#turn?.cancel();
    if (this.#piece !== null) release(this.#piece);
    if (this.#rest !== null) release(this.#rest);
    this.#piece = this.#rest = this.#turn = null;
    this.#tellHeld(0);
  }

  #tellHeld(bytes: number): void {
    if (bytes !== this.#heldBytes) this.#flow.memory?.add(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }
}
