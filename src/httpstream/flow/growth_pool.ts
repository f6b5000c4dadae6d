/**
 * The pool from which the windows of one connection grow. Every stream has its initial window whatever the others do.
 * What makes it larger comes from here, so that all windows together stay bounded:
 *
 *     first half     1/32 of what is left of it, to each new stream
 *     second half    at most half of what is left, to a stream whose window was the bottleneck: its consumer took a
 *                    whole window within two round trips, and found nothing waiting meanwhile
 *
 * Growth that its stream did not consume for 10 s goes back to the pool, so that idle streams never keep it.
 */
import { type Clock, LinkedList, ListNode, type Timer } from "../../base/mod.ts";
import { TURNAROUND_MS } from "./rate_estimator.ts";

/** How long growth may lie unused. */
const GROWTH_EXPIRY_MS = 10_000;
/** A smaller grant is not worth its frame. */
const LEAST_GRANT_BYTES = 4_096;
/** A new stream is granted this part of what is left of the first half. */
const FIRST_GRANT_DIVISOR = 32;

export interface GrowthPoolOptions {
  clock: Clock;
  /** Both halves together. */
  poolBytes: number;
  /** No window grows beyond this. */
  maxWindowBytes: number;
}

/** One stream's part of the pool. The pool alone writes it. */
export class GrowthAccount extends ListNode<GrowthAccount> {
  /** What grew: it shrinks by what was not used. */
  readonly window: { withdraw(bytes: number): void };
  /** Growth from the first half of the pool, and from the second one. */
  firstBytes = 0;
  laterBytes = 0;
  /** Bytes consumed since the growth was granted or renewed. */
  consumedBytes = 0;
  renewedAt = 0;
  /** The present round of one window: since when, how much was consumed, and whether the consumer found nothing. */
  roundStartedAt = 0;
  roundBytes = 0;
  isRoundEmptied = false;

  constructor(window: { withdraw(bytes: number): void }) {
    super();
    this.window = window;
  }

  get bytes(): number {
    return this.firstBytes + this.laterBytes;
  }
}

export class GrowthPool {
  readonly #clock: Clock;
  readonly #maxWindowBytes: number;
  readonly #poolBytes: number;
  #firstLeftBytes: number;
  #laterLeftBytes: number;
  /** Accounts with growth, the longest not renewed first. */
  readonly #accounts = new LinkedList<GrowthAccount>();
  #timer: Timer | null = null;

  constructor(options: GrowthPoolOptions) {
    this.#clock = options.clock;
    this.#maxWindowBytes = options.maxWindowBytes;
    this.#poolBytes = options.poolBytes;
    this.#firstLeftBytes = Math.floor(options.poolBytes / 2);
    this.#laterLeftBytes = options.poolBytes - this.#firstLeftBytes;
  }

  /** Bytes that are not granted. */
  get leftBytes(): number {
    return this.#firstLeftBytes + this.#laterLeftBytes;
  }

  get grantedBytes(): number {
    return this.#poolBytes - this.leftBytes;
  }

  /** The grant for a new stream of `windowBytes`: bytes to add to its window, or 0. */
  grantFirst(account: GrowthAccount, windowBytes: number): number {
    const left = Math.floor(this.#firstLeftBytes / FIRST_GRANT_DIVISOR);
    const grant = Math.min(left, this.#maxWindowBytes - windowBytes);
    if (grant < LEAST_GRANT_BYTES) return 0;
    this.#firstLeftBytes -= grant;
    account.firstBytes += grant;
    this.#renew(account);
    return grant;
  }

  /**
   * A stream consumed bytes. Returns the bytes by which its window should grow now, mostly 0.
   *
   * @param isEmptied whether nothing waits after these bytes.
   */
  consumed(account: GrowthAccount, bytes: number, windowBytes: number, isEmptied: boolean, rttMs: number): number {
    account.consumedBytes += bytes;
    account.roundBytes += bytes;
    if (isEmptied) account.isRoundEmptied = true;
    if (account.roundBytes < windowBytes) return 0;
    const now = this.#clock.now();
    const isBottleneck = account.isRoundEmptied && now - account.roundStartedAt <= 2 * (rttMs + TURNAROUND_MS);
    account.roundStartedAt = now;
    account.roundBytes = 0;
    account.isRoundEmptied = false;
    return isBottleneck ? this.#grantMore(account, windowBytes) : 0;
  }

  /** Takes all growth of an account back: its stream is over. A second call does nothing. */
  release(account: GrowthAccount): void {
    this.#firstLeftBytes += account.firstBytes;
    this.#laterLeftBytes += account.laterBytes;
    account.firstBytes = account.laterBytes = 0;
    account.unlink();
  }

  /** Ends the pool's timer. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #grantMore(account: GrowthAccount, windowBytes: number): number {
    const left = Math.floor(this.#laterLeftBytes / 2);
    const grant = Math.min(windowBytes, left, this.#maxWindowBytes - windowBytes);
    if (grant < LEAST_GRANT_BYTES) return 0;
    this.#laterLeftBytes -= grant;
    account.laterBytes += grant;
    this.#renew(account);
    return grant;
  }

  #renew(account: GrowthAccount): void {
    account.renewedAt = this.#clock.now();
    account.consumedBytes = 0;
    account.unlink();
    this.#accounts.append(account);
    if (this.#timer === null) this.#startTimer(GROWTH_EXPIRY_MS);
  }

  #startTimer(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#expire();
    });
  }

  #expire(): void {
    const now = this.#clock.now();
    for (let account = this.#accounts.first; account !== null; account = this.#accounts.first) {
      const leftMs = account.renewedAt + GROWTH_EXPIRY_MS - now;
      if (leftMs > 0) return this.#startTimer(leftMs);
      this.#withdraw(account, account.bytes - Math.min(account.bytes, account.consumedBytes));
      account.unlink();
      // What was used stays for another 10 s, at the end of the list.
      if (account.bytes > 0) this.#renew(account);
    }
  }

  #withdraw(account: GrowthAccount, bytes: number): void {
    if (bytes === 0) return;
    const later = Math.min(bytes, account.laterBytes);
    account.laterBytes -= later;
    account.firstBytes -= bytes - later;
    this.#laterLeftBytes += later;
    this.#firstLeftBytes += bytes - later;
    account.window.withdraw(bytes);
  }
}
