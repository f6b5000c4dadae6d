/**
 * One stream's peer's direction: the bytes that wait, what the reader took and has not consumed, and the credit that
 * goes back for it.
 */
import { ErrorCode, ProtocolError } from "./wire/mod.ts";
import { StreamError } from "./errors.ts";
import { Inbox } from "./inbox.ts";
import { GrowthAccount, type GrowthPool, ReceiveWindow } from "./flow/mod.ts";
import { Half, HalfEvent, isOver, step } from "./state.ts";
import type { Fields } from "./types.ts";

const NO_FIELDS: Fields = [];
/** Before the first bytes: most streams of small requests never get any. Nothing is ever put into it. */
const NO_INBOX = new Inbox();

export class ReceiveHalf {
  readonly #pool: GrowthPool;
  readonly #window: ReceiveWindow;
  #inbox = NO_INBOX;
  /** Null until the stream had growth or was read. */
  #account: GrowthAccount | null = null;
  #state: Half = Half.HEAD;
  #takenBytes = 0;
  #pendingCredit = 0;
  #discarding = false;
  trailers: Fields = NO_FIELDS;

  constructor(windowBytes: number, pool: GrowthPool) {
    this.#window = new ReceiveWindow(windowBytes);
    this.#pool = pool;
  }

  get state(): Half {
    return this.#state;
  }

  /** Whether nothing more comes. */
  get isOver(): boolean {
    return isOver(this.#state);
  }

  /** Whether nothing more comes and nothing is left of what came. */
  get isDone(): boolean {
    return isOver(this.#state) && this.#inbox.byteLength === 0 && this.#takenBytes === 0;
  }

  /** What this direction holds in memory. */
  get heldBytes(): number {
    return this.#inbox.heldBytes + this.#takenBytes;
  }

  /** Bytes that wait for the reader. */
  get readableBytes(): number {
    return this.#inbox.byteLength;
  }

  /** Whether all bytes were read and the end is here. */
  get readEnded(): boolean {
    return this.#state === Half.ENDED && this.#inbox.byteLength === 0 && !this.#discarding;
  }

  /** Whether the end is here, and all bytes before it still are or never were. */
  get canTakeWhole(): boolean {
    return this.#state === Half.ENDED && !this.#discarding;
  }

  /** Whether what comes is thrown away. */
  get isDiscarding(): boolean {
    return this.#discarding;
  }

  /**
   * A frame of the peer's moves the direction on.
   *
   * @throws {ProtocolError} of scope `stream` where it may not: `STREAM_CLOSED` after the end, else `PROTOCOL_ERROR`.
   */
  advance(event: HalfEvent, streamId: number): void {
    const next = step(this.#state, event);
    if (next !== null) {
      this.#state = next;
      return;
    }
    const over = isOver(this.#state);
    throw new ProtocolError({
      errorCode: over ? ErrorCode.STREAM_CLOSED : ErrorCode.PROTOCOL_ERROR,
      reason: over
        ? `Stream ${streamId} was sent a frame after its end`
        : `Stream ${streamId} was sent frames out of order`,
      scope: "stream",
      streamId,
    });
  }

  /**
   * Takes DATA in. Its state was advanced before.
   *
   * @throws {ProtocolError} `FLOW_CONTROL_ERROR` of scope `connection` where the peer sent more than it may.
   */
  receive(payload: Uint8Array, streamId: number): void {
    if (payload.length === 0) return;
    if (!this.#window.receive(payload.length)) {
      throw new ProtocolError({
        errorCode: ErrorCode.FLOW_CONTROL_ERROR,
        reason: `Stream ${streamId} was sent ${payload.length} bytes with a credit of ${this.#window.credit}`,
        scope: "connection",
        streamId,
      });
    }
    // Nobody waits for them, and their credit need not go back: there is no shared window to repay.
    if (this.#discarding) return;
    if (this.#inbox === NO_INBOX) this.#inbox = new Inbox();
    this.#inbox.push(payload, this.#window.credit);
  }

  /** Whether what still waits is to be settled anew. */
  get pinsTooMuch(): boolean {
    return this.#inbox.pinsTooMuch;
  }

  /** Copies what still waits out of the messages that brought it. */
  settle(): void {
    this.#inbox.settle(this.isOver ? 0 : this.#window.credit);
  }

  take(): Uint8Array | null {
    const chunk = this.#inbox.shift();
    if (chunk !== null) this.#takenBytes += chunk.length;
    return chunk;
  }

  takeAll(): Uint8Array {
    const whole = this.#inbox.takeAll();
    this.#takenBytes += whole.length;
    return whole;
  }

  /**
   * Bytes that were read are consumed. Returns whether there is credit to send.
   *
   * @throws {StreamError} `invalid_state` for more bytes than were read.
   */
  consume(bytes: number, rttMs: number): boolean {
    if (bytes > this.#takenBytes) {
      throw StreamError.invalidState(`Stream cannot consume ${bytes} bytes of the ${this.#takenBytes} that were read`);
    }
    this.#takenBytes -= bytes;
    // After the peer's end no credit is of use any more.
    if (this.isOver) return false;
    const account = this.#account ??= new GrowthAccount(this.#window);
    const emptied = this.#inbox.byteLength === 0 && this.#takenBytes === 0;
    this.#pendingCredit += this.#window.consume(bytes);
    const growth = this.#pool.consumed(account, bytes, this.#window.size, emptied, rttMs);
    if (growth > 0) this.#grow(growth);
    return this.#pendingCredit > 0;
  }

  /** The growth of a new stream. Returns whether there is credit to send. */
  openGrowth(): boolean {
    if (this.isOver || this.#discarding) return false;
    this.#account ??= new GrowthAccount(this.#window);
    const growth = this.#pool.open(this.#account, this.#window.size);
    if (growth > 0) this.#grow(growth);
    return growth > 0;
  }

  /** The credit to send now, once; 0 where none is due. */
  takeCredit(): number {
    const credit = this.isOver || this.#discarding ? 0 : this.#pendingCredit;
    this.#pendingCredit = 0;
    return credit;
  }

  /** Throws away what waits and what still comes. */
  discard(): void {
    this.#discarding = true;
    this.#inbox.clear();
  }

  /**
   * The direction broke: nothing more comes, and what waits is thrown away, even where the end was already here: what
   * its reader got is then no whole body. What was read stays with its reader.
   */
  break(): void {
    if (this.#state !== Half.ENDED || this.#inbox.byteLength > 0) this.#state = Half.BROKEN;
    this.#inbox.clear();
  }

  /** The stream is over: its growth goes back to the pool, and nothing that was read counts any more. */
  release(): void {
    this.#takenBytes = 0;
    this.#inbox.clear();
    if (this.#account !== null) this.#pool.release(this.#account);
  }

  #grow(bytes: number): void {
    this.#window.grow(bytes);
    this.#pendingCredit += bytes;
  }
}
