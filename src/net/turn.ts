/**
 * The end of the event loop's turn, when every socket that was written to gives its bytes away: one `setImmediate`
 * for all of them, so that a turn that answers a hundred clients schedules once.
 */

export interface Flushable {
  /** Gives away what was gathered. Must not throw: the sockets after it would wait for ever. */
  flush(): void;
}

let waiting: Flushable[] = [];

/** Calls `socket.flush()` once this turn's events have been handled. The caller sees to it that it waits only once. */
export function flushSoon(socket: Flushable): void {
  if (waiting.push(socket) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const turn = waiting;
  waiting = [];
  for (const socket of turn) socket.flush();
}
