/**
 * What the connections of one server hold of requests, with a limit for each kind:
 *
 *     read-ahead     read, and not yet taken by whoever reads the body, or behind the request that is being served.
 *                    Past its limit connections read only what is waited for.
 *     heads          incomplete ones. Past their limit the oldest is refused.
 */
import { LinkedList, ListNode } from "../../base/mod.ts";
import type { MemoryAccount } from "../../memory/mod.ts";

/** The head that one connection is reading, once it came in more than one piece. */
export class HeadUnderWay extends ListNode<HeadUnderWay> {
  readonly refuse: () => void;
  /** Written by `RequestMemory` alone. */
  bytes = 0;

  constructor(refuse: () => void) {
    super();
    this.refuse = refuse;
  }
}

export class RequestMemory {
  readonly #account: MemoryAccount | undefined;
  readonly #maxReadAheadBytes: number;
  readonly #maxHeadBytes: number;
  #readAheadBytes = 0;
  #headBytes = 0;
  /** The oldest one first. */
  readonly #heads = new LinkedList<HeadUnderWay>();

  /** @param account of the process, to which everything is added. Default: none. */
  constructor(maxReadAheadBytes: number, maxHeadBytes: number, account?: MemoryAccount) {
    this.#maxReadAheadBytes = maxReadAheadBytes;
    this.#maxHeadBytes = maxHeadBytes;
    this.#account = account;
  }

  get heldBytes(): number {
    return this.#readAheadBytes + this.#headBytes;
  }

  /** Whether connections may read before somebody waits for it. */
  get canReadAhead(): boolean {
    return this.#readAheadBytes < this.#maxReadAheadBytes;
  }

  /** Adds bytes that wait from now on. A negative number: bytes that do not wait any more. */
  addReadAhead(bytes: number): void {
    this.#readAheadBytes += bytes;
    this.#account?.add(bytes);
  }

  /** An incomplete head takes `bytes` now. Where all of them take too many, the oldest are refused: it may be this one. */
  headGrew(head: HeadUnderWay, bytes: number): void {
    if (head.list === null) this.#heads.append(head);
    this.#setBytes(head, bytes);
    for (let oldest = this.#heads.first; oldest !== null; oldest = this.#heads.first) {
      if (this.#headBytes <= this.#maxHeadBytes) return;
      this.headOver(oldest);
      oldest.refuse();
    }
  }

  /** The head is complete, or nobody waits for it any more. */
  headOver(head: HeadUnderWay): void {
    this.#setBytes(head, 0);
    head.unlink();
  }

  #setBytes(head: HeadUnderWay, bytes: number): void {
    this.#headBytes += bytes - head.bytes;
    this.#account?.add(bytes - head.bytes);
    head.bytes = bytes;
  }
}
