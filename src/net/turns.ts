/**
 * Work is shared among sockets. An iteration of the event loop takes as long as the work of all reads that it brings,
 * and a neighbor's request waits for it. Most reads are cheap, and are handled as they come. Some are dear for their
 * length: chunks of one byte, empty frames, pings. Once so much was done, `UNITS_PER_ITERATION`, the system is polled:
 * what comes before that waits for a turn, and its socket is not read meanwhile. (Deno polls seldom while there are
 * immediates, and reads a socket again and again that has bytes.)
 *
 *     read ── cheap socket, and the units are not spent ──▶ owner
 *       └──── else: held ──▶ queue of the cheap, then queue of the dear ── a part ──▶ owner
 *                                  ▲                        ▲                │
 *                                  └────────────────────────┴─ more is held ─┘
 *
 * Cheap sockets pay two comparisons a read. The queues are served once an iteration, behind the poll of the system.
 */
import { work } from "../base/mod.ts";
import { runtime } from "./current_runtime.ts";

/** Done in an iteration, and once more of what was held: some 1 to 2 ms each. A tenth of it is a socket's turn at most. */
export const UNITS_PER_ITERATION = 64 * 1024;
/** A read up to here is cheap, whatever its length: some 40 us. */
export const CHEAP_UNITS = 2 * 1024;
/** What the bytes themselves cost, of which most are copied once or twice. */
export const BYTES_PER_COPY_UNIT = 128;
/** So many bytes allow one more: 4 KiB chunks in 64 KiB reads cost a tenth of that. */
const BYTES_PER_UNIT = 16;
/** From a dear read of so many units on, its socket waits for turns. Many streams may share one, such as an agent's. */
const DEAR_UNITS = 8 * 1024;
/** What a turn itself costs. */
const UNITS_PER_TURN = 64;
/** Dear sockets that may begin to read in one iteration. Each may bring 512 KiB, which is then held. */
const RESUMES_PER_ITERATION = 16;
/** They begin to read while no more is held; from the second on, reads of cheap sockets are handled at once. */
const RESUME_BELOW_BYTES = 8 * 1024 * 1024;
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Something that does its work part by part. */
export interface TurnTaker {
  /** Does a part, and adds to `work.units` what it costs. Returns where it waits with what is left. */
  takeTurn(): Queue;
}

/** Where a taker waits. */
export const Queue = { NONE: 0, CHEAP: 1, DEAR: 2 } as const;
export type Queue = typeof Queue[keyof typeof Queue];

class Turns {
  /** What reads have cost since the last run. The first one that is held, because it is too much, causes a run. */
  spentUnits = 0;
  /** Bytes of all reads that are held. */
  heldBytes = 0;
  #cheap: TurnTaker[] = [];
  #dear: TurnTaker[] = [];
  #resumesLeft = RESUMES_PER_ITERATION;
  #isScheduled = false;

  /** Waits for a turn. To be called once until `takeTurn` returns `NONE`. */
  wait(taker: TurnTaker, queue: Queue): void {
    if (queue !== Queue.NONE) (queue === Queue.CHEAP ? this.#cheap : this.#dear).push(taker);
    this.#schedule();
  }

  /**
   * A read of `bytes` bytes cost `units`, more than `CHEAP_UNITS`. Returns up to which `spentUnits` the next read of its
   * socket is handled at once.
   */
  account(units: number, bytes: number): number {
    this.spentUnits += units;
    return isCheap(units, bytes) || units < DEAR_UNITS ? UNITS_PER_ITERATION : 0;
  }

  /** Whether one more read may be held. */
  get canHold(): boolean {
    return this.heldBytes < MAX_HELD_BYTES;
  }

  /** Whether a dear socket whose reads were all handled may read on. */
  takeResume(): boolean {
    if (this.#resumesLeft === 0 || this.heldBytes >= RESUME_BELOW_BYTES) return false;
    this.#resumesLeft--;
    return true;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#cheap.length + this.#dear.length === 0) return;
    this.#isScheduled = true;
    runtime.afterNextPoll(() => this.#run());
  }

  #run(): void {
    this.spentUnits = 0;
    this.#resumesLeft = RESUMES_PER_ITERATION;
    try {
      this.#serve(this.#cheap);
      this.#serve(this.#dear);
    } finally {
      this.#isScheduled = false;
      // What is read until the next run has units of its own.
      this.spentUnits = 0;
      this.#schedule();
    }
  }

  /** Serves one at least, so that none of the two queues starves. */
  #serve(queue: TurnTaker[]): void {
    let next = 0;
    try {
      do {
        if (next === queue.length) break;
        const taker = queue[next++];
        work.units = 0;
        this.wait(taker, taker.takeTurn());
        this.spentUnits += work.units + UNITS_PER_TURN;
      } while (this.spentUnits < UNITS_PER_ITERATION);
    } finally {
      queue.splice(0, next);
    }
  }
}

/** Of the process: all sockets share one event loop. */
export const turns = new Turns();

/** Bytes of reads that all sockets of the process hold until their turns come. */
export function heldReadBytes(): number {
  return turns.heldBytes;
}

/** Whether a read of `bytes` bytes that cost `units` is cheap for its length. */
export function isCheap(units: number, bytes: number): boolean {
  return units <= CHEAP_UNITS + bytes / BYTES_PER_UNIT;
}

/** Waits for a turn among the dear reads: for work that an owner of a socket has put off. */
export function waitForTurn(taker: TurnTaker): void {
  turns.wait(taker, Queue.DEAR);
}
