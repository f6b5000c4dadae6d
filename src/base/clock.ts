/** Time, as everything in Runnel sees it: monotonic, and replaceable by a fake clock in tests. */

export interface Timer {
  /** Ends the timer. A second call does nothing. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. A jump of the system's clock changes nothing. */
  now(): number;
  /** Calls `callback` once after `delayMs`. A pending timer does not keep the process alive (`holdProcess` does). */
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
