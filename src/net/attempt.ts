/** A step of dialing (a connect, a handshake) that is limited by a time and by its caller's signal. */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { aborted, timedOut } from "./failure.ts";

export interface AttemptOptions {
  /** What an error says has failed, such as "Cannot connect to 127.0.0.1:3000". */
  readonly action: string;
  /** Milliseconds from `startedAt`. */
  readonly timeoutMs: number;
  /** When the whole dial began, on the clock. Default: now. */
  readonly startedAt?: number;
  readonly signal?: AbortSignal;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Ends what the attempt has begun. Called once, where it fails, before its promise rejects. */
  cleanUp(): void;
  /** The error when the time is over. Default: a `SocketError` with the code `connect_timeout`. */
  timeoutError?(): Error;
}

/**
 * Calls `start`, whose result is the first call of `resolve` or `reject`. Where `start` throws, `signal` aborts (a
 * `SocketError` with the code `aborted`) or the time is over before, the attempt has failed. `start` is not called
 * where `signal` has aborted already.
 */
export function attempt<T>(
  options: AttemptOptions,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  const { action, timeoutMs, signal, clock = systemClock, startedAt = clock.now() } = options;
  return new Promise((resolve, reject) => {
    let isOver = false;
    let timer: Timer | null = null;

    function finish(): void {
      isOver = true;
      timer?.cancel();
      signal?.removeEventListener("abort", onAbort);
    }
    function succeed(value: T): void {
      if (isOver) return;
      finish();
      resolve(value);
    }
    function fail(error: unknown): void {
      if (isOver) return;
      finish();
      options.cleanUp();
      reject(error);
    }
    function onAbort(): void {
      fail(aborted(action, signal as AbortSignal));
    }

    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort);
    const leftMs = Math.max(0, startedAt + timeoutMs - clock.now());
    timer = clock.after(leftMs, () => fail(options.timeoutError?.() ?? timedOut(action, timeoutMs)));
    try {
      start(succeed, fail);
    } catch (error) {
      fail(error);
    }
  });
}
