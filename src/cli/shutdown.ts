/** How a program ends: the first SIGTERM or Ctrl-C lets things finish, a second one, or too long a wait, does not. */
import { type Clock, systemClock } from "../base/mod.ts";
import { holdProcess, type SignalName } from "../net/mod.ts";
import type { ProgramHost } from "./host.ts";

export interface Stoppable {
  /** Finishes what runs; may take as long as that takes. */
  drain(): Promise<void>;
  /** Ends it all now. */
  close(): Promise<void> | void;
}

export interface StopOptions {
  host: Pick<ProgramHost, "onSignal">;
  /** Milliseconds that draining may take until it is cut short. */
  drainMs: number;
  /** Called once, when the first signal has come. */
  onDrain?: () => void;
  /** Settles when the subject ended by itself; what it rejects with, `untilStopped` rejects with. */
  finished?: Promise<unknown>;
  clock?: Clock;
}

/**
 * Resolves when `subject` has stopped after a signal, or has finished by itself; keeps the process alive until then.
 * Rejects with what draining or closing rejects with.
 */
export async function untilStopped(subject: Stoppable, options: StopOptions): Promise<void> {
  const { host, drainMs, finished = new Promise(() => {}), clock = systemClock } = options;
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  const cutShort = () => {
    Promise.resolve(subject.close()).then(stopped.resolve, stopped.reject);
  };
  const onStop = () => {
    if (++signals > 1) return cutShort();
    options.onDrain?.();
    const timer = clock.after(drainMs, cutShort);
    subject.drain().then(stopped.resolve, stopped.reject).finally(() => timer.cancel());
  };
  const release = holdProcess();
  const names: readonly SignalName[] = ["SIGINT", "SIGTERM"];
  const subscriptions = names.map((name) => host.onSignal(name, onStop));
  try {
    await Promise.race([stopped.promise, finished]);
    if (signals > 0) await stopped.promise;
  } finally {
    for (const unsubscribe of subscriptions) unsubscribe();
    release();
  }
}
