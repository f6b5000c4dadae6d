/**
 * The kernel takes few unsent bytes for a socket (tcp_options.ts), which costs a peer that reads fast 7 % more processor
 * time: its sender is woken more often. So a few such peers at a time are let off, until they are slow for once.
 */
import type { Clock } from "../base/mod.ts";

/** Taken without a pause: more than a peer's system takes while nobody reads. */
const FAST_BYTES = 16 * 1024 * 1024;
/** A wait that is a pause. */
const SLOW_MS = 100;
/** One that stops to read may then pin 4 MB, the most that the system allows. */
export const MAX_UNBOUNDED = 16;

let unbounded = 0;

export class UnsentBound {
  readonly #setBound: (isOn: boolean) => void;
  readonly #clock: Clock;
  /** Taken since the last pause. */
  #bytes = 0;
  /** Null while the kernel has room. */
  #waitsSince: number | null = null;
  #isOff = false;

  /** @param setBound sets the bound, which is on at first (`setUnsentBound`) */
  constructor(setBound: (isOn: boolean) => void, clock: Clock) {
    this.#setBound = setBound;
    this.#clock = clock;
  }

  /** Written, or about to be. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The kernel has no room. */
  wait(): void {
    this.#waitsSince = this.#clock.now();
  }

  /** It has room. */
  endWait(): void {
    if (this.#waitsSince === null) return;
    const waited = this.#clock.now() - this.#waitsSince;
    this.#waitsSince = null;
    if (waited >= SLOW_MS) {
      this.#bytes = 0;
      this.#set(false);
    } else if (!this.#isOff && this.#bytes >= FAST_BYTES && unbounded < MAX_UNBOUNDED) {
      this.#set(true);
    }
  }

  /** The socket is over. */
  close(): void {
    if (this.#isOff) unbounded--;
    this.#isOff = false;
  }

  #set(isOff: boolean): void {
    if (isOff === this.#isOff) return;
    this.#isOff = isOff;
    unbounded += isOff ? 1 : -1;
    this.#setBound(!isOff);
  }
}
