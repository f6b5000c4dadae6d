/**
 * The peer's direction of one stream: bytes that wait for the reader, bytes that the reader took and has not consumed,
 * and the credit that goes back when it does.
 *
 *     DATA ── receive() ──▶ waiting ── take() ──▶ taken ── consume() ──▶ credit ── takeCredit() ──▶ WINDOW_UPDATE
 */
import { StreamError } from "./errors.ts";
import { GrowthAccount, type GrowthPool, ReceiveWindow } from "./flow/mod.ts";
import { ReceiveBuffer } from "./receive_buffer.ts";
import { Half, HalfEvent, isOver, step } from "./state.ts";
import type { Fields } from "./types.ts";
import { ErrorCode, ProtocolError } from "./wire/mod.ts";

const noFields: Fields = [];
/** Before the first bytes: most streams of small requests never get any. Nothing is ever put into it. */
const emptyBuffer = new ReceiveBuffer();

export class ReceiveHalf {
  /** The peer's trailers; empty until they came. */
  trailers: Fields = noFields;
  readonly #pool: GrowthPool;
  readonly #window: ReceiveWindow;
  #buffer = emptyBuffer;
  /** Null until the stream was offered growth, or was read. */
  #account: GrowthAccount | null = null;
  #state: Half = Half.HEAD;
  #takenBytes = 0;
  #pendingCredit = 0;
  #isDiscarding = false;

  constructor(windowBytes: number, pool: GrowthPool) {
    this.#window = new ReceiveWindow(windowBytes);
    this.#pool = pool;
  }

  /** Whether nothing more comes: the end is here, or the direction broke. */
  get isOver(): boolean {
    return isOver(this.#state);
  }

  /** Whether nothing more comes, and everything that came was consumed. */
  get isDone(): boolean {
    return isOver(this.#state) && this.#buffer.byteLength === 0 && this.#takenBytes === 0;
  }

  /** What this direction holds in memory. */
  get heldBytes(): number {
    return this.#buffer.heldBytes + this.#takenBytes;
  }

  /** Bytes that wait for the reader. */
  get readableBytes(): number {
    return this.#buffer.byteLength;
  }

  /** Whether the end is here, and all bytes before it were taken. */
  get readEnded(): boolean {
    return this.canTakeWhole && this.#buffer.byteLength === 0;
  }

  /** Whether the end is here, and no byte before it was thrown away. */
  get canTakeWhole(): boolean {
    return this.#state === Half.ENDED && !this.#isDiscarding;
  }

  /** Whether what comes is thrown away. */
  get isDiscarding(): boolean {
    return this.#isDiscarding;
  }

  /** Whether bytes that wait pin much more memory than they have: `compact()` mends that. */
  get isSparse(): boolean {
    return this.#buffer.isSparse;
  }

  /**
   * Moves the state on, as a frame of the peer's does.
   *
   * @throws {ProtocolError} of scope `stream` where it may not: `STREAM_CLOSED` after the end, else `PROTOCOL_ERROR`.
   */
  advance(event: HalfEvent, streamId: number): void {
    const next = step(this.#state, event);
    if (next !== null) {
      this.#state = next;
      return;
    }
    const isLate = isOver(this.#state);
    throw new ProtocolError({
      errorCode: isLate ? ErrorCode.STREAM_CLOSED : ErrorCode.PROTOCOL_ERROR,
      reason: isLate
        ? `Stream ${streamId} was sent a frame after its end`
        : `Stream ${streamId} was sent frames out of order`,
      scope: "stream",
      streamId,
    });
  }

  /**
   * Takes DATA in, after `advance()`.
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
    // Their credit need not go back: there is no window of the connection to refill.
    if (this.#isDiscarding) return;
    if (this.#buffer === emptyBuffer) this.#buffer = new ReceiveBuffer();
    this.#buffer.push(payload, this.#window.credit);
  }

  /** Copies what waits out of the messages that brought it. */
  compact(): void {
    this.#buffer.compact(this.isOver ? 0 : this.#window.credit);
  }

  /** The oldest chunk that waits, or null. */
  take(): Uint8Array | null {
    const chunk = this.#buffer.shift();
    if (chunk !== null) this.#takenBytes += chunk.length;
    return chunk;
  }

  /** All bytes that wait, in one piece. */
  takeAll(): Uint8Array {
    const whole = this.#buffer.takeAll();
    this.#takenBytes += whole.length;
    return whole;
  }

  /**
   * Bytes that were taken are consumed. Returns whether there is credit to send.
   *
   * @throws {StreamError} `invalid_state` for more bytes than were taken.
   */
  consume(bytes: number, rttMs: number): boolean {
    if (bytes > this.#takenBytes) {
      throw StreamError.invalidState(`Stream cannot consume ${bytes} bytes of the ${this.#takenBytes} that were read`);
    }
    this.#takenBytes -= bytes;
    // The peer sends no more, and needs no credit.
    if (this.isOver) return false;
    const account = this.#account ??= new GrowthAccount(this.#window);
    const isEmptied = this.#buffer.byteLength === 0 && this.#takenBytes === 0;
    this.#pendingCredit += this.#window.consume(bytes);
    const growth = this.#pool.consumed(account, bytes, this.#window.size, isEmptied, rttMs);
    if (growth > 0) this.#grow(growth);
    return this.#pendingCredit > 0;
  }

  /** Grows the window of a new stream, where more is to come. Returns whether there is credit to send. */
  growFirst(): boolean {
    if (this.isOver || this.#isDiscarding) return false;
    this.#account ??= new GrowthAccount(this.#window);
    const growth = this.#pool.grantFirst(this.#account, this.#window.size);
    if (growth > 0) this.#grow(growth);
    return growth > 0;
  }

  /** The credit to send now, which the caller must send; 0 where there is none. */
  takeCredit(): number {
    const credit = this.isOver || this.#isDiscarding ? 0 : this.#pendingCredit;
    this.#pendingCredit = 0;
    return credit;
  }

  /** Throws away what waits and what still comes. */
  discard(): void {
    this.#isDiscarding = true;
    this.#buffer.clear();
  }

  /** Breaks the direction: nothing more comes, and what waits is thrown away. What was taken stays with its reader. */
  break(): void {
    // A body of which bytes are thrown away is not whole, even where its end is here.
    const isCut = this.#buffer.byteLength > 0;
    this.#state = isCut ? Half.BROKEN : step(this.#state, HalfEvent.RESET) ?? Half.BROKEN;
    this.#buffer.clear();
  }

  /** The stream is over: its growth goes back to the pool, and bytes that the reader has do not count any more. */
  release(): void {
    this.#takenBytes = 0;
    this.#buffer.clear();
    if (this.#account !== null) this.#pool.release(this.#account);
  }

  #grow(bytes: number): void {
    this.#window.grow(bytes);
    this.#pendingCredit += bytes;
  }
}
