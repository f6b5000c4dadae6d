/**
 * Backpressure of the JSON protocol. It has no flow control for one answer: only the whole link can be paused. A slow
 * client may keep it paused for as long as it takes bytes, and for 4 s at most without taking any. After that its answer
 * is given up, and the other answers of the link go on.
 *
 * The time is not shorter because the kernel takes bytes in bursts: it reports that it has space again when a third of
 * its buffer is free. A client that reads 1 MB/s through a buffer of 4 MB takes bytes every 2.1 s (measured).
 *
 * The buffer is not larger because what waits in it grows old before it is garbage, and both runtimes keep about five
 * times as much old garbage as was ever in use (4 MiB held 50 MB in a steady download, 1 MiB holds 15).
 */
import { type Clock, Timeout } from "../../base/mod.ts";
import { MemoryAccount } from "../../httpstream/mod.ts";
import type { AnswerBody } from "./answer_body.ts";
import type { JsonLink } from "./link.ts";

export interface BackpressureLimits {
  /** Bytes of one answer that wait for its client before the link is paused. Default 1 MiB. */
  bufferBytes: number;
  /** Bytes that wait in all answers of a session. Beyond it each answer that still gets bytes is slow. Default 64 MiB. */
  totalBytes: number;
  /** Milliseconds in which a client takes nothing until its answer is given up. Default 4,000. */
  stallMs: number;
}

export const defaultBackpressureLimits: BackpressureLimits = {
  bufferBytes: 1024 * 1024,
  totalBytes: 64 * 1024 * 1024,
  stallMs: 4_000,
};

/** Pauses a link while the client of some answer is too slow. */
export class Backpressure {
  /** Shared by the session's answers. */
  readonly total: MemoryAccount;
  readonly #link: Pick<JsonLink, "pause" | "resume">;
  readonly #clock: Clock;
  readonly #limits: BackpressureLimits;
  /** The answers for which the link is paused, each with the time that its client has to take bytes. */
  readonly #slow = new Map<AnswerBody, Timeout>();

  /** @param account the session's. Default: none. */
  constructor(
    link: Pick<JsonLink, "pause" | "resume">,
    clock: Clock,
    limits: BackpressureLimits,
    account: MemoryAccount | null = null,
  ) {
    this.total = new MemoryAccount(limits.totalBytes, account);
    this.#link = link;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** True while the link is paused: that the agent is silent then says nothing about it. */
  get isPaused(): boolean {
    return this.#slow.size > 0;
  }

  /** Bytes were pushed to `body`. Calls `giveUp` later, where its client takes nothing for too long. */
  pushed(body: AnswerBody, giveUp: () => void): void {
    if (this.#slow.has(body) || !this.#isSlow(body)) return;
    if (!this.isPaused) this.#link.pause();
    const stall = new Timeout(this.#clock, () => {
      // It may no longer be slow: the total shrinks when other answers are read.
      const isSlow = this.#isSlow(body);
      this.remove(body);
      if (isSlow) giveUp();
    });
    this.#slow.set(body, stall);
    stall.start(this.#limits.stallMs);
  }

  /** The client of `body` took bytes. */
  taken(body: AnswerBody): void {
    if (this.#isSlow(body)) this.#slow.get(body)?.touch();
    else this.remove(body);
  }

  /** The answer is over, or no longer slow. */
  remove(body: AnswerBody): void {
    const stall = this.#slow.get(body);
    if (stall === undefined) return;
    stall.close();
    this.#slow.delete(body);
    if (!this.isPaused) this.#link.resume();
  }

  #isSlow(body: AnswerBody): boolean {
    if (body.bufferedBytes > this.#limits.bufferBytes) return true;
    return this.total.heldBytes > this.total.limitBytes && body.bufferedBytes > 0;
  }
}
