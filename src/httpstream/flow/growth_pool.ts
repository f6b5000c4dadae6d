/**
 * The budget from which the windows of one connection grow. Every stream has its initial window whatever the others
 * do; what makes it larger comes from here, so that all windows together stay bounded:
 *
 *     first half     1/32 of what is left of it, to each new stream
 *     second half    at most half of what is left, to a stream whose sender was the bottleneck: its consumer took a
 *                    whole window within two round trips, and found nothing waiting meanwhile
 *
 * Growth that its stream did not consume for 10 s leaves the account: idle streams never hold the pool.
 */
import { type Clock, LinkedList, ListNode, type Timer } from "../../base/mod.ts";

/** How long growth may lie unused. */
export const GROWTH_EXPIRY_MS = 10_000;
/** A grant below this is not worth its frame. */
const LEAST_GRANT = 4_096;
/** Added to a round trip, for the time that both ends need to act on a frame. */
const TURNAROUND_MS = 10;

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
  firstBytes = 0;
  laterBytes = 0;
  /** Bytes consumed since the growth was granted or renewed. */
  consumedBytes = 0;
  renewedAt = 0;
  /** Since when, and how much, the consumer took of the present window; whether it ever found nothing waiting. */
  roundStartedAt = 0;
  roundBytes = 0;
  roundEmptied = false;

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
  #firstLeft: number;
  #laterLeft: number;
  /** Accounts with growth, the longest not renewed first. */
  readonly #accounts = new LinkedList<GrowthAccount>();
  #timer: Timer | null = null;

  constructor(options: GrowthPoolOptions) {
    this.#clock = options.clock;
    this.#maxWindowBytes = options.maxWindowBytes;
    this.#poolBytes = options.poolBytes;
    this.#firstLeft = Math.floor(options.poolBytes / 2);
    this.#laterLeft = options.poolBytes - this.#firstLeft;
  }

  /** Bytes that are not granted. */
  get leftBytes(): number {
    return this.#firstLeft + this.#laterLeft;
  }

  get grantedBytes(): number {
    return this.#poolBytes - this.leftBytes;
  }

  /** The grant for a new stream of `windowBytes`: bytes to add to its window, or 0. */
  open(account: GrowthAccount, windowBytes: number): number {
    const grant = Math.min(Math.floor(this.#firstLeft / 32), this.#maxWindowBytes - windowBytes);
    if (grant < LEAST_GRANT) return 0;
    this.#firstLeft -= grant;
    account.firstBytes += grant;
    this.#renew(account);
    return grant;
  }

  /**
   * A stream consumed bytes. Returns the bytes by which its window should grow now, mostly 0.
   *
   * @param emptied whether nothing waits after these bytes.
   */
  consumed(account: GrowthAccount, bytes: number, windowBytes: number, emptied: boolean, rttMs: number): number {
    account.consumedBytes += bytes;
    account.roundBytes += bytes;
    if (emptied) account.roundEmptied = true;
    if (account.roundBytes < windowBytes) return 0;
    const now = this.#clock.now();
    const deserved = account.roundEmptied && now - account.roundStartedAt <= 2 * (rttMs + TURNAROUND_MS);
    account.roundStartedAt = now;
    account.roundBytes = 0;
    account.roundEmptied = false;
    return deserved ? this.#grow(account, windowBytes) : 0;
  }

  /** Takes all growth of an account back: its stream is over and holds nothing. */
  release(account: GrowthAccount): void {
    this.#firstLeft += account.firstBytes;
    this.#laterLeft += account.laterBytes;
    account.firstBytes = account.laterBytes = 0;
    account.unlink();
  }

  /** Ends the pool's timer. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #grow(account: GrowthAccount, windowBytes: number): number {
    const grant = Math.min(windowBytes, Math.floor(this.#laterLeft / 2), this.#maxWindowBytes - windowBytes);
    if (grant < LEAST_GRANT) return 0;
    this.#laterLeft -= grant;
    account.laterBytes += grant;
    this.#renew(account);
    return grant;
  }

  #renew(account: GrowthAccount): void {
    account.renewedAt = this.#clock.now();
    account.consumedBytes = 0;
    account.unlink();
    this.#accounts.append(account);
    if (this.#timer === null) this.#arm(GROWTH_EXPIRY_MS);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#expire();
    });
  }

  #expire(): void {
    const now = this.#clock.now();
    for (let account = this.#accounts.first; account !== null; account = this.#accounts.first) {
      const left = account.renewedAt + GROWTH_EXPIRY_MS - now;
      if (left > 0) return this.#arm(left);
      this.#withdraw(account, account.bytes - Math.min(account.bytes, account.consumedBytes));
      account.unlink();
      // What was used stays, behind those that were renewed before; its time begins anew.
      if (account.bytes > 0) this.#renew(account);
    }
  }

  #withdraw(account: GrowthAccount, bytes: number): void {
    if (bytes === 0) return;
    const later = Math.min(bytes, account.laterBytes);
    account.laterBytes -= later;
    account.firstBytes -= bytes - later;
    this.#laterLeft += later;
    this.#firstLeft += bytes - later;
    account.window.withdraw(bytes);
  }
}
