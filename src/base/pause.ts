import type { CancelSignal } from "./cancel.ts";
import type { Clock, Timer } from "./clock.ts";

/** Resolves after `ms`, or at once when `signal` aborts. */
export function pause(ms: number, signal: CancelSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let timer: Timer | null = null;
    const done = () => {
      timer?.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", done);
    timer = clock.after(ms, done);
  });
}
