/** A stream's comfortable face: Web Streams on top of the lean one, made only when asked for. */
import { ErrorCode } from "./wire/mod.ts";
import { Deferred } from "../base/mod.ts";
import type { StreamError } from "./errors.ts";
import type { Stream } from "./types.ts";
import { disown, release } from "../memory/mod.ts";

const PIECE = 64 * 1_024;
const EMPTY = new Uint8Array(0);

type Source = Pick<Stream, "take" | "consume" | "readEnded" | "readError" | "stopSending">;
type Sink = Pick<Stream, "send" | "sendEnded" | "resetSending" | "error">;

/** Gives waiting bytes as they are pulled; pulling is consuming. */
export class ReadableFace {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #source: Source;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #pulling: Deferred<void> | null = null;
  #done = false;

  constructor(source: Source) {
    this.#source = source;
    this.stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => {
        this.#done = true;
        this.#release();
        source.stopSending(ErrorCode.CANCEL);
      },
    }, { highWaterMark: 0 });
    this.#finish();
  }

  /** The stream has news: bytes, the end, or an error. */
  update(): void {
    if (this.#done) return;
    if (this.#pulling !== null && this.#give()) this.#release();
    this.#finish();
  }

  #pull(): Promise<void> | undefined {
    if (this.#give()) {
      this.#finish();
      return undefined;
    }
    this.#finish();
    if (this.#done) return undefined;
    return (this.#pulling = new Deferred<void>()).promise;
  }

  /** Hands one chunk out, in a buffer of its own. */
  #give(): boolean {
    const chunk = this.#source.take();
    if (chunk === null) return false;
    const { length } = chunk;
    this.#controller.enqueue(owned(chunk));
    this.#source.consume(length);
    return true;
  }

  /** The end and errors are told without being asked for. */
  #finish(): void {
    if (this.#done) return;
    const error = this.#source.readError;
    if (error === null && !this.#source.readEnded) return;
    this.#done = true;
    if (error !== null) this.#controller.error(error);
    else this.#controller.close();
    this.#release();
  }

  #release(): void {
    this.#pulling?.resolve();
    this.#pulling = null;
  }
}

/** The bytes in a buffer that holds nothing else. */
function owned(chunk: Uint8Array): Uint8Array {
  if (chunk.length === chunk.buffer.byteLength) return disown(chunk);
  const copy = chunk.slice();
  release(chunk);
  return copy;
}

/** Takes copies of what is written, and lets the writer go on once they left or wait in the stream's bounded queue. */
export class WritableFace {
  readonly stream: WritableStream<Uint8Array>;
  readonly #sink: Sink;
  #controller!: WritableStreamDefaultController;
  #relief: Deferred<void> | null = null;
  #error: StreamError | null = null;

  constructor(sink: Sink) {
    this.#sink = sink;
    this.stream = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      write: (chunk) => this.#write(chunk),
      close: () => {
        // Trailers may have ended the direction already.
        if (!sink.sendEnded) sink.send(EMPTY, true);
      },
      abort: () => sink.resetSending(ErrorCode.CANCEL),
    });
    if (sink.error !== null) this.fail(sink.error);
  }

  /** Everything that was given has left. */
  relieve(): void {
    this.#relief?.resolve();
    this.#relief = null;
  }

  /** No more bytes are taken. */
  fail(error: StreamError): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#controller.error(error);
    this.#relief?.reject(error);
    this.#relief = null;
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(`A stream takes chunks of Uint8Array, not ${Object.prototype.toString.call(chunk)}`);
    }
    for (let offset = 0; offset < chunk.length; offset += PIECE) {
      if (this.#error !== null) throw this.#error;
      const ready = this.#sink.send(chunk.slice(offset, offset + PIECE), false);
      if (!ready) await (this.#relief = new Deferred<void>()).promise;
    }
  }
}
