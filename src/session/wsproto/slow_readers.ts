/**
 * The JSON protocol has no credit, so the only brake is the whole link. One slow client may hold it for as long as it
 * takes bytes, at most 4 s without one; then its answer alone is given up, and the link's other answers go on.
 *
 * Why not sooner: what a client takes shows only when the kernel has room for more, and it tells of that when a third
 * of its buffer is free. A client of 1 MB/s on a buffer of 4 MB shows a sign of life every 2.1 s (measured).
 *
 * Why not more of a buffer: what waits here grows old before it is garbage, and of old garbage both runtimes keep about
 * five times as much as was ever in use (4 MiB held 50 MB in a steady download, 1 MiB holds 15).
 */
import { type Clock, Timeout } from "../../base/mod.ts";
import type { AnswerStream, Held } from "./answer_stream.ts";

export interface SlowReaderLimits {
  /** Bytes of one answer that wait for its client before the link stops. Default 1 MiB. */
  bufferBytes: number;
  /** Bytes of all answers of a session that wait; past it, each answer that still gets bytes counts as slow. Default 64 MiB. */
  totalBytes: number;
  /** Milliseconds without a byte taken until the answer is given up. Default 4,000. */
  stallMs: number;
}

export const defaultSlowReaderLimits: SlowReaderLimits = {
  bufferBytes: 1024 * 1024,
  totalBytes: 64 * 1024 * 1024,
  stallMs: 4_000,
};

export interface Brake {
  pause(): void;
  resume(): void;
}

export class SlowReaders {
  /** The account that the session's answers share. */
  readonly held: Held = { bytes: 0 };
  readonly #link: Brake;
  readonly #clock: Clock;
  readonly #limits: SlowReaderLimits;
  readonly #blocking = new Map<AnswerStream, Timeout>();

  constructor(link: Brake, clock: Clock, limits: SlowReaderLimits) {
    this.#link = link;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** True while some answer holds the link: silence is then our own doing. */
  get paused(): boolean {
    return this.#blocking.size > 0;
  }

  /** After bytes were pushed. `giveUp` is called where the client takes nothing for too long. */
  pushed(stream: AnswerStream, giveUp: () => void): void {
    if (this.#blocking.has(stream) || !this.#isSlow(stream)) return;
    if (!this.paused) this.#link.pause();
    const stall = new Timeout(this.#clock, () => {
      // What all answers hold together may have shrunk by the others' doing.
      const isSlow = this.#isSlow(stream);
      this.forget(stream);
      if (isSlow) giveUp();
    });
    this.#blocking.set(stream, stall);
    stall.start(this.#limits.stallMs);
  }

  /** After its client took bytes. */
  taken(stream: AnswerStream): void {
    if (this.#isSlow(stream)) this.#blocking.get(stream)?.touch();
    else this.forget(stream);
  }

  /** The answer is over, or no longer slow. */
  forget(stream: AnswerStream): void {
    const stall = this.#blocking.get(stream);
    if (stall === undefined) return;
    stall.close();
    this.#blocking.delete(stream);
    if (!this.paused) this.#link.resume();
  }

  #isSlow(stream: AnswerStream): boolean {
    if (stream.bufferedBytes > this.#limits.bufferBytes) return true;
    return this.held.bytes > this.#limits.totalBytes && stream.bufferedBytes > 0;
  }
}
