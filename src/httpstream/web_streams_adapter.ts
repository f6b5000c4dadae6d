/**
 * A stream as Web Streams, promises and an `AbortSignal`. Most streams of a busy connection are used without any of
 * them. So a stream makes its adapter when one of them is first asked for, and the adapter makes no other with it.
 */
import { Deferred } from "../base/mod.ts";
import { type BodyOwner, BodySource } from "../http/mod.ts";
import { disown, emptyBytes, release } from "../memory/mod.ts";
import type { StreamError } from "./errors.ts";
import type { Fields, Stream } from "./types.ts";
import { ErrorCode } from "./wire/mod.ts";

/** Larger chunks of a writer are sent in pieces of this size, so that none of them overfills the stream's queue. */
const PIECE_BYTES = 64 * 1_024;

/** What the adapter asks of its stream. */
export interface AdaptedStream extends
  Pick<
    Stream,
    | "error"
    | "readError"
    | "readEnded"
    | "trailerFields"
    | "sendEnded"
    | "take"
    | "consume"
    | "stopSending"
    | "send"
    | "resetSending"
  > {
  /** The head of the peer's answer; null until it is here. */
  readonly receivedHead: Fields | null;
  /** Whether the peer sends nothing more: its direction ended, or broke. */
  readonly isReceiveOver: boolean;
  /** Whether both directions are over. */
  readonly isOver: boolean;
  /** Why the signal aborts; null until it does. */
  readonly abortReason: StreamError | null;
}

export class WebStreamsAdapter implements BodyOwner {
  readonly #stream: AdaptedStream;
  #response: Deferred<Fields> | null = null;
  #trailers: Deferred<Fields> | null = null;
  #closed: Deferred<StreamError | null> | null = null;
  #abort: AbortController | null = null;
  #source: BodySource | null = null;
  #sink: StreamSink | null = null;

  constructor(stream: AdaptedStream) {
    this.#stream = stream;
  }

  // See `Stream` for these six.

  get response(): Promise<Fields> {
    this.#response ??= new Deferred();
    this.#settleHeads();
    return this.#response.promise;
  }

  get trailers(): Promise<Fields> {
    this.#trailers ??= new Deferred();
    this.#settleHeads();
    return this.#trailers.promise;
  }

  get closed(): Promise<StreamError | null> {
    this.#closed ??= new Deferred();
    if (this.#stream.isOver) this.#closed.resolve(this.#stream.error);
    return this.#closed.promise;
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      this.onAborted();
    }
    return this.#abort.signal;
  }

  get readable(): ReadableStream<Uint8Array> {
    if (this.#source === null) {
      this.#source = new BodySource(this);
      this.#endReadable(this.#source);
    }
    return this.#source.stream;
  }

  get writable(): WritableStream<Uint8Array> {
    return (this.#sink ??= new StreamSink(this.#stream)).writable;
  }

  /** The stream got the peer's head, bytes, end or reset. */
  onReceived(): void {
    this.#settleHeads();
    const source = this.#source;
    if (source === null) return;
    if (source.isWaiting) this.#deliver(source);
    this.#endReadable(source);
  }

  /** Everything that was given to `send()` has left. */
  onWritable(): void {
    this.#sink?.onDrained();
  }

  /** The peer takes no more bytes of this side's. */
  onStop(error: StreamError): void {
    this.#sink?.fail(error);
  }

  /** The stream has a reason for the signal to abort. */
  onAborted(): void {
    const { abortReason } = this.#stream;
    if (abortReason !== null) this.#abort?.abort(abortReason);
  }

  /** The stream is over. */
  onClosed(): void {
    const { error } = this.#stream;
    if (error !== null) this.#sink?.fail(error);
    this.onReceived();
    this.#closed?.resolve(error);
  }

  /** For the source, as is `onCancel`. */
  onPull(): void {
    const source = this.#source as BodySource;
    this.#deliver(source);
    this.#endReadable(source);
  }

  onCancel(): void {
    this.#stream.stopSending(ErrorCode.CANCEL);
  }

  #settleHeads(): void {
    const { readError, receivedHead, isReceiveOver, trailerFields } = this.#stream;
    if (receivedHead !== null) this.#response?.resolve(receivedHead);
    else if (readError !== null) this.#response?.reject(readError);
    if (readError !== null) this.#trailers?.reject(readError);
    else if (isReceiveOver) this.#trailers?.resolve(trailerFields);
  }

  /** Gives the reader, who waits, one chunk in a buffer of its own. Its credit goes back at once. */
  #deliver(source: BodySource): void {
    const chunk = this.#stream.take();
    if (chunk === null) return;
    const { length } = chunk;
    source.push(withOwnBuffer(chunk));
    this.#stream.consume(length);
  }

  /** The reader learns of the end and of errors without asking. */
  #endReadable(source: BodySource): void {
    const { readError, readEnded } = this.#stream;
    if (readError !== null) source.fail(readError);
    else if (readEnded) source.end();
  }
}

/** The bytes in a buffer that holds nothing else. */
function withOwnBuffer(chunk: Uint8Array): Uint8Array {
  if (chunk.length === chunk.buffer.byteLength) return disown(chunk);
  const copy = chunk.slice();
  release(chunk);
  return copy;
}

/** Sends copies of what is written. A write resolves when the stream has sent or queued all of it. */
class StreamSink implements UnderlyingSink<Uint8Array> {
  readonly writable: WritableStream<Uint8Array>;
  readonly #stream: AdaptedStream;
  #controller!: WritableStreamDefaultController;
  /** For the writer, who waits until the stream has sent everything; null while it does not wait. */
  #drained: Deferred<void> | null = null;
  #error: StreamError | null = null;

  constructor(stream: AdaptedStream) {
    this.#stream = stream;
    this.writable = new WritableStream<Uint8Array>(this);
    if (stream.error !== null) this.fail(stream.error);
  }

  onDrained(): void {
    this.#drained?.resolve();
    this.#drained = null;
  }

  /** Refuses all further bytes. */
  fail(error: StreamError): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#controller.error(error);
    this.#drained?.reject(error);
    this.#drained = null;
  }

  /** For the `WritableStream` alone, as are `write`, `close` and `abort`. */
  start(controller: WritableStreamDefaultController): void {
    this.#controller = controller;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(`A stream takes chunks of Uint8Array, not ${Object.prototype.toString.call(chunk)}`);
    }
    for (let offset = 0; offset < chunk.length; offset += PIECE_BYTES) {
      if (this.#error !== null) throw this.#error;
      const isReady = this.#stream.send(chunk.slice(offset, offset + PIECE_BYTES), false);
      if (!isReady) await (this.#drained = new Deferred<void>()).promise;
    }
  }

  close(): void {
    // Trailers may have ended the direction already.
    if (!this.#stream.sendEnded) this.#stream.send(emptyBytes, true);
  }

  abort(): void {
    this.#stream.resetSending(ErrorCode.CANCEL);
  }
}
