/**
 * What leaves: at the end of the turn, everything that was queued goes out in as few messages as hold it, the
 * acknowledgement of what came in riding with it.
 *
 * A turn that handles many streams lets the first of them go ahead: the peer then works on those while this end is at
 * the others. Otherwise the two would take turns, each at rest while the other one is busy.
 */
import type { Clock, Timer } from "../base/mod.ts";
import { FRAME_HEADER_LENGTH, MAX_REASON } from "./wire/mod.ts";
import { ACK_AFTER_MS, Inflight, Receipts } from "./flow/mod.ts";
import type { Link } from "./link.ts";
import { Outbox } from "./outbox.ts";
import { Filled, Scheduler } from "./scheduler.ts";

const LARGEST_GOAWAY = FRAME_HEADER_LENGTH + 8 + MAX_REASON;

/**
 * So many streams do not wait for the turn's end, then twice as many, and so on: the messages of a turn grow as the
 * logarithm of its streams. With 32 clients, an edge and an agent used 82 % of two processors so instead of 71, at the
 * same cost for each request; with 4, more was lost on messages than was won.
 */
const FIRST_AHEAD = 8;

export interface OutgoingOptions {
  link: Link;
  clock: Clock;
  /** Runs a callback at the end of the turn. */
  defer(callback: () => void): void;
  /** After each flush, at the time it was made. */
  onFlushed(now: number): void;
}

export class Outgoing {
  readonly scheduler = new Scheduler();
  readonly inflight = new Inflight();
  readonly receipts = new Receipts();
  readonly #options: OutgoingOptions;
  readonly #out = new Outbox(this.inflight);
  /** Frames of the connection itself: those that go before the streams', and those that go behind them. */
  #first: ((out: Outbox) => void)[] = [];
  #last: ((out: Outbox) => void)[] = [];
  /** Streams that were refused, and with which code: id, code, id, code, and so on. */
  #refused: number[] = [];
  #pong: Uint8Array | null = null;
  #scheduled = false;
  /** How many streams the next message of this turn is made for. */
  #ahead = FIRST_AHEAD;
  #goesAhead = false;
  #stopped = false;
  /** Whether the peer's SETTINGS are here: only then streams may speak. */
  #open = false;
  #linkReady = true;
  /** Whether more waited when the last flush ended, held back by the limits or the link. */
  #busy = false;
  #ackTimer: Timer | null = null;

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** Lets streams speak. */
  open(): void {
    this.#open = true;
    this.wake();
  }

  /** Something waits: flushes at the end of the turn, or after this event where enough of it does. */
  wake(): void {
    if (this.#stopped) return;
    if (this.scheduler.arrivals >= this.#ahead) this.#goAhead();
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.defer(() => {
      this.#scheduled = false;
      this.#ahead = FIRST_AHEAD;
      this.flush();
    });
  }

  /** The link takes bulk again. */
  drained(): void {
    this.#linkReady = true;
    if (!this.scheduler.empty) this.wake();
  }

  settings(pairs: readonly number[]): void {
    this.#first.push((out) => out.settings(pairs));
    this.wake();
  }

  /** Stands behind the resets that caused it. */
  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#last.push((out) => out.goAway(lastStreamId, errorCode, reason));
    this.wake();
  }

  ping(payload: Uint8Array): void {
    this.#first.push((out) => out.ping(payload, false));
    this.wake();
  }

  /** Answers a PING. Only the latest answer waits, so that a flood of PINGs costs one. */
  pong(payload: Uint8Array): void {
    this.#pong = payload;
    this.wake();
  }

  /** Resets a stream that never came to be. */
  refuse(streamId: number, errorCode: number): void {
    this.#refused.push(streamId, errorCode);
    this.wake();
  }

  /** A message was dealt with: acknowledges soon, or now where much is unacknowledged. */
  received(): void {
    if (!this.receipts.pending) return;
    if (this.receipts.due) return this.wake();
    this.#ackTimer ??= this.#options.clock.after(ACK_AFTER_MS, () => {
      this.#ackTimer = null;
      if (this.receipts.pending) this.flush();
    });
  }

  /** Sends what waits, now. */
  flush(): void {
    if (this.#stopped) return;
    const now = this.#options.clock.now();
    this.#sendAll(now);
    this.#options.onFlushed(now);
  }

  /** The event that is being handled may still have something to say of the same streams. */
  #goAhead(): void {
    if (this.#goesAhead) return;
    this.#goesAhead = true;
    queueMicrotask(() => {
      this.#goesAhead = false;
      this.#ahead *= 2;
      if (!this.#stopped) this.#sendAll(this.#options.clock.now());
    });
  }

  #sendAll(now: number): void {
    let filled: Filled = Filled.FULL;
    while (filled === Filled.FULL) {
      this.#out.begin(now, this.#busy);
      filled = this.#fill();
      this.#busy = filled !== Filled.DRAINED;
      this.#send();
    }
    // Before the sockets that this turn wrote to as well: the peer has the longest way to go.
    this.#options.link.flush();
  }

  /** Drops what waits, and sends no more. */
  stop(): void {
    this.#stopped = true;
    this.#ackTimer?.cancel();
    this.#ackTimer = null;
    this.scheduler.clear();
    this.#first = [];
    this.#last = [];
    this.#refused = [];
    this.#pong = null;
  }

  #fill(): Filled {
    const out = this.#out;
    if (this.#first.length > 0) this.#first = writeAll(this.#first, out);
    if (this.#pong !== null) {
      out.ping(this.#pong, true);
      this.#pong = null;
    }
    while (this.#refused.length > 0) {
      if (!out.fits(0)) return Filled.FULL;
      const errorCode = this.#refused.pop()!;
      out.rstStream(this.#refused.pop()!, errorCode, false);
    }
    const filled = this.scheduler.fill(out, this.#open && this.#linkReady);
    if (this.#last.length === 0 || filled === Filled.FULL) return filled;
    if (!out.fits(this.#last.length * LARGEST_GOAWAY)) return Filled.FULL;
    this.#last = writeAll(this.#last, out);
    return filled;
  }

  #send(): void {
    const { receipts } = this;
    if (receipts.pending && (receipts.due || !this.#out.empty || this.#ackTimer === null)) {
      this.#out.ack(receipts.acknowledge());
    }
    if (!this.#out.empty && !this.#options.link.send(this.#out.take())) this.#linkReady = false;
  }
}

/** Writes the frames; nothing is left of them. */
function writeAll(frames: ((out: Outbox) => void)[], out: Outbox): [] {
  for (const write of frames) write(out);
  return [];
}
