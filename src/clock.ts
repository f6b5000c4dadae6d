/**
 * Time, as everything in Runnel sees it: monotonic, and replaceable in tests. A jump of the system's clock moves
 * nothing (`performance.now()`), and a test advances its own clock instead of sleeping.
 */

export interface Timer {
  /** Ends the timer; a second call does nothing. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  now(): number;
  /** Calls `callback` once after `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs) as unknown as { unref?(): void };
    handle.unref?.();
    return { cancel: () => clearTimeout(handle as unknown as number) };
  },
};

/**
 * A timeout that activity pushes back. `touch()` only notes the time, so that it may be called for every chunk; the
 * one timer behind it is set again when it fires early, never at a touch.
 */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #idleMs: number;
  #touchedAt: number;
  #timer: Timer | null = null;

  /** @param idleMs milliseconds without a `touch()` until `onIdle` is called, once; the timer runs from now. */
  constructor(clock: Clock, idleMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#touchedAt = clock.now();
    this.#arm(idleMs);
  }

  touch(): void {
    this.#touchedAt = this.#clock.now();
  }

  /** Starts anew with another length: after `restart(ms)`, idle means `ms` without a touch. */
  restart(idleMs: number): void {
    this.stop();
    this.#idleMs = idleMs;
    this.touch();
    this.#arm(idleMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      const left = this.#touchedAt + this.#idleMs - this.#clock.now();
      if (left > 0) return this.#arm(left);
      this.#timer = null;
      this.#onIdle();
    });
  }
}
