/**
 * Makes one gzip member (RFC 1952) of texts that come one after the other, each decodable as soon as its bytes are there.
 *
 *     header │ blocks of text 1, sync flush │ blocks of text 2, sync flush │ … │ empty last block │ CRC-32, length
 *
 * A compressor of its own for each body would hold some 230 KB while nothing comes, and thousands of event streams are
 * silent most of the time. So each text gets a compressor for a moment, which is told what came before it: between two
 * texts nothing is held but that.
 */
import zlib from "node:zlib";
import { concat, emptyBytes } from "../../memory/mod.ts";

/** What later text may refer back to. Events repeat what the one before them had, so that a little is enough. */
const WINDOW_BYTES = 8 * 1024;
/** Enough for most texts, which take one buffer then. */
const MAX_BUFFER_BYTES = 16 * 1024;
const LEVEL = 6;

/** Magic, deflate, no name, no time, unknown system (RFC 1952 §2.3). */
const header = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
const emptyLastBlock = Uint8Array.of(3, 0);
const TRAILER_BYTES = 8;

export class GzipEncoder {
  /** The newest text, up to `WINDOW_BYTES`. */
  #window: Uint8Array = emptyBytes;
  #crc = 0;
  #textBytes = 0;

  /**
   * All of `text`, which has at least one byte, can be decoded of what this and the calls before have given. The bytes of
   * `text` must stay as they are until then, and so long nothing else may be called.
   */
  async add(text: Uint8Array): Promise<Uint8Array> {
    const isFirst = this.#textBytes === 0;
    const blocks = await blocksOf(text, this.#window);
    this.#crc = zlib.crc32(text, this.#crc);
    this.#textBytes += text.length;
    this.#remember(text);
    return isFirst ? concat([header, blocks], header.length + blocks.length) : blocks;
  }

  /** The end. */
  finish(): Uint8Array {
    const start = this.#textBytes === 0 ? header : emptyBytes;
    return concat([start, emptyLastBlock, this.#trailer()], start.length + emptyLastBlock.length + TRAILER_BYTES);
  }

  #remember(text: Uint8Array): void {
    const kept = this.#window.subarray(Math.max(0, this.#window.length + text.length - WINDOW_BYTES));
    const added = text.subarray(Math.max(0, text.length - WINDOW_BYTES));
    this.#window = concat([kept, added], kept.length + added.length);
  }

  #trailer(): Uint8Array {
    const trailer = new Uint8Array(TRAILER_BYTES);
    const view = new DataView(trailer.buffer);
    view.setUint32(0, this.#crc, true);
    // The length modulo 2^32 (RFC 1952 §2.3.1).
    view.setUint32(4, this.#textBytes % 2 ** 32, true);
    return trailer;
  }
}

/** A whole member of one text. */
export function gzipWhole(text: Uint8Array): Uint8Array {
  return zlib.gzipSync(text, { level: LEVEL });
}

/** Deflate blocks of `text` (RFC 1951), which may refer back to `window`. */
function blocksOf(text: Uint8Array, window: Uint8Array): Uint8Array | Promise<Uint8Array> {
  if (window.length === 0) return deflated(text);
  takesDictionary ??= isDictionaryTaken();
  if (takesDictionary) return deflated(text, window);
  // A long text refers to itself.
  return text.length < WINDOW_BYTES ? deflatedBehind(text, window) : deflated(text);
}

function deflated(text: Uint8Array, dictionary?: Uint8Array): Uint8Array {
  return zlib.deflateRawSync(text, {
    level: LEVEL,
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
    chunkSize: Math.min(MAX_BUFFER_BYTES, text.length + 64),
    dictionary,
  });
}

let takesDictionary: boolean | null = null;

/** Not every runtime's zlib looks at the dictionary of a compressor, and none says so. */
function isDictionaryTaken(): boolean {
  const text = new TextEncoder().encode("a text that repeats nothing of itself");
  return deflated(text, text).length < text.length / 2;
}

/** One compressor serves all bodies in turn: as many as there are bodies would hold hundreds of megabytes. */
let sharedCoder: zlib.DeflateRaw | null = null;
let lastTurn: Promise<unknown> = Promise.resolve();

/** Has the compressor compress `window` first, and drops what came of that. */
function deflatedBehind(text: Uint8Array, window: Uint8Array): Promise<Uint8Array> {
  const blocks = lastTurn.then(async () => {
    const coder = sharedCoder ??= zlib.createDeflateRaw({ level: LEVEL, flush: zlib.constants.Z_SYNC_FLUSH });
    try {
      await written(coder, window);
      return await written(coder, text);
    } catch (error) {
      sharedCoder = null;
      throw error;
    } finally {
      sharedCoder?.reset();
    }
  });
  lastTurn = blocks.catch(() => {});
  return blocks;
}

/** Both texts are so short that the compressor's buffer takes all that comes of them. */
function written(coder: zlib.DeflateRaw, text: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    coder.once("error", reject);
    coder.write(text, () => {
      coder.off("error", reject);
      const parts: Uint8Array[] = [];
      for (let part = coder.read(); part !== null; part = coder.read()) parts.push(part);
      resolve(concat(parts, parts.reduce((sum, { length }) => sum + length, 0)));
    });
  });
}
