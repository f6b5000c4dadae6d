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

/** Coded in one go, which takes a millisecond at most. */
export const MAX_TEXT_BYTES = 32 * 1024;
/** Texts of one body that are coded in a tick, if as much comes: other connections are served behind them. */
const MAX_TEXTS_PER_TICK = 8;

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
  #failure: { readonly error: unknown } | null = null;
  #isCoding = false;
  #textsInTick = 0;
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
    this.#proceed();
    this.#read();
  }

  onCancel(reason: unknown): void {
    this.#dropAll();
    // A source that fails while it is being canceled has stopped, too.
    this.#reader.cancel(reason).catch(() => {});
  }

  onTickEnd(): void {
    this.#isTickEndAwaited = false;
    this.#textsInTick = 0;
    if (this.#canDeliver) this.#deliver();
  }

  #read(): void {
    if (this.#isReading || this.#hasEnded || this.#isFull || !this.#source.isWaiting) return;
    this.#isReading = true;
    this.#reader.read().then((result) => this.#take(result), (error) => this.#fail(error));
  }

  get #isFull(): boolean {
    return this.#gatheredBytes >= MAX_TEXT_BYTES || this.#chunks.length >= MAX_LOOSE_PIECES;
  }

  get #canDeliver(): boolean {
    return this.#source.isWaiting && !this.#isCoding && (this.#gatheredBytes > 0 || this.#hasEnded);
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
    this.#proceed();
    this.#read();
  }

  /** Delivers at the end of the tick, or now where more would have to wait. */
  #proceed(): void {
    if (!this.#canDeliver) return;
    if (!this.#isTickEndAwaited) {
      this.#isTickEndAwaited = true;
      atTickEnd(this);
    }
    if (this.#isFull && this.#textsInTick < MAX_TEXTS_PER_TICK) this.#deliver();
  }

  #deliver(): void {
    const text = this.#nextText();
    if (text.length === 0) return this.#finish();
    this.#isCoding = true;
    this.#textsInTick++;
    this.#encoder.add(text).then((coded) => this.#pass(text, coded), (error) => {
      // There is no memory for the coder.
      this.#isCoding = false;
      this.onCancel(error);
      this.#source.fail(error);
    });
  }

  #pass(text: Uint8Array, coded: Uint8Array): void {
    this.#isCoding = false;
    release(text);
    reportGarbage(coded.length);
    this.#source.push(coded);
    if (this.#failure !== null) this.#breakOff(this.#failure.error);
    else if (this.#hasEnded && this.#gatheredBytes === 0) this.#finish();
  }

  #finish(): void {
    this.#source.push(this.#encoder.finish());
    this.#source.end();
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
    if (this.#source.isOver || this.#failure !== null) return;
    this.#failure = { error };
    if (this.#isCoding) return;
    if (this.#canDeliver && this.#gatheredBytes > 0) this.#deliver();
    else this.#breakOff(error);
  }

  #breakOff(error: unknown): void {
    this.#dropAll();
    this.#source.fail(error);
  }

  #dropAll(): void {
    for (const chunk of this.#chunks) release(chunk);
    this.#chunks = [];
    this.#gatheredBytes = 0;
  }
}
