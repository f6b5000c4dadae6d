/**
 * A stream: its two directions, the frames that control them, and the events for its owner. The states of a direction
 * are drawn in state.ts.
 *
 *     owner ── send(), read(), reset() … ──▶ ┌───────────┐ ◀── receive…() ── connection, with what the peer sent
 *                                            │ MuxStream │
 *     owner ◀──── handlers, Web Streams ──── └───────────┘ ◀── write…() ──── scheduler, when frames may leave
 *
 * The owner is told by `dispatch()` alone, which the connection calls after a message or a flush. So no call is made
 * from within another.
 */
import { type Clock, Deferred, type WaitTime } from "../base/mod.ts";
import { disown } from "../memory/mod.ts";
import { StreamError } from "./errors.ts";
import type { GrowthPool } from "./flow/mod.ts";
import type { OutgoingMessage } from "./outgoing_message.ts";
import { ReceiveHalf } from "./receive_half.ts";
import { type NextFrame, type Scheduler, SchedulerEntry, type Sender } from "./scheduler.ts";
import { SendHalf } from "./send_half.ts";
import { Half, HalfEvent, isOver } from "./state.ts";
import { StreamControl } from "./stream_control.ts";
import { StreamEvent, StreamEvents } from "./stream_events.ts";
import type { Fields, HeadOptions, Stream, StreamHandlers } from "./types.ts";
import { type AdaptedStream, WebStreamsAdapter } from "./web_streams_adapter.ts";
import { ErrorCode, Flag } from "./wire/mod.ts";

/** What a stream asks of its connection. */
export interface StreamHost {
  readonly scheduler: Scheduler;
  readonly pool: GrowthPool;
  /** Milliseconds, as of the message or the flush that is being dealt with. */
  readonly now: number;
  readonly clock: Clock;
  readonly rttMs: number;
  readonly initialWindowBytes: number;
  readonly peerWindowBytes: number;
  readonly peerFeatures: number;
  /** Whether so many header bytes wait that new streams are refused and interim heads are dropped. */
  readonly isHeaderLimitReached: boolean;
  /** Whether so much is held that nobody should send ahead of what leaves. */
  readonly isCrowded: boolean;
  /** The block of these fields. @throws {StreamError} `invalid_headers`, `headers_too_large`. */
  encode(fields: Fields, flags: number): Uint8Array;
  /** Something waits to leave: flushes at the end of the tick. */
  scheduleFlush(): void;
  /** The stream has events: calls its `dispatch()` soon. */
  queueEvents(stream: MuxStream): void;
  /** Bytes wait that the stream's reader has not taken: calls its `compact()` if they still wait in a while. */
  queueCompaction(stream: MuxStream): void;
  /** What the stream holds changed by so many bytes, header bytes included, and by so many header bytes. */
  addHeldBytes(bytes: number, headerBytes: number): void;
  /** The stream is over on the wire and holds no bytes. */
  streamOver(stream: MuxStream): void;
  /** The owner gave the slot back after the stream was over. */
  slotReleased(stream: MuxStream): void;
}

const noFields: Fields = [];

export class MuxStream implements Stream, Sender, AdaptedStream {
  readonly id: number;
  readonly headers: Fields;
  readonly accepted: boolean;
  readonly entry: SchedulerEntry = new SchedulerEntry(this);
  /** When bytes last moved, or began to wait. */
  movedAt = 0;
  /** How many came. Written by `Incoming` alone. */
  interimHeads = 0;
  /** Written by the host alone, as is `isInCompactionQueue`. */
  isInEventQueue = false;
  isInCompactionQueue = false;
  creditWait: WaitTime | null = null;

  readonly #host: StreamHost;
  readonly #send: SendHalf;
  readonly #receive: ReceiveHalf;
  readonly #events = new StreamEvents();
  /** Null while the stream has no control frame to send but credit. */
  #control: StreamControl | null = null;
  /** Whether the frame that opens the stream is on the wire. */
  #isOpened: boolean;
  #isOver = false;
  #error: StreamError | null = null;
  #readError: StreamError | null = null;
  #abortReason: StreamError | null = null;
  #response: Fields | null = null;
  #replySent: Deferred<void> | null = null;
  /** Calls of `hold()` without their `release()`. */
  #holds = 0;
  #heldBytes = 0;
  #heldHeaderBytes = 0;
  /** Since when `creditWait` counts; -1 while it does not. */
  #waitsSince = -1;

  constructor(host: StreamHost, id: number, headers: Fields, accepted: boolean) {
    this.#host = host;
    this.id = id;
    this.headers = headers;
    this.accepted = accepted;
    this.#isOpened = accepted;
    this.#send = new SendHalf(host.peerWindowBytes);
    this.#receive = new ReceiveHalf(host.initialWindowBytes, host.pool);
  }

  // For the owner: see types.ts.

  get handlers(): StreamHandlers {
    return this.#events.handlers;
  }

  set handlers(handlers: StreamHandlers) {
    this.#events.handlers = handlers;
  }

  get error(): StreamError | null {
    return this.#error;
  }

  get readError(): StreamError | null {
    return this.#readError;
  }

  get peerFeatures(): number {
    return this.#host.peerFeatures;
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

  get readEnded(): boolean {
    return this.#receive.readEnded;
  }

  get sendEnded(): boolean {
    return isOver(this.#send.state);
  }

  get trailerFields(): Fields {
    return this.#receive.isOver ? this.#receive.trailers : noFields;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#adapter.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#adapter.writable;
  }

  get response(): Promise<Fields> {
    if (this.accepted) throw StreamError.invalidState(`Stream ${this.id} was opened by the peer and has no response`);
    return this.#adapter.response;
  }

  get trailers(): Promise<Fields> {
    return this.#adapter.trailers;
  }

  get closed(): Promise<StreamError | null> {
    return this.#adapter.closed;
  }

  get signal(): AbortSignal {
    return this.#adapter.signal;
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
    if (this.#host.isHeaderLimitReached) return;
    this.#send.inform(block);
    this.#afterQueue();
  }

  send(bytes: Uint8Array, end: boolean): boolean {
    const isReady = this.#send.send(bytes, end, this.#host.isCrowded);
    this.#afterQueue();
    return isReady;
  }

  sendTrailers(fields: Fields): void {
    if (this.#send.state === Half.BROKEN) return;
    this.#send.trailers(this.#host.encode(fields, Flag.TRAILERS | Flag.END_STREAM));
    this.#afterQueue();
  }

  read(): Uint8Array | null {
    const chunk = this.take();
    return chunk === null ? null : disown(chunk);
  }

  take(): Uint8Array | null {
    const chunk = this.#receive.take();
    if (chunk === null) return null;
    this.#updateHeldBytes();
    if (this.#receive.isSparse) this.#host.queueCompaction(this);
    return chunk;
  }

  consume(bytes: number): void {
    if (this.#isOver || bytes === 0) return;
    const hasCredit = this.#receive.consume(bytes, this.#host.rttMs);
    this.movedAt = this.#host.now;
    if (hasCredit) this.#queueControl();
    this.#updateHeldBytes();
    this.#finishIfDone();
  }

  takeWhole(): Uint8Array | null {
    if (!this.#receive.canTakeWhole) return null;
    const whole = this.#receive.takeAll();
    this.consume(whole.length);
    return whole;
  }

  stopSending(code: number = ErrorCode.CANCEL): void {
    if (this.#receive.isDiscarding || this.#isOver) return;
    this.#receive.discard();
    this.#updateHeldBytes();
    if (!this.#receive.isOver) {
      (this.#control ??= new StreamControl()).stop(code);
      this.#queueControl();
    }
    this.#finishIfDone();
  }

  reset(code: number = ErrorCode.CANCEL): void {
    this.fail(StreamError.reset(code, "user", `Stream ${this.id}`), code);
  }

  resetSending(code: number = ErrorCode.CANCEL): void {
    if (this.#send.isDone) return;
    if (!this.#isOpened) return this.reset(code);
    this.#breakSending(code);
    this.#finishIfDone();
  }

  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (this.#holds > 0 && --this.#holds === 0 && this.#isOver) this.#host.slotReleased(this);
  }

  // For the adapter.

  get isOver(): boolean {
    return this.#isOver;
  }

  get receivedHead(): Fields | null {
    return this.#response;
  }

  get isReceiveOver(): boolean {
    return this.#receive.isOver;
  }

  get abortReason(): StreamError | null {
    return this.#abortReason;
  }

  // For the connection.

  /** Whether the owner keeps the slot past the stream's end. */
  get hasHeldSlot(): boolean {
    return this.#holds > 0;
  }

  /** Resolves when the reply has left, or the stream is over. To be asked for before either. */
  get replySent(): Promise<void> {
    return (this.#replySent ??= new Deferred()).promise;
  }

  /** Opens a stream of this side's. @throws {StreamError} `invalid_headers`, `headers_too_large`. */
  open(options?: HeadOptions): void {
    this.#sendHead(this.#host.encode(this.headers, 0), options);
  }

  /** The peer opened the stream. */
  accept(endStream: boolean): void {
    this.#receive.advance(endStream ? HalfEvent.HEAD_END : HalfEvent.HEAD, this.id);
  }

  /** Grows the window of a stream that the peer opened. To be called after its handler, which may have broken it. */
  growFirst(): void {
    if (this.#isOver || !this.#receive.growFirst()) return;
    this.#queueControl();
  }

  receiveHeaders(fields: Fields, flags: number, blockBytes: number): void {
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.INFORMATIONAL) !== 0) {
      this.#receive.advance(HalfEvent.INFORM, this.id);
      if (this.#host.isHeaderLimitReached) return;
      this.#events.addInterimHead(fields, blockBytes);
    } else if ((flags & Flag.TRAILERS) !== 0) {
      this.#receive.advance(HalfEvent.TRAILERS, this.id);
      this.#receive.trailers = fields;
      this.#events.add(StreamEvent.READABLE, blockBytes);
    } else {
      this.#receive.advance(isEnd ? HalfEvent.HEAD_END : HalfEvent.HEAD, this.id);
      this.#response = fields;
      this.#events.add(isEnd ? StreamEvent.RESPONSE | StreamEvent.READABLE : StreamEvent.RESPONSE, blockBytes);
    }
    this.#afterReceive();
  }

  receiveData(payload: Uint8Array, endStream: boolean): void {
    this.#receive.advance(endStream ? HalfEvent.DATA_END : HalfEvent.DATA, this.id);
    if (this.#receive.heldBytes === 0) this.movedAt = this.#host.now;
    this.#receive.receive(payload, this.id);
    if (!this.#receive.isDiscarding || endStream) this.#events.add(StreamEvent.READABLE);
    this.#afterReceive();
  }

  receiveReset(errorCode: number, half: boolean): void {
    const error = StreamError.reset(errorCode, "remote", `Stream ${this.id}`);
    if (!half) return this.fail(error, null);
    if (this.#receive.isOver) return;
    // The peer may reset its direction because this side asked it to stop. That aborts nothing here.
    const isAnswer = this.#receive.isDiscarding;
    this.#receive.break();
    this.#readError = error;
    this.#events.add(StreamEvent.READABLE);
    if (!isAnswer) this.#abort(error);
    this.#afterReceive();
  }

  receiveStop(errorCode: number): void {
    if (this.#send.isDone) return;
    this.#breakSending(errorCode);
    const error = StreamError.reset(errorCode, "remote", `Sending on stream ${this.id}`);
    this.#events.addStop(errorCode);
    this.#events.adapter?.onStop(error);
    this.#abort(error);
    this.#afterReceive();
  }

  /** False where the window would overflow. */
  receiveCredit(bytes: number): boolean {
    if (this.#send.isDone) return true;
    if (!this.#send.window.credit(bytes)) return false;
    this.#countCreditWait();
    this.#host.scheduler.update(this);
    this.#host.scheduleFlush();
    return true;
  }

  /** The peer's SETTINGS differ from what the stream began with. */
  adjustWindow(delta: number): void {
    this.#send.window.adjust(delta);
    this.#countCreditWait();
    this.#host.scheduler.update(this);
  }

  /** Breaks both directions. `code` goes to the peer, unless it is null. */
  /** Nothing more leaves or comes. Bytes may still wait for their reader. */
  get isExchanged(): boolean {
    return this.#send.isDone && this.#receive.canTakeWhole;
  }

  fail(error: StreamError, code: number | null): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#readError ??= error;
    this.#send.break();
    this.#receive.break();
    this.#host.scheduler.remove(this);
    (this.#control ??= new StreamControl()).reset(code);
    if (code !== null) this.#queueControl();
    // An owner that breaks its stream is told of the end alone. Otherwise it still hears what the peer said before.
    if (error.initiator === "user") this.#events.clear();
    this.#abort(error);
    this.#finish();
  }

  /** Tells the owner what there is to tell. */
  dispatch(): void {
    this.#events.tell(this);
    if (this.#receive.readableBytes > 0) this.#host.queueCompaction(this);
    this.#updateHeldBytes();
  }

  /** Copies what still waits out of the messages that brought it. */
  compact(): void {
    if (this.#isOver) return;
    this.#receive.compact();
    this.#updateHeldBytes();
  }

  // For the scheduler.

  get nextFrame(): NextFrame {
    return this.#send.nextFrame;
  }

  get headBytes(): number {
    return this.#send.headBytes;
  }

  get dataBytes(): number {
    return this.#send.dataBytes;
  }

  get wholeBodyBytes(): number {
    return this.#send.wholeBodyBytes;
  }

  writeControl(message: OutgoingMessage): void {
    this.#control?.write(message, this.id);
    const credit = this.#isOver ? 0 : this.#receive.takeCredit();
    if (credit > 0) message.windowUpdate(this.id, credit);
  }

  writeHead(message: OutgoingMessage): void {
    const isFinalHead = this.#send.writeHead(message, this.id);
    if (!this.#isOpened) {
      this.#isOpened = true;
      this.#receive.growFirst();
      this.writeControl(message);
    } else if (isFinalHead) this.#afterReply();
    this.#afterWrite();
  }

  writeData(message: OutgoingMessage, maxBytes: number): number {
    const sent = this.#send.writeData(message, this.id, maxBytes);
    this.movedAt = this.#host.now;
    this.#afterWrite();
    return sent;
  }

  get #adapter(): WebStreamsAdapter {
    return this.#events.adapter ??= new WebStreamsAdapter(this);
  }

  #sendHead(block: Uint8Array, options: HeadOptions | undefined): void {
    this.#send.head(block, options?.body, options?.endStream === true);
    this.#afterQueue();
  }

  /** The owner gave something to send: it leaves at the end of the tick. */
  #afterQueue(): void {
    if (this.#isOver) return;
    if (this.#heldBytes === 0) this.movedAt = this.#host.now;
    this.#countCreditWait();
    this.#updateHeldBytes();
    this.#host.scheduler.update(this);
    this.#host.scheduleFlush();
  }

  /** A head or DATA left. */
  #afterWrite(): void {
    this.#countCreditWait();
    this.#updateHeldBytes();
    if (this.#send.takeWritable()) {
      this.#events.add(StreamEvent.WRITABLE);
      this.#host.queueEvents(this);
    }
    this.#finishIfDone();
  }

  /** The answer's head left, or never will. A long-lived stream need not keep the promise. */
  #afterReply(): void {
    this.#replySent?.resolve();
    this.#replySent = null;
  }

  /** A frame of the peer's was taken in. */
  #afterReceive(): void {
    this.#updateHeldBytes();
    this.#host.queueEvents(this);
    this.#finishIfDone();
  }

  /** Before the frame that opens the stream there is nothing to queue: control frames leave right behind it. */
  #queueControl(): void {
    if (!this.#isOpened) return;
    this.#host.scheduler.queueControl(this);
    this.#host.scheduleFlush();
  }

  #breakSending(code: number): void {
    this.#send.break();
    this.#countCreditWait();
    this.#host.scheduler.remove(this);
    (this.#control ??= new StreamControl()).resetHalf(code);
    this.#queueControl();
    this.#updateHeldBytes();
  }

  /** Aborts the signal. This alone is told at once: an abort is also for others than the owner. */
  #abort(error: StreamError): void {
    this.#abortReason ??= error;
    this.#events.adapter?.onAborted();
  }

  #finishIfDone(): void {
    if (!this.#isOver && this.#send.isDone && this.#receive.isDone) this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.#receive.release();
    this.#countCreditWait();
    this.#updateHeldBytes();
    this.#afterReply();
    this.#events.add(StreamEvent.CLOSE);
    this.#host.queueEvents(this);
    this.#host.streamOver(this);
  }

  /** Begins or ends to count a wait for credit. */
  #countCreditWait(): void {
    if (this.creditWait === null || this.#send.waitsForCredit === (this.#waitsSince >= 0)) return;
    // Not the host's time, which stands still between messages.
    const now = this.#host.clock.now();
    if (this.#waitsSince >= 0) this.creditWait.end(this.#waitsSince, now);
    else this.creditWait.begin(now);
    this.#waitsSince = this.#waitsSince >= 0 ? -1 : now;
  }

  /** Brings the sums of the stream and of the connection in line with what the stream holds now. */
  #updateHeldBytes(): void {
    const headerBytes = this.#isOver ? 0 : this.#send.headerBytes + this.#events.headerBytes;
    const bytes = this.#isOver ? 0 : headerBytes + this.#send.heldBytes + this.#receive.heldBytes;
    if (bytes === this.#heldBytes && headerBytes === this.#heldHeaderBytes) return;
    this.#host.addHeldBytes(bytes - this.#heldBytes, headerBytes - this.#heldHeaderBytes);
    this.#heldBytes = bytes;
    this.#heldHeaderBytes = headerBytes;
  }
}
