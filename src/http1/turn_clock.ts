/**
 * Time for what is done with every exchange and looked at hardly ever: deadlines, how long a connection was idle. As
 * the event loop does for its own timers, it is read once a turn; to ask the system takes 40 to 90 ns each time.
 */
import { type Clock, systemClock, type Timer } from "../clock.ts";
import { hearTurnEnd, type TurnListener } from "../net/turn.ts";

/** `clock`, whose time stands still within a turn: it is behind by what the turn has taken so far. */
export class TurnClock implements Clock, TurnListener {
  readonly #clock: Clock;
  #time = 0;
  #isCurrent = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    if (!this.#isCurrent) {
      this.#time = this.#clock.now();
      this.#isCurrent = true;
      hearTurnEnd(this);
    }
    return this.#time;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, callback);
  }

  onTurnEnd(): void {
    this.#isCurrent = false;
  }
}

const turnClock = new TurnClock(systemClock);

/** The system's clock as a `TurnClock`; any other as it is, since tests move theirs within a turn. */
export function perTurn(clock: Clock): Clock {
  return clock === systemClock ? turnClock : clock;
}
