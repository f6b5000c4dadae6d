/**
 * The end of the event loop's turn, when what was gathered in it leaves: one `setImmediate` for all, so that a turn that
 * answers a hundred clients schedules once. A multiplexer fills its message then, and its socket sends that in the same
 * turn: with an immediate for each of them, a small request would cost each side one more round of the loop.
 */

export interface TurnListener {
  /** The turn's events have been handled: gives away what was gathered in it. */
  onTurnEnd(): void;
}

let waiting: TurnListener[] = [];
let next = 0;

/** Calls `listener.onTurnEnd()` once. The caller sees to it that it waits only once. */
export function hearTurnEnd(listener: TurnListener): void {
  if (waiting.push(listener) === 1) setImmediate(endTurn);
}

/** The same for a call. */
export function atTurnEnd(onTurnEnd: () => void): void {
  hearTurnEnd({ onTurnEnd });
}

function endTurn(): void {
  try {
    tellUpTo(waiting.length);
    // Those that were written to just now. What comes after them waits for a turn: I/O must have one in between.
    tellUpTo(waiting.length);
  } finally {
    waiting = waiting.slice(next);
    next = 0;
    if (waiting.length > 0) setImmediate(endTurn);
  }
}

function tellUpTo(end: number): void {
  while (next < end) waiting[next++].onTurnEnd();
}
