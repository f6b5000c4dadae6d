/**
 * What leaves. At the end of an event-loop tick, everything that was queued is sent in as few messages as hold it, with
 * the acknowledgement of what came in.
 *
 * A tick in which many streams have something to send makes messages earlier, for the first of them. The peer then works
 * on those while this end works on the others. Otherwise one of the two ends would be idle while the other one is busy.
 */
import type { Clock, Timer } from "../base/mod.ts";
import { ACK_AFTER_MS, AckTracker, Inflight } from "./flow/mod.ts";
import type { Link } from "./link.ts";
import { OutgoingMessage } from "./outgoing_message.ts";
import { FillResult, Scheduler } from "./scheduler.ts";
import { SentMessages } from "./sent_messages.ts";
import { FRAME_HEADER_BYTES, MAX_REASON_BYTES } from "./wire/mod.ts";

const MAX_GOAWAY_BYTES = FRAME_HEADER_BYTES + 8 + MAX_REASON_BYTES;

/**
 * An early message is made for so many streams, the next one for twice as many, and so on: the number of messages in a
 * tick grows as the logarithm of its streams. With 32 clients, an edge and an agent used 82 % of two processors so,
 * instead of 71, at the same cost for each request. With 4 here, more messages cost more than was won.
 */
const FIRST_EARLY_STREAMS = 8;

export interface OutgoingOptions {
  link: Link;
  /** True: what leaves is kept until it is acknowledged, so that it can be sent again on another link. */
  isResumable: boolean;
  clock: Clock;
  /** Runs a callback at the end of the tick. */
  defer(callback: () => void): void;
  /** After each flush, at the time it was made. */
  onFlushed(now: number): void;
  /** A message could not be made, by a mistake of our own. Its frames may be lost, so no further message may follow. */
  onFailed(error: unknown): void;
}

export class Outgoing {
  readonly scheduler = new Scheduler();
  readonly inflight = new Inflight();
  readonly acks = new AckTracker();
  readonly #options: OutgoingOptions;
  readonly #message = new OutgoingMessage(this.inflight);
  /** Null where nothing is sent again. */
  readonly #sent: SentMessages | null;
  /** Null while the connection is suspended: nothing leaves then. */
  #link: Link | null;
  /** Frames of the connection itself: those that leave before the streams' frames, and those that leave after them. */
  #first: ((message: OutgoingMessage) => void)[] = [];
  #last: ((message: OutgoingMessage) => void)[] = [];
  /** Streams that were refused: id, error code, id, error code, and so on. */
  #refused: number[] = [];
  /** PINGs are not counted: those that wait are dropped with their link. */
  #ping: Uint8Array | null = null;
  #pong: Uint8Array | null = null;
  #isFlushScheduled = false;
  /** How many streams the next early message of this tick is made for. */
  #earlyStreams = FIRST_EARLY_STREAMS;
  #isEarlyScheduled = false;
  #isStopped = false;
  /** False until the peer's SETTINGS are here. */
  #canSendStreams = false;
  #isLinkReady = true;
  /** Whether more waited, for the limits or the link, when the last message was filled. */
  #hasBacklog = false;
  #ackTimer: Timer | null = null;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#sent = options.isResumable ? new SentMessages() : null;
  }

  /** Payload bytes of DATA that have left. */
  get sentDataBytes(): number {
    return this.#message.sentDataBytes;
  }

  /** Bytes that have left and are kept until the peer acknowledges them; 0 where nothing is sent again. */
  get keptBytes(): number {
    return this.#sent?.keptBytes ?? 0;
  }

  /** The peer's SETTINGS are here: from now on, frames of streams leave. */
  allowStreams(): void {
    this.#canSendStreams = true;
    this.scheduleFlush();
  }

  /** Something waits: it is sent at the end of the tick, or earlier where many streams wait. */
  scheduleFlush(): void {
    if (this.#isStopped) return;
    if (this.scheduler.arrivals >= this.#earlyStreams) this.#scheduleEarly();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#options.defer(() => {
      this.#isFlushScheduled = false;
      this.#earlyStreams = FIRST_EARLY_STREAMS;
      this.flush();
    });
  }

  /** The link takes messages again. */
  linkDrained(): void {
    this.#isLinkReady = true;
    if (!this.scheduler.isEmpty) this.scheduleFlush();
  }

  settings(pairs: readonly number[]): void {
    this.#first.push((message) => message.settings(pairs));
    this.scheduleFlush();
  }

  /** Leaves after the resets of streams that belong to it. */
  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#last.push((message) => message.goAway(lastStreamId, errorCode, reason));
    this.scheduleFlush();
  }

  ping(payload: Uint8Array): void {
    this.#ping = payload;
    this.scheduleFlush();
  }

  /** Answers a PING. Only the latest answer waits, so that a flood of PINGs costs one. */
  pong(payload: Uint8Array): void {
    this.#pong = payload;
    this.scheduleFlush();
  }

  /** Resets a stream that is not in the table: it was refused, or its frame broke the protocol. */
  refuse(streamId: number, errorCode: number): void {
    this.#refused.push(streamId, errorCode);
    this.scheduleFlush();
  }

  /** A message was taken in: acknowledges it soon, or at the end of the tick where much is unacknowledged. */
  scheduleAck(): void {
    if (!this.acks.hasUnacknowledged) return;
    if (this.acks.isDue) return this.scheduleFlush();
    this.#ackTimer ??= this.#options.clock.after(ACK_AFTER_MS, () => {
      this.#ackTimer = null;
      if (this.acks.hasUnacknowledged) this.flush();
    });
  }

  /** Sends what waits, now. */
  flush(): void {
    if (this.#isStopped) return;
    const now = this.#options.clock.now();
    this.#sendAll(now);
    this.#options.onFlushed(now);
  }

  /** The peer has received `count` counted frames. False where that cannot be. */
  acknowledge(count: number, now: number): boolean {
    if (!this.inflight.acknowledge(count, now)) return false;
    this.#sent?.acknowledge(count);
    return true;
  }

  /** The link is lost. What is queued waits for another one. */
  suspend(): void {
    this.#link = null;
    this.#cancelAckTimer();
    this.#ping = this.#pong = null;
    this.#sent?.tighten();
  }

  /**
   * Sends on another link: first again what the peer has not received, then what waits. False where the peer cannot have
   * received what it says: nothing is sent again then.
   *
   * @param count the counted frames that the peer has received
   */
  resume(link: Link, count: number, now: number): boolean {
    this.#link = link;
    this.#isLinkReady = true;
    if (!this.inflight.canAcknowledge(count)) return false;
    this.inflight.restart();
    this.acknowledge(count, now);
    // The handshake has told the peer what was received until now.
    this.acks.acknowledge();
    for (const parts of this.#sent?.replay(count) ?? []) {
      if (!link.send(parts)) this.#isLinkReady = false;
    }
    this.scheduleFlush();
    return true;
  }

  /** Drops what waits, and sends no more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelAckTimer();
    this.scheduler.clear();
    this.#sent?.clear();
    this.#first = [];
    this.#last = [];
    this.#refused = [];
    this.#ping = this.#pong = null;
  }

  #cancelAckTimer(): void {
    this.#ackTimer?.cancel();
    this.#ackTimer = null;
  }

  /** Not now: the event that is being handled may queue more for the same streams. */
  #scheduleEarly(): void {
    if (this.#isEarlyScheduled) return;
    this.#isEarlyScheduled = true;
    queueMicrotask(() => {
      this.#isEarlyScheduled = false;
      this.#earlyStreams *= 2;
      if (!this.#isStopped) this.#sendAll(this.#options.clock.now());
    });
  }

  #sendAll(now: number): void {
    const link = this.#link;
    if (link === null) return;
    let result: FillResult = FillResult.FULL;
    while (result === FillResult.FULL) {
      this.#message.begin(now, this.#hasBacklog);
      const countBefore = this.inflight.sentCount;
      try {
        result = this.#fill();
      } catch (error) {
        return this.#options.onFailed(error);
      }
      this.#hasBacklog = result !== FillResult.DONE;
      this.#send(link, countBefore);
    }
    // Earlier than the other sockets that this tick wrote to: what goes to the peer has the longest way.
    link.flush();
  }

  #fill(): FillResult {
    const message = this.#message;
    if (this.#first.length > 0) this.#first = writeAll(this.#first, message);
    if (this.#ping !== null) {
      message.ping(this.#ping, false);
      this.#ping = null;
    }
    if (this.#pong !== null) {
      message.ping(this.#pong, true);
      this.#pong = null;
    }
    while (this.#refused.length > 0) {
      if (!message.fits(0)) return FillResult.FULL;
      const errorCode = this.#refused.pop()!;
      message.rstStream(this.#refused.pop()!, errorCode, false);
    }
    const result = this.scheduler.fill(message, !this.#canSendStreams || !this.#isLinkReady);
    if (this.#last.length === 0 || result === FillResult.FULL) return result;
    if (!message.fits(this.#last.length * MAX_GOAWAY_BYTES)) return FillResult.FULL;
    this.#last = writeAll(this.#last, message);
    return result;
  }

  #send(link: Link, countBefore: number): void {
    const { acks } = this;
    if (acks.hasUnacknowledged && (acks.isDue || !this.#message.isEmpty || this.#ackTimer === null)) {
      this.#message.ack(acks.acknowledge());
    }
    const { byteLength } = this.#message;
    if (byteLength === 0) return;
    const parts = this.#message.take();
    const { sentCount } = this.inflight;
    const isReady = this.#sent === null || sentCount === countBefore
      ? link.send(parts)
      : this.#sent.send(link, parts, byteLength, countBefore, sentCount);
    if (!isReady) this.#isLinkReady = false;
  }
}

/** Writes all frames. Returns the list without them. */
function writeAll(frames: ((message: OutgoingMessage) => void)[], message: OutgoingMessage): [] {
  for (const write of frames) write(message);
  return [];
}
