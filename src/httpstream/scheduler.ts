/**
 * Which frame leaves next. Three lanes, the first one first:
 *
 *     control   RST_STREAM, STOP_SENDING, WINDOW_UPDATE of any stream: never behind DATA
 *     heads     HEADERS, in the order in which they were asked for: so streams open in the order of their ids
 *     data      DATA, fair by bytes: deficit round robin (Shreedhar and Varghese) with a quantum of 16 KiB. A stream
 *               that just came is served first, for one quantum, as in FQ-CoDel (RFC 8290 §4.2): what is small does not
 *               wait for bulk. All that just came get four quanta together before one that waits has its turn.
 *
 * A whole body that is small rides right behind its head, so that a small answer is one message for its receiver; where
 * other DATA waits, such bodies together get the quantum of one stream before their turn. While the path is probed (see
 * rate.ts), bulk waits until the queue on it is gone; one quantum of each stream need not.
 *
 * A stream stands in the lane of its next frame, and in the control lane besides. So its HEADERS, DATA and trailers
 * keep their order without a queue of frames: what waits is the stream's own knowledge until the moment it leaves.
 */
import { LinkedList, ListNode } from "../base/mod.ts";
import { type Outbox, QUANTUM } from "./outbox.ts";

/** What senders that just came to the data lane may send before one that waits has its turn. */
const FRESH_SHARE = 4 * QUANTUM;

/** What a sender's next frame is: its lane. */
export const Want = { NOTHING: 0, HEAD: 1, DATA: 2 } as const;
export type Want = typeof Want[keyof typeof Want];

/** A stream, as the scheduler sees it. */
export interface Sender {
  /** The next frame's kind, as it is now. */
  readonly want: Want;
  /** Bytes of the next head's block. */
  readonly headBytes: number;
  /** Waiting bytes that the window allows; 0 where only the end waits. */
  readonly dataBytes: number;
  /** Bytes of the whole body that follows the next head and ends the stream; 0 where it is not known or not allowed. */
  readonly wholeBytes: number;
  /** Writes what control waits, or nothing. */
  writeControl(out: Outbox): void;
  /** Writes the next head, and behind the one that opens the stream its control. */
  writeHead(out: Outbox): void;
  /** Writes one DATA frame of at most `most` bytes; returns how many. */
  writeData(out: Outbox, most: number): number;
  /** The scheduler's own notes. */
  readonly slot: SchedulerSlot;
}

/** What the scheduler notes on a sender. */
export class SchedulerSlot extends ListNode<SchedulerSlot> {
  readonly sender: Sender;
  wants: Want = Want.NOTHING;
  /** Whether the sender stands in the control lane. */
  control = false;
  /** Whether the sender has not used up a quantum since it came to the data lane. */
  fresh = false;
  /** Bytes that the sender may still send in its present visit. */
  deficit = 0;
  /** The last probe of the path in which the sender sent past the probe's limit, and how much. */
  probe = 0;
  probeBytes = 0;

  constructor(sender: Sender) {
    super();
    this.sender = sender;
  }
}

/** Why `fill` came back. */
export const Filled = {
  /** Nothing more waits that the streams' windows allow. */
  DRAINED: 0,
  /** The message is full, and more could leave. */
  FULL: 1,
  /** More waits, held back by what is under way. */
  HELD: 2,
} as const;
export type Filled = typeof Filled[keyof typeof Filled];

export class Scheduler {
  /** An array, since nobody leaves it from the middle; each stands in it once. */
  #control: Sender[] = [];
  readonly #heads = new LinkedList<SchedulerSlot>();
  /** The data lane: those that just came, and those that wait for their next turn. */
  readonly #fresh = new LinkedList<SchedulerSlot>();
  readonly #data = new LinkedList<SchedulerSlot>();
  /** Senders that came to a lane since the last message was filled. */
  #arrivals = 0;
  /** Bytes that fresh senders sent since another one had its turn. */
  #freshBytes = 0;

  /** Whether no stream has anything that could leave, whatever the limits. */
  get empty(): boolean {
    return this.#control.length + this.#heads.size + this.#dataSize === 0;
  }

  get arrivals(): number {
    return this.#arrivals;
  }

  /** A sender has control frames to write. */
  control(sender: Sender): void {
    if (!sender.slot.control) this.#control.push(sender);
    sender.slot.control = true;
  }

  /** A sender's next frame may have changed: moves it to the lane of what it wants, at the end. */
  update(sender: Sender): void {
    const { slot, want } = sender;
    if (slot.wants === want) return;
    this.#leave(slot);
    slot.wants = want;
    if (want !== Want.NOTHING) this.#arrivals++;
    if (want === Want.HEAD) this.#heads.append(slot);
    else if (want === Want.DATA) this.#fresh.append(slot);
    slot.fresh = want === Want.DATA;
  }

  /** A sender is gone, with all that it wanted but its control frames. */
  forget(sender: Sender): void {
    this.#leave(sender.slot);
    sender.slot.wants = Want.NOTHING;
  }

  /** Forgets all. */
  clear(): void {
    for (const { slot } of this.#control) slot.control = false;
    this.#control = [];
    this.#heads.clear();
    this.#fresh.clear();
    this.#data.clear();
  }

  /** Fills the message. Without `bulk` (the link is not ready, or the peer has not spoken yet) by control alone. */
  fill(out: Outbox, bulk: boolean): Filled {
    this.#arrivals = 0;
    if (this.#control.length > 0 && !this.#fillControl(out)) return Filled.FULL;
    if (!bulk) return this.#heads.size + this.#dataSize > 0 ? Filled.HELD : Filled.DRAINED;
    const heads = this.#fillHeads(out);
    if (heads === Filled.FULL) return heads;
    const data = this.#fillData(out);
    // Trailers that follow the last DATA are heads again.
    const trailers = this.#heads.size > 0 && heads === Filled.DRAINED ? this.#fillHeads(out) : heads;
    return data === Filled.DRAINED ? trailers : data;
  }

  /** Returns false where the message is full before all had their turn. */
  #fillControl(out: Outbox): boolean {
    const senders = this.#control;
    let told = 0;
    while (told < senders.length && out.fits(0)) {
      const sender = senders[told++];
      sender.slot.control = false;
      sender.writeControl(out);
    }
    this.#control = senders.slice(told);
    return told === senders.length;
  }

  #fillHeads(out: Outbox): Filled {
    let allowance = this.#dataSize === 0 ? Infinity : QUANTUM;
    for (let slot = this.#heads.first; slot !== null; slot = this.#heads.first) {
      const { sender } = slot;
      do {
        if (!out.inflight.headersFit(sender.headBytes)) return Filled.HELD;
        const body = ridingBytes(sender, out, allowance);
        if (!out.fits(sender.headBytes) || (body > 0 && !out.fitsWhole(sender.headBytes, body))) return Filled.FULL;
        sender.writeHead(out);
        allowance -= body;
        for (let left = body; left > 0;) left -= sender.writeData(out, left);
      } while (sender.want === Want.HEAD);
      this.update(sender);
    }
    return Filled.DRAINED;
  }

  #fillData(out: Outbox): Filled {
    for (let sender = this.#nextData(); sender !== null; sender = this.#nextData()) {
      const { slot } = sender;
      if (slot.deficit <= 0) slot.deficit += this.#dataSize === 1 ? out.largestData : QUANTUM;
      const wanted = Math.min(sender.dataBytes, slot.deficit, out.largestData);
      if (wanted > out.inflight.dataRoom) return this.#fillDuringProbe(out);
      if (wanted > out.dataLeft) return Filled.FULL;
      const sent = sender.writeData(out, wanted);
      slot.deficit -= sent;
      this.#freshBytes = slot.fresh ? this.#freshBytes + sent : 0;
      if (sender.want !== Want.DATA) this.update(sender);
      else if (slot.deficit <= 0) this.#rotate(slot);
    }
    return Filled.DRAINED;
  }

  #nextData(): Sender | null {
    const fresh = this.#fresh.size > 0 && (this.#data.size === 0 || this.#freshBytes < FRESH_SHARE);
    return (fresh ? this.#fresh : this.#data).first?.sender ?? null;
  }

  /** DATA is held back; where by a probe alone, streams that send little may go on. */
  #fillDuringProbe(out: Outbox): Filled {
    const { probing, probes } = out.inflight.estimator;
    if (!probing) return Filled.HELD;
    for (const lane of [this.#fresh, this.#data]) {
      for (const slot of lane) {
        const { sender } = slot;
        if (slot.probe !== probes) slot.probeBytes = 0;
        const wanted = sender.dataBytes;
        if (slot.probeBytes + wanted > QUANTUM || wanted > out.inflight.ordinaryDataRoom) continue;
        if (wanted > out.dataLeft) return Filled.FULL;
        slot.probe = probes;
        slot.probeBytes += sender.writeData(out, wanted);
        this.update(sender);
      }
    }
    return Filled.HELD;
  }

  #rotate(slot: SchedulerSlot): void {
    slot.unlink();
    this.#data.append(slot);
    slot.fresh = false;
  }

  get #dataSize(): number {
    return this.#fresh.size + this.#data.size;
  }

  #leave(slot: SchedulerSlot): void {
    slot.unlink();
    slot.deficit = 0;
  }
}

/** Bytes of the sender's body that may leave right behind its head: all of it, or 0. */
function ridingBytes(sender: Sender, out: Outbox, allowance: number): number {
  const body = sender.wholeBytes;
  if (body === 0 || sender.headBytes + body > QUANTUM) return 0;
  return body <= allowance && body <= out.inflight.ordinaryDataRoom ? body : 0;
}
