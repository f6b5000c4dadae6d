/**
 * A request's body while it is collected and while it waits for the link, since one frame carries it whole. It lies in
 * blocks of its own, so that it costs its own size and not that of the reads in which it came; and the blocks become
 * base64 one after the other, so that the frame never stands in memory as a whole.
 */
import { type CancelSignal, ListNode } from "../../base/mod.ts";
import type { MemoryAccount } from "../../httpstream/mod.ts";
import { count, release } from "../../memory/mod.ts";
import { base64Length, encodeBase64Into } from "./base64.ts";

/** A multiple of three, so that only the last block has padding in base64. */
export const BLOCK_BYTES = 48 * 1024;
/** The least of a body's first block, which grows up to a whole one: an announced length costs nothing. */
const FIRST_BLOCK_BYTES = 1024;

/** In a list of its owner's while it is collected. */
export class RequestBody extends ListNode<RequestBody> {
  readonly #account: MemoryAccount;
  #blocks: Uint8Array[] = [];
  /** Bytes of the last block that are in use. */
  #filledBytes = 0;
  #length = 0;
  #heldBytes = 0;
  /** Of the block that was encoded last: the socket may not have taken it yet. */
  #leavingBytes = 0;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #whyStopped: { readonly reason: unknown } | null = null;

  /** @param account counts what is held, and limits it */
  constructor(account: MemoryAccount) {
    super();
    this.#account = account;
  }

  /** Bytes of the body. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that count in the account. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A body of one block at most. Valid until it is encoded or dropped. */
  get bytes(): Uint8Array {
    return this.#blocks.length === 0 ? new Uint8Array(0) : this.#blocks[0].subarray(0, this.#filledBytes);
  }

  /** Copies the bytes, and takes over their reference (src/memory). False where the account has no room for them. */
  append(chunk: Uint8Array): boolean {
    for (let from = 0; from < chunk.length;) {
      const block = this.#blockFor(chunk.length - from);
      if (block === null) {
        release(chunk);
        return false;
      }
      const end = Math.min(from + block.length - this.#filledBytes, chunk.length);
      block.set(chunk.subarray(from, end), this.#filledBytes);
      this.#filledBytes += end - from;
      this.#length += end - from;
      from = end;
    }
    release(chunk);
    return true;
  }

  /**
   * Reads all of `stream`. Returns `limit` where it is longer than `limitBytes`, and `account` where there is no room for
   * it; the stream is then canceled. What was collected is held until `drop()`, also where this rejects.
   *
   * @throws the stream's error where it breaks off, and the reason of `signal` or `stop()`
   */
  async collect(
    stream: ReadableStream<Uint8Array>,
    limitBytes: number,
    signal: CancelSignal,
  ): Promise<"whole" | "limit" | "account"> {
    const reader = this.#reader = stream.getReader();
    const onAbort = () => this.stop(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (this.#whyStopped !== null) {
          if (!done) release(value);
          throw this.#whyStopped.reason;
        }
        if (done) return "whole";
        const isTooLong = this.#length + value.length > limitBytes;
        if (!isTooLong && this.append(value)) continue;
        if (isTooLong) release(value);
        // A source that fails while it is being canceled has stopped, too.
        reader.cancel().catch(() => {});
        return isTooLong ? "limit" : "account";
      }
    } finally {
      this.#reader = null;
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** `collect()` rejects with `reason`. Does nothing where that is over. */
  stop(reason: unknown): void {
    if (this.#reader === null || this.#whyStopped !== null) return;
    this.#whyStopped = { reason };
    // A source that fails while it is being canceled has stopped, too.
    this.#reader.cancel(reason).catch(() => {});
  }

  /** The next block in base64, which the caller owns; the block is freed. Null behind the last one. */
  encodeNext(): Uint8Array | null {
    this.#giveBack(this.#leavingBytes);
    this.#leavingBytes = 0;
    const block = this.#blocks.shift();
    if (block === undefined) return null;
    const bytes = this.#blocks.length === 0 ? block.subarray(0, this.#filledBytes) : block;
    const encoded = count(new Uint8Array(base64Length(bytes.length)));
    encodeBase64Into(bytes, encoded, 0);
    this.#leavingBytes = block.length;
    release(block);
    return encoded;
  }

  /** Frees what is held. */
  drop(): void {
    for (const block of this.#blocks.splice(0)) release(block);
    this.#giveBack(this.#heldBytes);
  }

  #giveBack(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#account.add(-bytes);
  }

  /** The last block, with room in it for `wanted` bytes or some of them; null where the account has none. */
  #blockFor(wanted: number): Uint8Array | null {
    const last = this.#blocks.at(-1);
    if (last === undefined) return this.#addBlock(Math.min(Math.max(wanted, FIRST_BLOCK_BYTES), BLOCK_BYTES));
    if (this.#filledBytes < last.length) return last;
    if (last.length === BLOCK_BYTES) return this.#addBlock(BLOCK_BYTES);
    const length = Math.min(Math.max(2 * last.length, last.length + wanted), BLOCK_BYTES);
    if (!this.#reserve(length - last.length)) return null;
    const grown = count(new Uint8Array(length));
    grown.set(last);
    release(last);
    this.#blocks[this.#blocks.length - 1] = grown;
    return grown;
  }

  #addBlock(length: number): Uint8Array | null {
    if (!this.#reserve(length)) return null;
    const block = count(new Uint8Array(length));
    this.#blocks.push(block);
    this.#filledBytes = 0;
    return block;
  }

  #reserve(bytes: number): boolean {
    const isFitting = this.#account.reserve(bytes);
    if (isFitting) this.#heldBytes += bytes;
    return isFitting;
  }
}
