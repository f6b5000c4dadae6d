/**
 * The messages that left and are not acknowledged: what a lost link may have taken along. Each is kept as the parts that
 * were given to the link, without a copy, and is dropped when the peer has acknowledged all of its counted frames. After
 * a lost link `replay()` makes messages of what the peer lacks.
 *
 * How much is kept is bounded by what may be in flight (flow/inflight.ts): a message costs no more than its frames.
 */
import { concat, isCounted as hasReference, release, slice } from "../memory/mod.ts";
import { keptBytes } from "./flow/mod.ts";
import { FRAME_HEADER_BYTES, isCounted } from "./wire/mod.ts";

/**
 * Smaller parts of a counted read are copied at once, since they could pin 512 KiB for a few bytes. Larger ones pin less
 * than what they are cut of for one round trip: a bulk transfer has all parts of a read in flight together.
 */
const LEAST_PINNING_BYTES = 16 * 1_024;

interface SentMessage {
  parts: readonly Uint8Array[];
  bytes: number;
  /** Counted frames of the session before the message, and behind it. */
  firstCount: number;
  lastCount: number;
}

export class SentMessages {
  /** From the oldest to the newest, those from `#first` on. */
  #messages: SentMessage[] = [];
  #first = 0;
  #keptBytes = 0;

  /** Bytes of the messages that are kept. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /**
   * Keeps a message that leaves, where it has counted frames.
   *
   * @param parts those that the link gets; it gives their references back by itself
   * @param bytes of all parts
   * @param firstCount counted frames that left before the message
   * @param lastCount and with it
   */
  add(parts: readonly Uint8Array[], bytes: number, firstCount: number, lastCount: number): void {
    if (lastCount === firstCount) return;
    this.#messages.push({ parts: parts.map(keep), bytes, firstCount, lastCount });
    this.#count(bytes);
  }

  /** The peer has `count` counted frames: drops the messages that it has whole. */
  acknowledge(count: number): void {
    const messages = this.#messages;
    let first = this.#first;
    for (; first < messages.length && messages[first].lastCount <= count; first++) {
      this.#count(-messages[first].bytes);
      for (const part of messages[first].parts) release(part);
      messages[first] = dropped;
    }
    this.#first = first;
    if (first === messages.length) this.#messages.length = this.#first = 0;
    else if (first >= TRIM_MESSAGES) {
      messages.splice(0, first);
      this.#first = 0;
    }
  }

  /** The link is lost, and another one may come late: copies what pins more than its own bytes. */
  tighten(): void {
    for (let index = this.#first; index < this.#messages.length; index++) {
      const message = this.#messages[index];
      if (isTight(message.parts)) continue;
      const whole = concat(message.parts, message.bytes);
      for (const part of message.parts) release(part);
      message.parts = [whole];
    }
  }

  /**
   * Messages for a new link, with the counted frames that come behind the first `count`, and no others: acknowledgements
   * and pings are made anew. They stay kept.
   */
  replay(count: number): Uint8Array[][] {
    this.acknowledge(count);
    this.tighten();
    const replayed: Uint8Array[][] = [];
    for (let index = this.#first; index < this.#messages.length; index++) {
      const message = this.#messages[index];
      const runs = countedRuns(message.parts[0], Math.max(0, count - message.firstCount));
      this.#count(-message.bytes);
      message.parts = runs;
      message.bytes = runs.reduce((sum, run) => sum + run.length, 0);
      message.firstCount = Math.max(message.firstCount, count);
      this.#count(message.bytes);
      replayed.push([...runs]);
    }
    return replayed;
  }

  #count(bytes: number): void {
    this.#keptBytes += bytes;
    keptBytes.all += bytes;
  }

  /** Nothing will be sent again. */
  clear(): void {
    this.acknowledge(Infinity);
  }
}

function isTight(parts: readonly Uint8Array[]): boolean {
  return parts.length === 1 && parts[0].length === parts[0].buffer.byteLength;
}

/** Messages that were dropped are removed from the front of the list when there are so many. */
const TRIM_MESSAGES = 64;
const dropped: SentMessage = { parts: [], bytes: 0, firstCount: 0, lastCount: 0 };

/** A part with a reference of its own, where the link will release the one that it has. */
function keep(part: Uint8Array): Uint8Array {
  if (!hasReference(part)) return part;
  return part.length < LEAST_PINNING_BYTES ? new Uint8Array(part) : slice(part, 0, part.length);
}

/** The counted frames of a message behind the first `skip` of them, as views of it; neighbors are one view. */
function countedRuns(message: Uint8Array, skip: number): Uint8Array[] {
  const runs: Uint8Array[] = [];
  let counted = 0;
  let runStart = -1;
  for (let at = 0; at < message.length;) {
    const length = message[at] << 16 | message[at + 1] << 8 | message[at + 2];
    const isWanted = isCounted(message[at + 3]) && ++counted > skip;
    if (isWanted && runStart < 0) runStart = at;
    if (!isWanted && runStart >= 0) {
      runs.push(message.subarray(runStart, at));
      runStart = -1;
    }
    at += FRAME_HEADER_BYTES + length;
  }
  if (runStart >= 0) runs.push(message.subarray(runStart));
  return runs;
}
