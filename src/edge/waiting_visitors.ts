/**
 * Visitors who wait for a tunnel whose agent is expected back, one queue a tunnel. Without them a page that comes back
 * while its agent does would be told 503, and an EventSource takes that for the end.
 */
import { type CancelSignal, type Clock, systemClock, Timeout } from "../base/mod.ts";

export interface WaitingVisitorsOptions {
  clock?: Clock;
  /** Milliseconds that one waits at most. 0: nobody waits. Default 10,000. */
  waitMs?: number;
  /** Visitors who may wait for one tunnel at one time. Default 256. */
  maxPerTunnel?: number;
}

export const DEFAULT_RESUME_WAIT_MS = 10_000;
const DEFAULT_MAX_PER_TUNNEL = 256;

export class WaitingVisitors {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #maxPerTunnel: number;
  readonly #queues = new Map<string, Set<Waiter>>();
  #isClosed = false;

  constructor(options: WaitingVisitorsOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#waitMs = options.waitMs ?? DEFAULT_RESUME_WAIT_MS;
    this.#maxPerTunnel = options.maxPerTunnel ?? DEFAULT_MAX_PER_TUNNEL;
  }

  /** Visitors who wait now, for all tunnels together. */
  get size(): number {
    let size = 0;
    for (const queue of this.#queues.values()) size += queue.size;
    return size;
  }

  /**
   * Waits until `wake(tunnel)`: true, and the tunnel is to be looked at again. False at once where as many wait already,
   * and behind `close()`; else when the time is over, or `signal` aborts. Never rejects.
   */
  wait(tunnel: string, signal: CancelSignal): Promise<boolean> {
    const queue = this.#queues.get(tunnel) ?? new Set<Waiter>();
    const hasRoom = !this.#isClosed && this.#waitMs > 0 && queue.size < this.#maxPerTunnel;
    if (!hasRoom || signal.aborted) return Promise.resolve(false);
    this.#queues.set(tunnel, queue);
    return new Promise((resolve) => {
      const waiter = new Waiter(this.#clock, signal, (isServed) => {
        queue.delete(waiter);
        if (queue.size === 0 && this.#queues.get(tunnel) === queue) this.#queues.delete(tunnel);
        resolve(isServed);
      });
      queue.add(waiter);
      waiter.start(this.#waitMs);
    });
  }

  /** The tunnel can be served: all who wait for it go on. */
  wake(tunnel: string): void {
    this.#end(tunnel, true);
  }

  /** Ends the waiting of all, who are not served. Nobody waits afterwards. */
  close(): void {
    this.#isClosed = true;
    for (const tunnel of [...this.#queues.keys()]) this.#end(tunnel, false);
  }

  #end(tunnel: string, isServed: boolean): void {
    const queue = this.#queues.get(tunnel);
    if (queue === undefined) return;
    this.#queues.delete(tunnel);
    for (const waiter of [...queue]) waiter.end(isServed);
  }
}

/** One visitor: until it is woken, its time is over, or it leaves. */
class Waiter {
  readonly #signal: CancelSignal;
  readonly #timeout: Timeout;
  readonly #onEnd: (isServed: boolean) => void;

  constructor(clock: Clock, signal: CancelSignal, onEnd: (isServed: boolean) => void) {
    this.#signal = signal;
    this.#onEnd = onEnd;
    this.#timeout = new Timeout(clock, this);
  }

  start(waitMs: number): void {
    if (waitMs !== Infinity) this.#timeout.start(waitMs);
    this.#signal.addEventListener("abort", this);
  }

  /** The visitor has left. */
  handleEvent(): void {
    this.end(false);
  }

  handleTimeout(): void {
    this.end(false);
  }

  end(isServed: boolean): void {
    this.#timeout.close();
    this.#signal.removeEventListener("abort", this);
    this.#onEnd(isServed);
  }
}
