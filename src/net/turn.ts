/**
 * The end of the event loop's turn, when what was gathered in it leaves: one `setImmediate` for all, so that a turn that
 * answers a hundred clients schedules once. A multiplexer fills its message then, and its socket sends that in the same
 * turn: with an immediate for each of them, a small request would cost each side one more round of the loop.
 */

export interface Flushable {
  /** Gives away what was gathered. */
  flush(): void;
}

let waiting: Flushable[] = [];
let next = 0;

/** Calls `item.flush()` once this turn's events have been handled. The caller sees to it that it waits only once. */
export function flushSoon(item: Flushable): void {
  if (waiting.push(item) === 1) setImmediate(flushAll);
}

/** The same for a call. */
export function atTurnEnd(flush: () => void): void {
  flushSoon({ flush });
}

function flushAll(): void {
  try {
    flushUpTo(waiting.length);
    // Those that were written to just now. What comes after them waits for a turn: I/O must have one in between.
    flushUpTo(waiting.length);
  } finally {
    waiting = waiting.slice(next);
    next = 0;
    if (waiting.length > 0) setImmediate(flushAll);
  }
}

function flushUpTo(end: number): void {
  while (next < end) waiting[next++].flush();
}
