/**
 * How a program ends. At the first SIGTERM or Ctrl-C it finishes what runs; a second one, or a timeout, ends it at once.
 */
import { type Clock, systemClock, type Timer } from "../base/mod.ts";
import { holdProcess, type SignalName } from "../net/mod.ts";
import { formatDuration } from "./figures.ts";
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
  /** Asked when `drainMs` have passed: milliseconds that draining may take in all, if that is longer. Default: no longer. */
  longerMs?: () => Promise<number>;
  /** Called at the first signal. */
  onDrain?: () => void;
  /** Called once, before `close()` ends what still runs. @param givenMs milliseconds that it was given */
  onEarlyEnd?: (by: EarlyEnd, givenMs: number) => void;
  /** Settles when the subject ends by itself. Default: it never does. `untilStopped` passes its rejection on. */
  finished?: Promise<unknown>;
  clock?: Clock;
}

/** What ended a drain before its time: a second signal, or the timeout of the drain. */
export type EarlyEnd = "signal" | "timeout";

/**
 * What a person is told at the first signal, the longest sentence first: a narrow window shows a shorter one.
 *
 * @param count requests under way
 * @param drainMs milliseconds that they may take
 */
export function waitingSentences(count: number, drainMs: number): readonly [string, ...string[]] {
  if (count === 0) return ["Stopping: no request is under way", "Stopping"];
  const [requests, them] = count === 1 ? ["request", "it"] : ["requests", "them"];
  return [
    `Waiting for ${count} ${requests}, at most ${drainTime(drainMs)}; Ctrl-C again ends ${them}`,
    `Waiting for ${count} ${requests}; Ctrl-C again ends ${them}`,
    `Waiting for ${count}; Ctrl-C ends ${them}`,
    `${count} open; Ctrl-C ends`,
  ];
}

/**
 * What a person is told when a drain is over before all has ended, the longest sentence first.
 *
 * @param count requests that were under way
 * @param drainMs milliseconds that they were given
 */
export function earlyEndSentences(count: number, by: EarlyEnd, drainMs: number): readonly [string, ...string[]] {
  if (count === 0) return ["Ended at once: no request was under way", "Ended"];
  const ended = `Ended ${count} ${count === 1 ? "request" : "requests"}`;
  return [`${ended} under way, ${earlyEndReason(by, drainMs)}`, ended, `Ended ${count}`];
}

/** Goes on after what was ended. */
export function earlyEndReason(by: EarlyEnd, drainMs: number): string {
  return by === "signal" ? "at the second signal" : `after ${drainTime(drainMs)} of waiting`;
}

function drainTime(drainMs: number): string {
  const isSeconds = drainMs % 1000 === 0 && drainMs < 60_000;
  return isSeconds ? `${drainMs / 1000} s` : formatDuration(drainMs);
}

/**
 * Resolves when `subject` has stopped after a signal, or has ended by itself. The process stays alive until then.
 * Rejects with what draining or closing rejects with.
 */
export async function untilStopped(subject: Stoppable, options: StopOptions): Promise<void> {
  const { host, drainMs, finished = new Promise(() => {}), clock = systemClock } = options;
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  let hasEndedEarly = false;
  let givenMs = drainMs;
  let timer: Timer | null = null;
  const closeNow = (by: EarlyEnd) => {
    if (!hasEndedEarly) options.onEarlyEnd?.(by, givenMs);
    hasEndedEarly = true;
    Promise.resolve(subject.close()).then(stopped.resolve, stopped.reject);
  };
  let hasDrained = false;
  const onTimeout = async () => {
    givenMs = Math.max(drainMs, await options.longerMs?.() ?? 0);
    if (givenMs === drainMs) closeNow("timeout");
    else if (!hasDrained) timer = clock.after(givenMs - drainMs, () => closeNow("timeout"));
  };
  const onStop = () => {
    if (++signals > 1) return closeNow("signal");
    options.onDrain?.();
    timer = clock.after(drainMs, () => void onTimeout());
    // `close()` ends what drains, too, and has more to do.
    subject.drain().then(() => hasEndedEarly || stopped.resolve(), stopped.reject).finally(() => {
      hasDrained = true;
      timer?.cancel();
    });
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
