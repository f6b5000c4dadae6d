/**
 * Credit of one stream, and nothing but its arithmetic. A sender may send what its window allows. The receiver gives
 * credit back when bytes were consumed, in one WINDOW_UPDATE after half a window.
 *
 * Example, in KiB, with a window of 64 that grows by 64:
 *
 *     receiver                                       size   credit  held  unreturned    sender's window
 *     new stream                                       64       64     0           0                 64
 *     40 arrive                                        64       24    40           0                 24
 *     30 are consumed (less than half of 64)           64       24    10          30                 24
 *     10 are consumed: 40 go back in one update        64       64     0           0                 64
 *     growth of 64: an update of 64                   128      128     0           0                128
 *     60 arrive, 20 are consumed                      128       68    40          20                 68
 *     the growth is withdrawn: 20 pay, 44 are debt     64       68    40           0                 68
 *     40 are consumed: all of them pay, 4 are debt     64       68     0           0                 68
 *
 * Always: credit + held + unreturned = size + debt. Credit that was given cannot be taken back. So withdrawn growth
 * is a debt, which consumption pays before any credit goes back.
 */
import { MAX_U31 } from "../wire/mod.ts";

/** What this side may still send on a stream. */
export class SendWindow {
  #available: number;

  constructor(initialBytes: number) {
    this.#available = initialBytes;
  }

  /** Bytes; below zero after SETTINGS that made the window smaller. */
  get available(): number {
    return this.#available;
  }

  /** Bytes were sent, never more than `available`. */
  take(bytes: number): void {
    this.#available -= bytes;
  }

  /** Adds credit. False where the window would pass 2^31-1 (RFC 9113 §6.9.1); nothing is changed then. */
  credit(bytes: number): boolean {
    if (this.#available + bytes > MAX_U31) return false;
    this.#available += bytes;
    return true;
  }

  /** The peer's SETTINGS differ from the default that was assumed; the window may fall below zero (§6.9.2). */
  adjust(delta: number): void {
    this.#available += delta;
  }
}

/** What the peer may still send on a stream, and what it is owed. */
export class ReceiveWindow {
  #size: number;
  #credit: number;
  #held = 0;
  #unreturned = 0;
  #debt = 0;

  constructor(initialBytes: number) {
    this.#size = initialBytes;
    this.#credit = initialBytes;
  }

  /** Bytes that may be in flight or held at once, with growth, without growth that was withdrawn. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that the peer may still send. */
  get credit(): number {
    return this.#credit;
  }

  /** Bytes received and not consumed. */
  get held(): number {
    return this.#held;
  }

  /** Bytes of withdrawn growth that consumption has not paid yet. */
  get debt(): number {
    return this.#debt;
  }

  /** Bytes came in. False where the peer sent more than it may; nothing is changed then. */
  receive(bytes: number): boolean {
    if (bytes > this.#credit) return false;
    this.#credit -= bytes;
    this.#held += bytes;
    return true;
  }

  /** Bytes were consumed. Returns the credit that goes back now, 0 while it is less than half a window. */
  consume(bytes: number): number {
    this.#held -= bytes;
    const paid = Math.min(bytes, this.#debt);
    this.#debt -= paid;
    this.#unreturned += bytes - paid;
    if (this.#unreturned * 2 < this.#size) return 0;
    const update = this.#unreturned;
    this.#unreturned = 0;
    this.#credit += update;
    return update;
  }

  /** Makes the window larger. The caller sends the same number as credit. */
  grow(bytes: number): void {
    this.#size += bytes;
    this.#credit += bytes;
  }

  /** Takes growth back, never more than `grow` added. Credit that was not returned yet pays at once. */
  withdraw(bytes: number): void {
    this.#size -= bytes;
    const paid = Math.min(bytes, this.#unreturned);
    this.#unreturned -= paid;
    this.#debt += bytes - paid;
  }
}
