/**
 * How wrong tokens are refused: slowly, and with a line in the log. Nobody is locked out for it: behind a proxy all agents
 * have one address, and a right token is accepted whatever others have shown before.
 */
import { type CancelSignal, type Clock, systemClock, type Timer } from "../base/mod.ts";

export type RefusalCode = "unauthorized" | "too_many_attempts";

/** What an agent is told. */
export const refusalReasons: Readonly<Record<RefusalCode, string>> = {
  unauthorized: "The token was refused",
  too_many_attempts: "The token was refused, as many others just now: try again in a moment",
};

/** @param address null: of all addresses together that were not counted one by one */
export type RefusalReporter = (address: string | null, count: number) => void;

/** Until a wrong token is answered. */
const DELAY_MS = 1_000;
/** Wrong tokens that wait for their answer, each with a connection of its own. */
const MAX_WAITING = 64;
/** How often an address is reported. */
const REPORT_MS = 60_000;
/** Addresses that are counted one by one. */
const MAX_ADDRESSES = 256;

/** One for all acceptors of an edge, and one for its admin API. */
export class TokenRefusals {
  readonly #clock: Clock;
  readonly #counts: RefusalCounts;
  /** What ends each wait early. */
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(clock: Clock = systemClock, report: RefusalReporter = () => {}) {
    this.#clock = clock;
    this.#counts = new RefusalCounts(clock, report);
  }

  /** Wrong tokens since the start. */
  get total(): number {
    return this.#counts.total;
  }

  /**
   * Counts a wrong token. Resolves when it is to be answered, with the code of the answer: after 1 s, or at once where
   * 64 wait already. Resolves at once, too, when `signal` aborts, which is to be when the connection has ended.
   */
  refuse(address: string, signal: CancelSignal): Promise<RefusalCode> {
    this.#counts.add(address);
    if (this.#isClosed || signal.aborted) return Promise.resolve("unauthorized");
    if (this.#waiting.size >= MAX_WAITING) return Promise.resolve("too_many_attempts");
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        signal.removeEventListener("abort", finish);
        this.#waiting.delete(finish);
        resolve("unauthorized");
      };
      const timer = this.#clock.after(DELAY_MS, finish);
      signal.addEventListener("abort", finish);
      this.#waiting.add(finish);
    });
  }

  /** Answers what waits, and what still comes, at once. */
  close(): void {
    this.#isClosed = true;
    for (const finish of [...this.#waiting]) finish();
    this.#counts.close();
  }
}

/** Refusals by address, or by what else. The first one is reported at once, those after it in one count a minute. */
export class RefusalCounts {
  readonly #clock: Clock;
  readonly #report: RefusalReporter;
  /** Refusals that were not reported yet. */
  readonly #counts = new Map<string, number>();
  #others = 0;
  #total = 0;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(clock: Clock, report: RefusalReporter) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Refusals since the start. */
  get total(): number {
    return this.#total;
  }

  add(address: string): void {
    this.#total++;
    const count = this.#counts.get(address);
    if (count !== undefined) this.#counts.set(address, count + 1);
    else if (this.#counts.size >= MAX_ADDRESSES) this.#others++;
    else {
      this.#counts.set(address, 0);
      this.#report(address, 1);
    }
    this.#startTimer();
  }

  /** Reports what was counted. From here on only the first token of an address is reported. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#reportAll();
  }

  /** An address without refusals for a minute is forgotten. */
  #reportAll(): void {
    this.#timer = null;
    for (const [address, count] of this.#counts) {
      if (count === 0) this.#counts.delete(address);
      else {
        this.#counts.set(address, 0);
        this.#report(address, count);
      }
    }
    if (this.#others > 0) this.#report(null, this.#others);
    this.#others = 0;
    if (this.#counts.size > 0) this.#startTimer();
  }

  #startTimer(): void {
    if (!this.#isClosed) this.#timer ??= this.#clock.after(REPORT_MS, () => this.#reportAll());
  }
}

/** @param address null: of many addresses together, or of nobody alone */
export type ReasonReporter = (address: string | null, reason: string, count: number) => void;

/** Refusals by address and reason, counted as `RefusalCounts` does. */
export class ReasonCounts {
  readonly #counts: RefusalCounts;

  /** @param others the reason that is reported for those that were not counted one by one */
  constructor(clock: Clock, others: string, report: ReasonReporter) {
    this.#counts = new RefusalCounts(clock, (key, count) => {
      const [address, reason] = key === null ? [null, others] : JSON.parse(key) as [string | null, string];
      report(address, reason, count);
    });
  }

  /** Refusals since the start. */
  get total(): number {
    return this.#counts.total;
  }

  /** @param address null: the reason is not that of one address */
  add(address: string | null, reason: string): void {
    this.#counts.add(JSON.stringify([address, reason]));
  }

  /** Reports what was counted. */
  close(): void {
    this.#counts.close();
  }
}
