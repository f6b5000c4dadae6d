/**
 * Makes one gzip member (RFC 1952) of texts that come one after the other, each decodable as soon as its bytes are there.
 *
 *     header │ blocks of text 1, sync flush │ blocks of text 2, sync flush │ … │ last blocks │ CRC-32, length
 *
 * A compressor of its own for each body would hold some 270 KB while nothing comes, and thousands of event streams are
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
const TRAILER_BYTES = 8;

export class GzipEncoder {
  /** The newest text, up to `WINDOW_BYTES`. */
  #window: Uint8Array = emptyBytes;
  #crc = 0;
  #textBytes = 0;

  /** All of `text`, which has at least one byte, can be decoded of what this and the calls before have returned. */
  add(text: Uint8Array): Uint8Array {
    return this.#encode(text, false);
  }

  /** The end, behind `text`, which may be empty. */
  finish(text: Uint8Array): Uint8Array {
    return this.#encode(text, true);
  }

  #encode(text: Uint8Array, isLast: boolean): Uint8Array {
    const { Z_FINISH, Z_SYNC_FLUSH } = zlib.constants;
    const blocks = zlib.deflateRawSync(text, {
      level: LEVEL,
      finishFlush: isLast ? Z_FINISH : Z_SYNC_FLUSH,
      chunkSize: Math.min(MAX_BUFFER_BYTES, text.length + 64),
      dictionary: this.#window.length === 0 ? undefined : this.#window,
    });
    const isFirst = this.#textBytes === 0;
    this.#crc = zlib.crc32(text, this.#crc);
    this.#textBytes += text.length;
    if (!isLast) {
      this.#remember(text);
      return isFirst ? concat([header, blocks], header.length + blocks.length) : blocks;
    }
    const parts = isFirst ? [header, blocks, this.#trailer()] : [blocks, this.#trailer()];
    return concat(parts, (isFirst ? header.length : 0) + blocks.length + TRAILER_BYTES);
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
