/**
 * What the exchanges of one tunnel were, as plain numbers. They are changed where an exchange moves, and read when
 * somebody asks: nothing else happens in between.
 */
import { type Lease, WaitTime } from "../base/mod.ts";

/** Upper bounds of the durations that are counted together, in milliseconds. What is longer is counted behind them. */
export const DURATION_BOUNDS_MS: readonly number[] = [10, 50, 100, 500, 1_000, 5_000, 30_000, 300_000];

export class Traffic {
  /** Exchanges under way. */
  active = 0;
  /**
   * Exchanges that are over, by the hundreds of the answer's status. At 0 are those whose visitor left before there was
   * an answer, and at 5 whatever is above, too (RFC 9110 §15).
   */
  readonly byStatus: number[] = [0, 0, 0, 0, 0, 0];
  /** Exchanges that are over, by their duration: up to each of `DURATION_BOUNDS_MS`, and longer than the last one. */
  readonly byDuration: number[] = [...DURATION_BOUNDS_MS.map(() => 0), 0];
  /** Of all exchanges that are over, together. */
  durationMs = 0;
  /** Answers whose head was sent, and the time from the request to the head, together. */
  answers = 0;
  firstByteMs = 0;
  /** Answers that broke off behind their head, and not because their visitor left. */
  brokenAnswers = 0;
  /** Body bytes from visitors, and to them. After an upgrade all bytes are the body's. */
  bytesIn = 0;
  bytesOut = 0;
  /** How long answers waited for visitors who took nothing. */
  readonly visitorWait: WaitTime = new WaitTime();
  /** How long bytes of requests waited for the credit of the agent. There is no credit on the JSON protocol. */
  readonly creditWait: WaitTime = new WaitTime();

  /** The answer's head was sent, and with it so many bytes of its body. @param afterMs from the request to it */
  answered(afterMs: number, bytes: number): void {
    this.answers++;
    this.firstByteMs += afterMs;
    this.bytesOut += bytes;
  }

  /** An exchange is over. @param status of the answer; 0: there was none */
  ended(status: number, durationMs: number): void {
    this.active--;
    this.byStatus[Math.min(5, Math.floor(status / 100))]!++;
    this.durationMs += durationMs;
    let index = 0;
    while (index < DURATION_BOUNDS_MS.length && durationMs > DURATION_BOUNDS_MS[index]!) index++;
    this.byDuration[index]!++;
  }
}

/** Whose link may be lost for a while, and come back: what waits for it stands still meanwhile. */
export interface Suspendable {
  readonly isSuspended: boolean;
  /** Milliseconds for which it was suspended, all times together. It grows meanwhile. */
  readonly suspendedMs: number;
}

/** What serves exchanges, one of several that may serve the same. */
export interface ExchangeServer extends Suspendable {
  /** Exchanges that it serves now. */
  outstanding: number;
}

/** Counts one exchange: for nobody, until it is known whose request it is. */
export interface ExchangeMeter {
  /** Whom it is counted for; null before `countFor`. */
  readonly traffic: Traffic | null;
  /** To be called once, before the handler returns. */
  countFor(traffic: Traffic): void;
  /** The exchange is served by `server` from now on, until it is over, or another one serves it. */
  servedBy(server: ExchangeServer): void;
  /** Releases `lease` when the exchange is over. To be called once at most. */
  releaseAtEnd(lease: Lease): void;
}
