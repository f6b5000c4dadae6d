/**
 * A stream: two directions, what their owner wants to hear, and the frames that control them. The life of a direction
 * is drawn in state.ts. Three parties call a stream: its owner (`Stream`, types.ts), the connection with what the peer
 * sent (`receive…`), and the scheduler when there is room (`Sender`). Its owner is called by `dispatch()` alone, which
 * the connection calls when a message was dealt with: so no call is nested in another.
 */
import { ErrorCode, Flag } from "./wire/mod.ts";
import { StreamError } from "./errors.ts";
import type { Outbox } from "./outbox.ts";
import { ReceiveHalf } from "./receive_half.ts";
import { SchedulerSlot, type Sender, Want } from "./scheduler.ts";
import { SendHalf } from "./send_half.ts";
import { Half, HalfEvent, isOver } from "./state.ts";
import { StreamControl } from "./stream_control.ts";
import { News, StreamFace } from "./stream_face.ts";
import type { StreamHost } from "./stream_host.ts";
import type { Fields, HeadOptions, Stream } from "./types.ts";
import { disown } from "../memory/mod.ts";

const NO_FIELDS: Fields = [];

export class MuxStream extends StreamFace implements Stream, Sender {
  override readonly id: number;
  readonly headers: Fields;
  override readonly accepted: boolean;
  readonly slot: SchedulerSlot = new SchedulerSlot(this);
  /** When bytes last moved, or began to wait. */
  movedAt = 0;

  readonly #host: StreamHost;
  readonly #send: SendHalf;
  readonly #receive: ReceiveHalf;
  /** Null while the stream has nothing to say but credit. */
  #control: StreamControl | null = null;
  /** Whether the frame that opens the stream was on the wire. */
  #opened: boolean;
  #over = false;
  #error: StreamError | null = null;
  #readError: StreamError | null = null;
  #response: Fields | null = null;
  #heldBytes = 0;
  #heldHeaderBytes = 0;

  constructor(host: StreamHost, id: number, headers: Fields, accepted: boolean) {
    super();
    this.#host = host;
    this.id = id;
    this.headers = headers;
    this.accepted = accepted;
    this.#opened = accepted;
    this.#send = new SendHalf(host.peerWindowBytes);
    this.#receive = new ReceiveHalf(host.initialWindowBytes, host.pool);
  }

  // The owner's face: see types.ts.

  override get error(): StreamError | null {
    return this.#error;
  }

  override get readError(): StreamError | null {
    return this.#readError;
  }

  get bufferedBytes(): number {
    return this.#heldBytes;
  }

  get unsentBytes(): number {
    return this.#send.unsentBytes;
  }

  get readableBytes(): number {
    return this.#receive.readableBytes;
  }

  override get readEnded(): boolean {
    return this.#receive.readEnded;
  }

  override get sendEnded(): boolean {
    return isOver(this.#send.state);
  }

  override get trailerFields(): Fields {
    return this.#receive.finished ? this.#receive.trailers : NO_FIELDS;
  }

  respond(fields: Fields, options?: HeadOptions): void {
    if (!this.accepted) throw StreamError.invalidState(`Stream ${this.id} was opened here and cannot respond`);
    if (this.#send.state === Half.BROKEN) return;
    this.#sendHead(this.#host.encode(fields, 0), options);
  }

  inform(fields: Fields): void {
    if (!this.accepted) throw StreamError.invalidState(`Stream ${this.id} was opened here and cannot inform`);
    if (this.#send.state === Half.BROKEN) return;
    const block = this.#host.encode(fields, Flag.INFORMATIONAL);
    if (this.#host.headersFull) return;
    this.#send.inform(block);
    this.#queued();
  }

  override send(bytes: Uint8Array, end: boolean): boolean {
    const ready = this.#send.send(bytes, end);
    this.#queued();
    return ready;
  }

  sendTrailers(fields: Fields): void {
    if (this.#send.state === Half.BROKEN) return;
    this.#send.trailers(this.#host.encode(fields, Flag.TRAILERS | Flag.END_STREAM));
    this.#queued();
  }

  read(): Uint8Array | null {
    const chunk = this.take();
    return chunk === null ? null : disown(chunk);
  }

  override take(): Uint8Array | null {
    const chunk = this.#receive.take();
    if (chunk === null) return null;
    this.#account();
    if (this.#receive.pinsTooMuch) this.#host.unsettled(this);
    return chunk;
  }

  override consume(bytes: number): void {
    if (this.#over || bytes === 0) return;
    const credit = this.#receive.consume(bytes, this.#host.rttMs);
    this.movedAt = this.#host.now;
    if (credit) this.#wantControl();
    this.#account();
    this.#settleLife();
  }

  takeWhole(): Uint8Array | null {
    if (!this.#receive.readAllPossible) return null;
    const whole = this.#receive.takeAll();
    this.consume(whole.length);
    return whole;
  }

  override stopSending(code: number = ErrorCode.CANCEL): void {
    if (this.#receive.discarding || this.#over) return;
    this.#receive.discard();
    this.#account();
    if (!this.#receive.finished) {
      (this.#control ??= new StreamControl()).stop(code);
      this.#wantControl();
    }
    this.#settleLife();
  }

  reset(code: number = ErrorCode.CANCEL): void {
    this.fail(StreamError.reset(code, "user", `Stream ${this.id}`), code);
  }

  override resetSending(code: number = ErrorCode.CANCEL): void {
    if (this.#send.finished) return;
    if (!this.#opened) return this.reset(code);
    this.#breakSending(code);
    this.#settleLife();
  }

  // What the connection and the comfortable face see and tell.

  override get isOver(): boolean {
    return this.#over;
  }

  override get receivedHead(): Fields | null {
    return this.#response;
  }

  override get receiveFinished(): boolean {
    return this.#receive.finished;
  }

  /** Opens a stream of our own. @throws {StreamError} `invalid_headers`. */
  open(options?: HeadOptions): void {
    this.#sendHead(this.#host.encode(this.headers, 0), options);
  }

  /** The peer opened the stream. */
  accept(endStream: boolean): void {
    this.#receive.advance(endStream ? HalfEvent.HEAD_END : HalfEvent.HEAD, this.id);
  }

  /** The credit that a new stream gets at once; only after the message that opened it, where more is to come. */
  grantFirst(): void {
    if (this.#over || !this.#receive.openGrowth()) return;
    this.#wantControl();
  }

  receiveHeaders(fields: Fields, flags: number, blockBytes: number): void {
    const end = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.INFORMATIONAL) !== 0) {
      this.#receive.advance(HalfEvent.INFORM, this.id);
      if (this.#host.headersFull) return;
      this.addInform(fields, blockBytes);
    } else if ((flags & Flag.TRAILERS) !== 0) {
      this.#receive.advance(HalfEvent.TRAILERS, this.id);
      this.#receive.trailers = fields;
      this.addNews(News.READABLE, blockBytes);
    } else {
      this.#receive.advance(end ? HalfEvent.HEAD_END : HalfEvent.HEAD, this.id);
      this.#response = fields;
      this.addNews(end ? News.RESPONSE | News.READABLE : News.RESPONSE, blockBytes);
    }
    this.#received();
  }

  receiveData(payload: Uint8Array, endStream: boolean): void {
    this.#receive.advance(endStream ? HalfEvent.DATA_END : HalfEvent.DATA, this.id);
    if (this.#receive.heldBytes === 0) this.movedAt = this.#host.now;
    this.#receive.receive(payload, this.id);
    if (!this.#receive.discarding || endStream) this.addNews(News.READABLE);
    this.#received();
  }

  receiveReset(errorCode: number, half: boolean): void {
    const error = StreamError.reset(errorCode, "remote", `Stream ${this.id}`);
    if (!half) return this.fail(error, null);
    if (this.#receive.finished) return;
    const asked = this.#receive.discarding;
    this.#receive.break();
    this.#readError = error;
    this.addNews(News.READABLE);
    if (!asked) this.abort(error);
    this.#received();
  }

  receiveStop(errorCode: number): void {
    if (this.#send.finished) return;
    this.#breakSending(errorCode);
    const error = StreamError.reset(errorCode, "remote", `Sending on stream ${this.id}`);
    this.addStop(errorCode, error);
    this.abort(error);
    this.#received();
  }

  /** False where the window would overflow. */
  receiveCredit(bytes: number): boolean {
    if (this.#send.finished) return true;
    if (!this.#send.window.credit(bytes)) return false;
    this.#host.scheduler.update(this);
    this.#host.wake();
    return true;
  }

  /** The peer's SETTINGS differ from what the stream began with. */
  adjustWindow(delta: number): void {
    this.#send.window.adjust(delta);
    this.#host.scheduler.update(this);
  }

  /** Breaks the stream in both directions; `code` goes to the peer, unless it is null. */
  fail(error: StreamError, code: number | null): void {
    if (this.#over) return;
    this.#error = error;
    this.#readError ??= error;
    this.#send.break();
    this.#receive.break();
    this.#host.scheduler.forget(this);
    (this.#control ??= new StreamControl()).reset(code);
    if (code !== null) this.#wantControl();
    // What the peer said before it broke the stream is still told; what this side broke off is not.
    if (error.initiator === "user") this.dropNews();
    this.abort(error);
    this.#finish();
  }

  /** Tells the owner what there is to tell. */
  dispatch(): void {
    this.tellNews();
    if (this.#receive.readableBytes > 0) this.#host.unsettled(this);
    this.#account();
  }

  /** Copies what its reader left of this turn's messages out of them. */
  settle(): void {
    if (this.#over) return;
    this.#receive.settle();
    this.#account();
  }

  // What the scheduler asks.

  get want(): Want {
    return this.#send.want;
  }

  get headBytes(): number {
    return this.#send.headBytes;
  }

  get dataBytes(): number {
    return this.#send.dataBytes;
  }

  get wholeBytes(): number {
    return this.#send.wholeBytes;
  }

  writeControl(out: Outbox): void {
    this.#control?.write(out, this.id);
    const credit = this.#over ? 0 : this.#receive.takeCredit();
    if (credit > 0) out.windowUpdate(this.id, credit);
  }

  writeHead(out: Outbox): void {
    const final = this.#send.writeHead(out, this.id);
    if (!this.#opened) {
      this.#opened = true;
      this.#receive.openGrowth();
      this.writeControl(out);
    } else if (final) this.replied();
    this.#left();
  }

  writeData(out: Outbox, most: number): number {
    const sent = this.#send.writeData(out, this.id, most);
    this.movedAt = this.#host.now;
    this.#left();
    return sent;
  }

  // Within.

  protected override released(): void {
    this.#host.released(this);
  }

  #sendHead(block: Uint8Array, options: HeadOptions | undefined): void {
    this.#send.headWith(block, options?.body, options?.endStream === true);
    this.#queued();
  }

  /** Something was queued: it leaves at the end of the turn. */
  #queued(): void {
    if (this.#over) return;
    if (this.#heldBytes === 0) this.movedAt = this.#host.now;
    this.#account();
    this.#host.scheduler.update(this);
    this.#host.wake();
  }

  /** Something left. */
  #left(): void {
    this.#account();
    if (this.#send.takeRelief()) {
      this.addNews(News.WRITABLE);
      this.#host.news(this);
    }
    this.#settleLife();
  }

  /** Something came in. */
  #received(): void {
    this.#account();
    this.#host.news(this);
    this.#settleLife();
  }

  /** Control frames wait for the frame that opens the stream, and leave right behind it. */
  #wantControl(): void {
    if (!this.#opened) return;
    this.#host.scheduler.control(this);
    this.#host.wake();
  }

  #breakSending(code: number): void {
    this.#send.break();
    this.#host.scheduler.forget(this);
    (this.#control ??= new StreamControl()).resetHalf(code);
    this.#wantControl();
    this.#account();
  }

  #settleLife(): void {
    if (!this.#over && this.#send.finished && this.#receive.settled) this.#finish();
  }

  #finish(): void {
    this.#over = true;
    this.#receive.release();
    this.#account();
    this.replied();
    this.addNews(News.CLOSE);
    this.#host.news(this);
    this.#host.over(this);
  }

  /** Brings the sums of the stream and of the connection in line with what is held now. */
  #account(): void {
    const headerBytes = this.#over ? 0 : this.#send.headerBytes + this.untakenHeaderBytes;
    const bytes = this.#over ? 0 : headerBytes + this.#send.unsentBytes + this.#receive.heldBytes;
    if (bytes === this.#heldBytes && headerBytes === this.#heldHeaderBytes) return;
    this.#host.held(bytes - this.#heldBytes, headerBytes - this.#heldHeaderBytes);
    this.#heldBytes = bytes;
    this.#heldHeaderBytes = headerBytes;
  }
}
