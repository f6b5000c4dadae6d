/**
 * A body, coded with gzip as it comes. What has come by the end of an event-loop tick is coded together and can be decoded
 * at once; where the body pauses, nothing of it is held back.
 *
 *     body ── read ──▶ gathered text ── end of tick ──▶ coder ── push ──▶ reader
 *       ▲                                                                   │
 *       └───────────────────── pull: the reader waits ◀─────────────────────┘
 */
import { atTickEnd, type TickListener } from "../../base/mod.ts";
import { concat, emptyBytes, MAX_LOOSE_PIECES, release, reportGarbage, slice } from "../../memory/mod.ts";
import { type BodyOwner, BodySource } from "../body/mod.ts";
import { GzipEncoder } from "./gzip_encoder.ts";

/** Coded in one go: it takes a millisecond or two, and other connections are served behind it. */
export const MAX_TEXT_BYTES = 32 * 1024;

/**
 * `body`, coded. It is read as its reader reads, and never further ahead than `MAX_TEXT_BYTES` and one chunk. Where it
 * breaks off, so does this, behind what came before; canceling cancels it.
 *
 * @throws {TypeError} where `body` has a reader already
 */
export function gzipBody(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return new GzipBody(body).stream;
}

class GzipBody implements BodyOwner, TickListener {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #source = new BodySource(this);
  readonly #encoder = new GzipEncoder();
  #chunks: Uint8Array[] = [];
  #gatheredBytes = 0;
  #isReading = false;
  #hasEnded = false;
  #isTickEndAwaited = false;

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
    this.#reader.closed.catch((error) => this.#fail(error));
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#source.stream;
  }

  /** For the source, as is `onCancel`. */
  onPull(): void {
    this.#awaitTickEnd();
    this.#read();
  }

  onCancel(reason: unknown): void {
    this.#dropAll();
    // A source that fails while it is being canceled has stopped, too.
    this.#reader.cancel(reason).catch(() => {});
  }

  onTickEnd(): void {
    this.#isTickEndAwaited = false;
    if (!this.#source.isWaiting) return;
    try {
      this.#deliver();
    } catch (error) {
      // There is no memory for the coder.
      this.onCancel(error);
      this.#source.fail(error);
    }
  }

  #read(): void {
    if (this.#isReading || this.#hasEnded || this.#isFull || !this.#source.isWaiting) return;
    this.#isReading = true;
    this.#reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  get #isFull(): boolean {
    return this.#gatheredBytes >= MAX_TEXT_BYTES || this.#chunks.length >= MAX_LOOSE_PIECES;
  }

  #take({ value, done }: ReadableStreamReadResult<Uint8Array>): void {
    this.#isReading = false;
    if (this.#source.isOver) {
      if (!done) release(value);
      return;
    }
    if (done) this.#hasEnded = true;
    else if (value.length > 0) {
      this.#chunks.push(value);
      this.#gatheredBytes += value.length;
    }
    this.#awaitTickEnd();
    this.#read();
  }

  #awaitTickEnd(): void {
    if (this.#isTickEndAwaited || (this.#gatheredBytes === 0 && !this.#hasEnded)) return;
    this.#isTickEndAwaited = true;
    atTickEnd(this);
  }

  #deliver(): void {
    const text = this.#nextText();
    const isLast = this.#hasEnded && this.#gatheredBytes === 0;
    const coded = isLast ? this.#encoder.finish(text) : this.#encoder.add(text);
    release(text);
    reportGarbage(coded.length);
    this.#source.push(coded);
    if (isLast) this.#source.end();
  }

  /** Takes up to `MAX_TEXT_BYTES` out of what was gathered. */
  #nextText(): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined) return emptyBytes;
    if (first.length > MAX_TEXT_BYTES) {
      this.#chunks[0] = slice(first, MAX_TEXT_BYTES, first.length);
      this.#gatheredBytes -= MAX_TEXT_BYTES;
      const text = slice(first, 0, MAX_TEXT_BYTES);
      release(first);
      return text;
    }
    let count = 1;
    let bytes = first.length;
    for (; count < this.#chunks.length; count++) {
      const { length } = this.#chunks[count]!;
      if (bytes + length > MAX_TEXT_BYTES) break;
      bytes += length;
    }
    const chunks = this.#chunks.splice(0, count);
    this.#gatheredBytes -= bytes;
    if (count === 1) return first;
    const text = concat(chunks, bytes);
    for (const chunk of chunks) release(chunk);
    return text;
  }

  /** What came before the failure is passed on to a reader that waits. */
  #fail(error: unknown): void {
    if (this.#source.isOver) return;
    if (this.#source.isWaiting && this.#gatheredBytes > 0) {
      const text = this.#nextText();
      this.#source.push(this.#encoder.add(text));
      release(text);
    }
    this.#dropAll();
    this.#source.fail(error);
  }

  #dropAll(): void {
    for (const chunk of this.#chunks) release(chunk);
    this.#chunks = [];
    this.#gatheredBytes = 0;
  }
}
