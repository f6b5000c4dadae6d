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
/** Those whom nobody outside waits for. */
const patient: TurnListener[] = [];
let scheduled = false;

/** Calls `listener.onTurnEnd()` once. The caller sees to it that it waits only once. */
export function hearTurnEnd(listener: TurnListener): void {
  waiting.push(listener);
  schedule();
}

/** The same for a call. */
export function atTurnEnd(onTurnEnd: () => void): void {
  hearTurnEnd({ onTurnEnd });
}

/** Like `hearTurnEnd`, but when all the others were called and what they gave away has left. */
export function hearTurnOver(listener: TurnListener): void {
  patient.push(listener);
  schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(endTurn);
}

function endTurn(): void {
  try {
    tellUpTo(waiting.length);
    // Those that were written to just now. What comes after them waits for a turn: I/O must have one in between.
    tellUpTo(waiting.length);
    for (let left = patient.length; left > 0; left--) patient.shift()!.onTurnEnd();
  } finally {
    waiting = waiting.slice(next);
    next = 0;
    scheduled = false;
    if (waiting.length + patient.length > 0) schedule();
  }
}

function tellUpTo(end: number): void {
  while (next < end) waiting[next++].onTurnEnd();
}
