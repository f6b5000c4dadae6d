/**
 * Splits a body in two: its first bytes, and what follows them. So the content of a request that asks for an upgrade is
 * taken off the bytes of the new protocol behind it.
 *
 *     body ─▶ content: exactly `length` bytes, then its end
 *          └▶ rest: everything behind them, once the content was read to its end
 */
import { release, slice } from "../../memory/mod.ts";
import { BodyLengthError } from "./pump.ts";
import { BodySource } from "./source.ts";

export interface SplitBody {
  /** Breaks off where the body ends short of it. To cancel it cancels the whole body. */
  readonly content: ReadableStream<Uint8Array>;
  /** Where it is canceled before the content was read, the content goes on. */
  readonly rest: ReadableStream<Uint8Array>;
}

/**
 * Nothing of `body` is read, and it is not locked, before one of the two is read.
 *
 * @param length bytes of the content, 1 or more
 */
export function splitBody(body: ReadableStream<Uint8Array>, length: number): SplitBody {
  return new BodySplitter(body, length);
}

class BodySplitter implements SplitBody {
  readonly #body: ReadableStream<Uint8Array>;
  readonly #length: number;
  readonly #content: BodySource;
  readonly #rest: BodySource;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  /** Bytes of the content that are still to come. */
  #left: number;
  /** What came behind the content, in the chunk that ended it. */
  #behind: Uint8Array | null = null;
  #whyCanceled: { readonly reason: unknown } | null = null;

  constructor(body: ReadableStream<Uint8Array>, length: number) {
    this.#body = body;
    this.#length = length;
    this.#left = length;
    this.#content = new BodySource({ onPull: () => this.#read(), onCancel: (reason) => this.#cancel(reason) });
    this.#rest = new BodySource({ onPull: () => this.#pullRest(), onCancel: (reason) => this.#cancelRest(reason) });
  }

  get content(): ReadableStream<Uint8Array> {
    return this.#content.stream;
  }

  get rest(): ReadableStream<Uint8Array> {
    return this.#rest.stream;
  }

  #read(): void {
    const reader = this.#reader ??= this.#body.getReader();
    reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  #take({ done, value }: ReadableStreamReadResult<Uint8Array>): void {
    if (this.#left === 0) return this.#takeRest(done ? null : value);
    if (done) return this.#fail(new BodyLengthError(this.#length, this.#length - this.#left));
    if (this.#content.isOver) return void release(value);
    if (value.length <= this.#left) this.#takeContent(value);
    else {
      const border = this.#left;
      this.#behind = slice(value, border, value.length);
      this.#takeContent(slice(value, 0, border));
      release(value);
    }
  }

  #takeContent(chunk: Uint8Array): void {
    this.#left -= chunk.length;
    if (chunk.length > 0) this.#content.push(chunk);
    if (this.#left > 0) {
      if (chunk.length === 0) this.#read();
      return;
    }
    this.#content.end();
    if (this.#whyCanceled !== null) this.#cancel(this.#whyCanceled.reason);
    else if (this.#rest.isWaiting) this.#pullRest();
  }

  #pullRest(): void {
    // The content comes first. Whoever reads that goes on.
    if (this.#left > 0) return;
    const behind = this.#behind;
    this.#behind = null;
    if (behind === null) this.#read();
    else this.#rest.push(behind);
  }

  #takeRest(chunk: Uint8Array | null): void {
    if (chunk === null) return this.#rest.end();
    if (this.#rest.isOver) return void release(chunk);
    if (chunk.length === 0) this.#read();
    else this.#rest.push(chunk);
  }

  #fail(error: unknown): void {
    this.#content.fail(error);
    this.#rest.fail(error);
  }

  #cancelRest(reason: unknown): void {
    if (this.#left > 0 && !this.#content.isOver) this.#whyCanceled = { reason };
    else this.#cancel(reason);
  }

  #cancel(reason: unknown): void {
    this.#rest.fail(reason);
    if (this.#behind !== null) release(this.#behind);
    this.#behind = null;
    // A source that fails while it is being canceled has stopped, too.
    (this.#reader ?? this.#body).cancel(reason).catch(() => {});
  }
}
