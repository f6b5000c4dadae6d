/**
 * A rate of bytes at which visitors take turns, so that many pieces of one do not keep those of another waiting:
 *
 *     visitor a: piece piece piece …  ─┐
 *     visitor b: piece                ─┼▶ one piece of each in turn ──▶ is counted, and passes once its bytes have come
 *     visitor c: piece piece          ─┘
 *
 * Each exchange has one piece here at most: the pieces of a visitor take turns by exchange.
 */
import { type Clock, type Timer, TokenBucket } from "../base/mod.ts";

/** A piece that waits. */
export interface Turn {
  /** It will not pass: what was counted of it is given back. To be called at most once, and not behind its turn. */
  cancel(): void;
}

class Piece implements Turn {
  readonly visitor: string;
  readonly bytes: number;
  readonly onTurn: () => void;
  readonly #cancel: (piece: Piece) => void;

  constructor(visitor: string, bytes: number, onTurn: () => void, cancel: (piece: Piece) => void) {
    this.visitor = visitor;
    this.bytes = bytes;
    this.onTurn = onTurn;
    this.#cancel = cancel;
  }

  cancel(): void {
    this.#cancel(this);
  }
}

export class TurnBucket {
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  /** The pieces of each visitor, whose turn is next first. */
  readonly #waiting = new Map<string, Set<Piece>>();
  /** The piece that is counted, and waits for its bytes. */
  #counted: Piece | null = null;
  #timer: Timer | null = null;
  readonly #cancelPiece = (piece: Piece) => this.#cancel(piece);

  /** @param burst bytes that may pass at once */
  constructor(burst: number, bytesPerSecond: number, clock: Clock) {
    this.#bucket = new TokenBucket(burst, bytesPerSecond, clock.now());
    this.#clock = clock;
  }

  /** True where the next bytes may pass at once. */
  get isFree(): boolean {
    return this.#counted === null && this.#bucket.waitMs(this.#clock.now()) === 0;
  }

  /** Counts bytes that pass at once; less than 0: they are given back. */
  count(bytes: number): void {
    this.#bucket.spend(this.#clock.now(), bytes);
  }

  /** Counts bytes of a visitor. Null where they may pass at once; else `onTurn` is called when they may. */
  take(visitor: string, bytes: number, onTurn: () => void): Turn | null {
    const piece = new Piece(visitor, bytes, onTurn, this.#cancelPiece);
    if (this.#counted === null && this.#waiting.size === 0) return this.#passes(piece) ? null : piece;
    const own = this.#waiting.get(visitor);
    if (own === undefined) this.#waiting.set(visitor, new Set([piece]));
    else own.add(piece);
    return piece;
  }

  /** Counts a piece. False where it waits for its bytes. */
  #passes(piece: Piece): boolean {
    const waitMs = this.#bucket.spend(this.#clock.now(), piece.bytes);
    if (waitMs === 0) return true;
    this.#counted = piece;
    this.#timer = this.#clock.after(waitMs, () => this.#passCounted());
    return false;
  }

  #passCounted(): void {
    const piece = this.#counted as Piece;
    this.#counted = this.#timer = null;
    piece.onTurn();
    this.#serve();
  }

  /** Lets pieces pass until one has to wait. */
  #serve(): void {
    while (this.#counted === null) {
      const piece = this.#next();
      if (piece === null) return;
      if (this.#passes(piece)) piece.onTurn();
    }
  }

  /** The piece whose turn it is. Its visitor goes behind the others. */
  #next(): Piece | null {
    for (const [visitor, own] of this.#waiting) {
      this.#waiting.delete(visitor);
      const [piece] = own;
      own.delete(piece);
      if (own.size > 0) this.#waiting.set(visitor, own);
      return piece;
    }
    return null;
  }

  #cancel(piece: Piece): void {
    if (piece === this.#counted) {
      this.#timer?.cancel();
      this.#counted = this.#timer = null;
      this.count(-piece.bytes);
      return this.#serve();
    }
    const own = this.#waiting.get(piece.visitor);
    if (own?.delete(piece) && own.size === 0) this.#waiting.delete(piece.visitor);
  }
}
