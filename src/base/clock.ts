/** Time, as everything in Runnel sees it: monotonic, and replaceable by a fake clock in tests. */

export interface Timer {
  /** Ends the timer. A second call does nothing. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. A jump of the system's clock changes nothing. */
  now(): number;
  /**
   * Calls `callback` once after `delayMs`, however long that is. A pending timer does not keep the process alive
   * (`holdProcess` does).
   */
  after(delayMs: number, callback: () => void): Timer;
}

/** The longest delay that the runtimes' timers take. A longer one makes them fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    return delayMs > MAX_TIMER_MS ? longTimer(delayMs, callback) : timer(delayMs, callback);
  },
};

function timer(delayMs: number, callback: () => void): Timer {
  const handle = setTimeout(callback, delayMs) as unknown as { unref?(): void };
  handle.unref?.();
  return { cancel: () => clearTimeout(handle as unknown as number) };
}

/** One timer of the runtime after the other. */
function longTimer(delayMs: number, callback: () => void): Timer {
  let current = timer(MAX_TIMER_MS, () => current = systemClock.after(delayMs - MAX_TIMER_MS, callback));
  return { cancel: () => current.cancel() };
}
