/**
 * How a program ends. At the first SIGTERM or Ctrl-C it finishes what runs; a second one, or a timeout, ends it at once.
 */
import { type Clock, systemClock } from "../base/mod.ts";
import { holdProcess, type SignalName } from "../net/mod.ts";
import type { ProgramHost } from "./host.ts";

/** What is stopped: an agent or an edge. */
export interface Stoppable {
  /** Takes nothing new. Resolves when everything that runs has finished, however long that takes. */
  drain(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void> | void;
}

export interface StopOptions {
  host: Pick<ProgramHost, "onSignal">;
  /** Milliseconds after which draining is ended by `close()`. */
  drainMs: number;
  /** Called at the first signal. */
  onDrain?: () => void;
  /** Settles when the subject ends by itself. Default: it never does. `untilStopped` passes its rejection on. */
  finished?: Promise<unknown>;
  clock?: Clock;
}

/**
 * Resolves when `subject` has stopped after a signal, or has ended by itself. The process stays alive until then.
 * Rejects with what draining or closing rejects with.
 */
export async function untilStopped(subject: Stoppable, options: StopOptions): Promise<void> {
  const { host, drainMs, finished = new Promise(() => {}), clock = systemClock } = options;
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  const closeNow = () => {
    Promise.resolve(subject.close()).then(stopped.resolve, stopped.reject);
  };
  const onStop = () => {
    if (++signals > 1) return closeNow();
    options.onDrain?.();
    const timer = clock.after(drainMs, closeNow);
    subject.drain().then(stopped.resolve, stopped.reject).finally(() => timer.cancel());
  };
  const endHold = holdProcess();
  const names: readonly SignalName[] = ["SIGINT", "SIGTERM"];
  const subscriptions = names.map((name) => host.onSignal(name, onStop));
  try {
    await Promise.race([stopped.promise, finished]);
    if (signals > 0) await stopped.promise;
  } finally {
    for (const unsubscribe of subscriptions) unsubscribe();
    endHold();
  }
}
