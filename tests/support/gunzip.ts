/** Reads gzip as it comes, by the runtime's own zlib. */
import assert from "node:assert/strict";
import zlib from "node:zlib";

const HEADER_BYTES = 10;

/** All that can be decoded of the beginning of a gzip member without a name in its header. */
export function textSoFar(coded: Uint8Array): string {
  assert.deepEqual([...coded.subarray(0, 4)], [0x1f, 0x8b, 8, 0], "the magic number, deflate, and no flags");
  const text = zlib.inflateRawSync(coded.subarray(HEADER_BYTES), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  return new TextDecoder().decode(text);
}

/** The text of a whole member, whose checksum and length are right. */
export function wholeText(coded: Uint8Array): string {
  return new TextDecoder().decode(zlib.gunzipSync(coded));
}

/** Reads a coded stream piece by piece. */
export class GzipReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #coded: Uint8Array = new Uint8Array();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** All that came so far. */
  get coded(): Uint8Array {
    return this.#coded;
  }

  /** What can be decoded of everything so far once `end` stands in it. Fails where the stream ends before. */
  async until(end: string): Promise<string> {
    for (;;) {
      const text = this.#coded.length === 0 ? "" : textSoFar(this.#coded);
      if (text.includes(end)) return text;
      assert.ok(await this.read(), `the stream ended before ${JSON.stringify(end)}: ${JSON.stringify(text)}`);
    }
  }

  /** Takes one more piece. False at the end. */
  async read(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    if (done) return false;
    const both = new Uint8Array(this.#coded.length + value.length);
    both.set(this.#coded);
    both.set(value, this.#coded.length);
    this.#coded = both;
    return true;
  }

  async readAll(): Promise<string> {
    while (await this.read());
    return wholeText(this.#coded);
  }

  cancel(reason?: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }
}
