/**
 * Which frame leaves next. There are three queues, the first one first:
 *
 *     control   RST_STREAM, STOP_SENDING, WINDOW_UPDATE of any stream: never behind DATA
 *     heads     HEADERS, in the order in which they were queued: so streams open in the order of their ids
 *     data      DATA, fair by bytes: deficit round robin (Shreedhar and Varghese) with a quantum of 16 KiB. As in
 *               FQ-CoDel (RFC 8290 §4.2), a new sender is served first, for one quantum: what is small does not wait
 *               for bulk. Between two old senders, new ones send four quanta together.
 *
 * A small whole body leaves right behind its head, so that a small answer is one message for its receiver. Where other
 * DATA waits, such bodies together have one quantum a message. While the path is probed (see rate_estimator.ts), bulk
 * waits until the queue on the path is gone; one quantum of each stream does not.
 *
 * A stream is in the queue of its next frame, and in the control queue besides. So its HEADERS, DATA and trailers leave
 * in their order, although frames are not queued: a frame is made at the moment when it leaves.
 */
import { LinkedList, ListNode } from "../base/mod.ts";
import { type OutgoingMessage, QUANTUM_BYTES } from "./outgoing_message.ts";

/** What new senders may send together before an old one is served. */
const NEW_SENDERS_BYTES = 4 * QUANTUM_BYTES;

/** The kind of a sender's next frame, beside control frames. */
export const NextFrame = { NONE: 0, HEAD: 1, DATA: 2 } as const;
export type NextFrame = typeof NextFrame[keyof typeof NextFrame];

/** A stream, as the scheduler sees it. */
export interface Sender {
  readonly nextFrame: NextFrame;
  /** Bytes of the next head's block. */
  readonly headBytes: number;
  /** Bytes of the next chunk that the window allows; 0 where only the end waits. */
  readonly dataBytes: number;
  /** Bytes of the whole body that follows the next head and ends the stream; 0 where it is not known or not allowed. */
  readonly wholeBodyBytes: number;
  /** Writes the control frames that wait, if any. */
  writeControl(message: OutgoingMessage): void;
  /** Writes the next head, and behind the head that opens the stream its control frames. */
  writeHead(message: OutgoingMessage): void;
  /** Writes one DATA frame of at most `maxBytes`. Returns how many it has. */
  writeData(message: OutgoingMessage, maxBytes: number): number;
  /** What the scheduler notes of the sender. */
  readonly entry: SchedulerEntry;
}

/** Written by the scheduler alone. */
export class SchedulerEntry extends ListNode<SchedulerEntry> {
  readonly sender: Sender;
  /** Tells the queue that it is in. */
  queuedFor: NextFrame = NextFrame.NONE;
  hasControl = false;
  /** Whether the sender has not used up a quantum since it came to the data queue. */
  isNew = false;
  /** Bytes that the sender may still send before the next one is served. */
  deficitBytes = 0;
  /** The last probe of the path in which the sender sent past the probe's limit, and how much. */
  lastProbe = 0;
  probeBytes = 0;

  constructor(sender: Sender) {
    super();
    this.sender = sender;
  }
}

/** Why `fill` returned. */
export const FillResult = {
  /** Nothing more waits that the streams' windows allow. */
  DONE: 0,
  /** The message is full, and more could leave. */
  FULL: 1,
  /** More waits, until what is in flight is acknowledged, or the link is ready. */
  BLOCKED: 2,
} as const;
export type FillResult = typeof FillResult[keyof typeof FillResult];

export class Scheduler {
  /** An array, since no sender leaves it from the middle. Each is in it once. */
  #control: Sender[] = [];
  readonly #heads = new LinkedList<SchedulerEntry>();
  /** The data queue, in two parts. */
  readonly #newSenders = new LinkedList<SchedulerEntry>();
  readonly #oldSenders = new LinkedList<SchedulerEntry>();
  /** Senders that came to the head or the data queue since the last message was filled. */
  #arrivals = 0;
  /** Bytes that new senders sent since an old one was served. */
  #newBytes = 0;

  /** Whether no stream has anything that could leave, whatever the limits. */
  get isEmpty(): boolean {
    return this.#control.length + this.#heads.size + this.#dataSize === 0;
  }

  get arrivals(): number {
    return this.#arrivals;
  }

  /** A sender has control frames to write. */
  queueControl(sender: Sender): void {
    if (!sender.entry.hasControl) this.#control.push(sender);
    sender.entry.hasControl = true;
  }

  /** A sender's next frame may be of another kind: moves it to the end of that queue. */
  update(sender: Sender): void {
    const { entry, nextFrame } = sender;
    if (entry.queuedFor === nextFrame) return;
    this.#leave(entry);
    entry.queuedFor = nextFrame;
    if (nextFrame !== NextFrame.NONE) this.#arrivals++;
    if (nextFrame === NextFrame.HEAD) this.#heads.append(entry);
    else if (nextFrame === NextFrame.DATA) this.#newSenders.append(entry);
    entry.isNew = nextFrame === NextFrame.DATA;
  }

  /** A sender has broken: only its control frames still leave. */
  remove(sender: Sender): void {
    this.#leave(sender.entry);
    sender.entry.queuedFor = NextFrame.NONE;
  }

  clear(): void {
    for (const { entry } of this.#control) entry.hasControl = false;
    this.#control = [];
    this.#heads.clear();
    this.#newSenders.clear();
    this.#oldSenders.clear();
  }

  /**
   * Fills the message.
   *
   * @param isControlOnly true while the link is not ready, or the peer's SETTINGS are not here.
   */
  fill(message: OutgoingMessage, isControlOnly: boolean): FillResult {
    this.#arrivals = 0;
    if (this.#control.length > 0 && !this.#fillControl(message)) return FillResult.FULL;
    if (isControlOnly) return this.#heads.size + this.#dataSize > 0 ? FillResult.BLOCKED : FillResult.DONE;
    const heads = this.#fillHeads(message);
    if (heads === FillResult.FULL) return heads;
    const data = this.#fillData(message);
    // A sender whose last DATA just left may be in the head queue again, with its trailers.
    const isAgain = this.#heads.size > 0 && heads === FillResult.DONE;
    const trailers = isAgain ? this.#fillHeads(message) : heads;
    return data === FillResult.DONE ? trailers : data;
  }

  /** Returns false where the message is full before all of them were written. */
  #fillControl(message: OutgoingMessage): boolean {
    const senders = this.#control;
    let written = 0;
    while (written < senders.length && message.fits(0)) {
      const sender = senders[written++];
      sender.entry.hasControl = false;
      sender.writeControl(message);
    }
    this.#control = senders.slice(written);
    return written === senders.length;
  }

  #fillHeads(message: OutgoingMessage): FillResult {
    let bodyAllowance = this.#dataSize === 0 ? Infinity : QUANTUM_BYTES;
    for (let entry = this.#heads.first; entry !== null; entry = this.#heads.first) {
      const { sender } = entry;
      do {
        const { headBytes } = sender;
        if (!message.inflight.canSendHeaders(headBytes)) return FillResult.BLOCKED;
        const body = bodyBytesWithHead(sender, message, bodyAllowance);
        if (!message.fits(headBytes) || (body > 0 && !message.fitsWithBody(headBytes, body))) return FillResult.FULL;
        sender.writeHead(message);
        bodyAllowance -= body;
        for (let left = body; left > 0;) left -= sender.writeData(message, left);
      } while (sender.nextFrame === NextFrame.HEAD);
      this.update(sender);
    }
    return FillResult.DONE;
  }

  #fillData(message: OutgoingMessage): FillResult {
    for (let sender = this.#nextSender(); sender !== null; sender = this.#nextSender()) {
      const { entry } = sender;
      if (entry.deficitBytes <= 0) entry.deficitBytes += this.#dataSize === 1 ? message.maxDataBytes : QUANTUM_BYTES;
      const wanted = Math.min(sender.dataBytes, entry.deficitBytes, message.maxDataBytes);
      if (wanted > message.inflight.availableDataBytes) return this.#fillDuringProbe(message);
      if (wanted > message.freeDataBytes) return FillResult.FULL;
      const sent = sender.writeData(message, wanted);
      entry.deficitBytes -= sent;
      this.#newBytes = entry.isNew ? this.#newBytes + sent : 0;
      if (sender.nextFrame !== NextFrame.DATA) this.update(sender);
      else if (entry.deficitBytes <= 0) this.#rotate(entry);
    }
    return FillResult.DONE;
  }

  #nextSender(): Sender | null {
    const isNew = this.#newSenders.size > 0 &&
      (this.#oldSenders.size === 0 || this.#newBytes < NEW_SENDERS_BYTES);
    return (isNew ? this.#newSenders : this.#oldSenders).first?.sender ?? null;
  }

  /** DATA must wait. Where only a probe is the reason, streams that send little may go on. */
  #fillDuringProbe(message: OutgoingMessage): FillResult {
    const { isProbing, probeCount } = message.inflight.estimator;
    if (!isProbing) return FillResult.BLOCKED;
    for (const senders of [this.#newSenders, this.#oldSenders]) {
      for (const entry of senders) {
        const { sender } = entry;
        if (entry.lastProbe !== probeCount) entry.probeBytes = 0;
        const wanted = sender.dataBytes;
        const isAllowed = wanted <= message.inflight.availableDataBytesWithoutProbe;
        if (entry.probeBytes + wanted > QUANTUM_BYTES || !isAllowed) continue;
        if (wanted > message.freeDataBytes) return FillResult.FULL;
        entry.lastProbe = probeCount;
        entry.probeBytes += sender.writeData(message, wanted);
        this.update(sender);
      }
    }
    return FillResult.BLOCKED;
  }

  /** The sender used up its quantum. */
  #rotate(entry: SchedulerEntry): void {
    entry.unlink();
    this.#oldSenders.append(entry);
    entry.isNew = false;
  }

  get #dataSize(): number {
    return this.#newSenders.size + this.#oldSenders.size;
  }

  #leave(entry: SchedulerEntry): void {
    entry.unlink();
    entry.deficitBytes = 0;
  }
}

/** Bytes of the sender's body that may leave right behind its head: all of it, or 0. */
function bodyBytesWithHead(sender: Sender, message: OutgoingMessage, allowance: number): number {
  const body = sender.wholeBodyBytes;
  if (body === 0 || sender.headBytes + body > QUANTUM_BYTES) return 0;
  return body <= allowance && body <= message.inflight.availableDataBytesWithoutProbe ? body : 0;
}
