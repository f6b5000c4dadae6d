/**
 * The side of a stream that its owner listens to: what there is to tell is kept until the message or the flush that
 * brought it was dealt with. So an owner sees a head together with the bytes that came with it, and no call is nested
 * in another.
 */
import { Comfort, type ComfortSource } from "./comfort.ts";
import { Deferred } from "../base/mod.ts";
import { StreamError } from "./errors.ts";
import type { Fields, StreamHandlers } from "./types.ts";

/** Kinds of news, as bits. */
export const News = { INFORM: 1, RESPONSE: 2, READABLE: 4, STOP: 8, WRITABLE: 16, CLOSE: 32 } as const;

const NO_HANDLERS: StreamHandlers = {};

export abstract class StreamFace implements ComfortSource {
  handlers: StreamHandlers = NO_HANDLERS;
  /** Whether it stands among those that have something to tell. Its host alone writes it. */
  hasNews = false;
  /** Whether its reader left bytes in this turn. Its host alone writes it. */
  isUnsettled = false;
  #comfort: Comfort | null = null;
  #replySent: Deferred<void> | null = null;
  #kinds = 0;
  #holds = 0;
  #informs: Fields[] | null = null;
  #stopCode = 0;
  #abortReason: StreamError | null = null;
  /** Header bytes that came in and that the owner has not got. */
  #untakenHeaderBytes = 0;

  abstract readonly id: number;
  abstract readonly accepted: boolean;
  abstract readonly error: StreamError | null;
  abstract readonly readError: StreamError | null;
  abstract readonly readEnded: boolean;
  abstract readonly sendEnded: boolean;
  abstract readonly trailerFields: Fields;
  abstract readonly receivedHead: Fields | null;
  abstract readonly receiveFinished: boolean;
  abstract readonly isOver: boolean;
  abstract take(): Uint8Array | null;
  abstract consume(bytes: number): void;
  abstract send(bytes: Uint8Array, end: boolean): boolean;
  abstract stopSending(code?: number): void;
  abstract resetSending(code?: number): void;
  /** Its owner kept the slot past the stream's end, and gives it back now. */
  protected abstract released(): void;

  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (this.#holds > 0 && --this.#holds === 0 && this.isOver) this.released();
  }

  /** Whether its owner keeps the slot. */
  get held(): boolean {
    return this.#holds > 0;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#comforts.readable;
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#comforts.writable;
  }

  get response(): Promise<Fields> {
    if (this.accepted) throw StreamError.invalidState(`Stream ${this.id} was opened by the peer and has no response`);
    return this.#comforts.response;
  }

  get trailers(): Promise<Fields> {
    return this.#comforts.trailers;
  }

  get closed(): Promise<StreamError | null> {
    return this.#comforts.closed;
  }

  get signal(): AbortSignal {
    return this.#comforts.signal;
  }

  /** Settles when the reply has left, or the stream is over. */
  get replySent(): Promise<void> {
    return (this.#replySent ??= new Deferred()).promise;
  }

  get abortReason(): StreamError | null {
    return this.#abortReason;
  }

  protected replied(): void {
    this.#replySent?.resolve();
  }

  protected get untakenHeaderBytes(): number {
    return this.#untakenHeaderBytes;
  }

  /** Keeps news, and with them the size of a header block that they are about. */
  protected addNews(kinds: number, headerBytes = 0): void {
    this.#kinds |= kinds;
    this.#untakenHeaderBytes += headerBytes;
  }

  protected addInform(fields: Fields, headerBytes: number): void {
    (this.#informs ??= []).push(fields);
    this.addNews(News.INFORM, headerBytes);
  }

  protected addStop(code: number, error: StreamError): void {
    this.#stopCode = code;
    this.#comfort?.stopped(error);
    this.addNews(News.STOP);
  }

  /** The owner broke the stream off: it is told of the end alone. */
  protected dropNews(): void {
    this.#kinds = 0;
    this.#informs = null;
  }

  /** Aborts the signal. This alone is told at once: an abort is meant for others than the stream's owner. */
  protected abort(error: StreamError): void {
    this.#abortReason ??= error;
    this.#comfort?.aborted();
  }

  /** Tells all there is to tell, in the order in which it can have happened. */
  protected tellNews(): void {
    const kinds = this.#kinds;
    this.#kinds = 0;
    this.#untakenHeaderBytes = 0;
    if ((kinds & News.INFORM) !== 0) this.#tellInforms();
    if ((kinds & (News.RESPONSE | News.READABLE)) !== 0) this.#comfort?.received();
    if ((kinds & News.RESPONSE) !== 0) this.handlers.onResponse?.(this.receivedHead!);
    if ((kinds & News.READABLE) !== 0) this.handlers.onReadable?.();
    if ((kinds & News.STOP) !== 0) this.handlers.onStop?.(this.#stopCode);
    if ((kinds & News.WRITABLE) !== 0) {
      this.#comfort?.relieved();
      this.handlers.onWritable?.();
    }
    if ((kinds & News.CLOSE) !== 0) {
      this.#comfort?.closedNow();
      this.handlers.onClose?.(this.error);
    }
  }

  #tellInforms(): void {
    const informs = this.#informs ?? [];
    this.#informs = null;
    for (const fields of informs) this.handlers.onInform?.(fields);
  }

  get #comforts(): Comfort {
    return this.#comfort ??= new Comfort(this);
  }
}
