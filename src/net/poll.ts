/** A look at what the system has to tell, before something is done that cannot be undone. */
import { runtime } from "./current_runtime.ts";

export interface PollListener {
  onPolled(): void;
}

let waiting: PollListener[] = [];

/**
 * Calls `listener.onPolled()` once, when the event loop has asked the system for events again: the owners of all sockets
 * know of what had arrived by now, such as a FIN or a reset.
 */
export function afterPoll(listener: PollListener): void {
  waiting.push(listener);
  if (waiting.length === 1) setImmediate(poll);
}

/** At the end of a tick, for all that have asked in it. */
function poll(): void {
  const listeners = waiting;
  waiting = [];
  runtime.afterPoll(() => {
    for (const listener of listeners) listener.onPolled();
  });
}
