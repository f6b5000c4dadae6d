/**
 * The end of an event-loop tick, when everything gathered during the tick is sent. One `setImmediate` serves all
 * listeners, so a tick that answers a hundred clients schedules once. The multiplexer fills its message there, and its
 * socket sends that message in the same tick.
 */

export interface TickListener {
  /** The tick's events are handled: send what was gathered. */
  onTickEnd(): void;
}

let waiting: TickListener[] = [];
let next = 0;
/** Called after all of `waiting`. */
const afterwards: TickListener[] = [];
let scheduled = false;

/** Calls `listener.onTickEnd()` once at the end of this tick. The caller must not register twice for one tick. */
export function atTickEnd(listener: TickListener): void {
  waiting.push(listener);
  schedule();
}

/** The same for a function. */
export function callAtTickEnd(onTickEnd: () => void): void {
  atTickEnd({ onTickEnd });
}

/** Like `atTickEnd`, but after all of those, when sockets have sent what they gathered. */
export function afterTickEnd(listener: TickListener): void {
  afterwards.push(listener);
  schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(endTick);
}

function endTick(): void {
  try {
    callUpTo(waiting.length);
    // Listeners that the first ones registered, such as sockets they wrote to. Later ones wait for the next tick, so
    // that I/O has its turn in between.
    callUpTo(waiting.length);
    for (let left = afterwards.length; left > 0; left--) afterwards.shift()!.onTickEnd();
  } finally {
    waiting = waiting.slice(next);
    next = 0;
    scheduled = false;
    if (waiting.length + afterwards.length > 0) schedule();
  }
}

function callUpTo(end: number): void {
  while (next < end) waiting[next++].onTickEnd();
}
