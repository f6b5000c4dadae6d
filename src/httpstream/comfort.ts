/**
 * What a stream's comfortable face is made of: promises, a signal, Web Streams. Most streams of a busy connection never
 * need any of it, so that all of it is made here, each part when it is first asked for.
 */
import { Deferred } from "../base/mod.ts";
import type { StreamError } from "./errors.ts";
import type { Fields, Stream } from "./types.ts";
import { ReadableFace, WritableFace } from "./web_streams.ts";

/** What the parts look at; a stream is one. */
export interface ComfortSource extends Pick<Stream, "error" | "readError" | "trailerFields" | keyof FaceSource> {
  readonly receivedHead: Fields | null;
  readonly receiveFinished: boolean;
  readonly isOver: boolean;
  /** Why the signal aborts, once it does. */
  readonly abortReason: StreamError | null;
}

type FaceSource = Pick<
  Stream,
  "take" | "consume" | "readEnded" | "stopSending" | "send" | "sendEnded" | "resetSending"
>;

export class Comfort {
  readonly #source: ComfortSource;
  #response: Deferred<Fields> | null = null;
  #trailers: Deferred<Fields> | null = null;
  #closed: Deferred<StreamError | null> | null = null;
  #abort: AbortController | null = null;
  #readable: ReadableFace | null = null;
  #writable: WritableFace | null = null;

  constructor(source: ComfortSource) {
    this.#source = source;
  }

  get response(): Promise<Fields> {
    this.#response ??= new Deferred();
    this.received();
    return this.#response.promise;
  }

  get trailers(): Promise<Fields> {
    this.#trailers ??= new Deferred();
    this.received();
    return this.#trailers.promise;
  }

  get closed(): Promise<StreamError | null> {
    this.#closed ??= new Deferred();
    if (this.#source.isOver) this.#closed.resolve(this.#source.error);
    return this.#closed.promise;
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      this.aborted();
    }
    return this.#abort.signal;
  }

  get readable(): ReadableStream<Uint8Array> {
    return (this.#readable ??= new ReadableFace(this.#source)).stream;
  }

  get writable(): WritableStream<Uint8Array> {
    return (this.#writable ??= new WritableFace(this.#source)).stream;
  }

  /** The peer's head, bytes, end, or the end of hoping for them came. */
  received(): void {
    const { readError, receivedHead, receiveFinished, trailerFields } = this.#source;
    if (receivedHead !== null) this.#response?.resolve(receivedHead);
    else if (readError !== null) this.#response?.reject(readError);
    if (readError !== null) this.#trailers?.reject(readError);
    else if (receiveFinished) this.#trailers?.resolve(trailerFields);
    this.#readable?.update();
  }

  /** Everything that was given to send has left. */
  relieved(): void {
    this.#writable?.relieve();
  }

  /** This side may send no more. */
  stopped(error: StreamError): void {
    this.#writable?.fail(error);
  }

  /** There is a reason for the signal to abort. */
  aborted(): void {
    const { abortReason } = this.#source;
    if (abortReason !== null) this.#abort?.abort(abortReason);
  }

  /** The stream is over. */
  closedNow(): void {
    const { error } = this.#source;
    if (error !== null) this.#writable?.fail(error);
    this.received();
    this.#closed?.resolve(error);
  }
}
