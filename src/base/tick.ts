/**
 * The end of an event-loop tick, when everything gathered during the tick is sent. One `setImmediate` serves all
 * listeners, so that a tick which answers a hundred clients schedules once. The multiplexer fills its message there,
 * and its socket sends that message in the same tick.
 */

export interface TickListener {
  /** The tick's events are handled: send what was gathered. */
  onTickEnd(): void;
}

let waiting: TickListener[] = [];
/** The first of `waiting` that was not called yet. */
let next = 0;
/** Called after all of `waiting`. */
const waitingForSockets: TickListener[] = [];
let isScheduled = false;

/** Calls `listener.onTickEnd()` at the end of this tick, as often as it was registered. */
export function atTickEnd(listener: TickListener): void {
  waiting.push(listener);
  schedule();
}

/** The same for a function. */
export function callAtTickEnd(onTickEnd: () => void): void {
  atTickEnd({ onTickEnd });
}

/** Like `atTickEnd`, but after all of its listeners, when sockets have sent what they gathered. */
export function afterTickEnd(listener: TickListener): void {
  waitingForSockets.push(listener);
  schedule();
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(endTick);
}

function endTick(): void {
  try {
    callUpTo(waiting.length);
    // Listeners that the first ones registered, such as the sockets that they wrote to. What these register waits for
    // the next tick, so that I/O is served in between.
    callUpTo(waiting.length);
    for (let left = waitingForSockets.length; left > 0; left--) waitingForSockets.shift()!.onTickEnd();
  } finally {
    waiting = waiting.slice(next);
    next = 0;
    isScheduled = false;
    if (waiting.length + waitingForSockets.length > 0) schedule();
  }
}

function callUpTo(end: number): void {
  while (next < end) waiting[next++].onTickEnd();
}
