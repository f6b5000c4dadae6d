/**
 * The messages that left and are not acknowledged: what a lost link may have taken along. Each is kept as its parts, and is
 * dropped when the peer has acknowledged all of its counted frames. Large parts are not copied, but where the link would
 * copy them: then there is one copy, which is kept. After a lost link `replay()` makes messages of what the peer lacks.
 *
 * How much is kept is bounded by what may be in flight (flow/inflight.ts): a message costs no more than its frames.
 */
import { concat, isCounted as hasReference, pin, release, unpin } from "../memory/mod.ts";
import { copyToBlock, returnCopy } from "../websocket/mod.ts";
import { keptBytes } from "./flow/mod.ts";
import { FRAME_HEADER_BYTES, isCounted } from "./wire/mod.ts";

/**
 * Smaller parts of a counted read are copied at once, since they could pin 512 KiB for a few bytes. Larger ones pin less
 * than what they are cut of for one round trip: a bulk transfer has all parts of a read in flight together.
 */
const LEAST_HELD_BYTES = 16 * 1_024;

interface SentMessage {
  parts: readonly Uint8Array[];
  /** Those whose memory is held for this message alone: blocks, and reads whose parts the link has released. */
  held: readonly Uint8Array[];
  bytes: number;
  /** Counted frames of the session before the message, and behind it. */
  firstCount: number;
  lastCount: number;
  /** The one that left after it. */
  next: SentMessage | null;
}

export class SentMessages {
  #oldest: SentMessage | null = null;
  #newest: SentMessage | null = null;
  #keptBytes = 0;

  /** Bytes of the messages that are kept. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /**
   * Keeps a message that leaves, where it has counted frames. Returns the parts for the link, which gives their references
   * back by itself.
   *
   * @param bytes of all parts
   * @param firstCount counted frames that left before the message
   * @param lastCount and with it
   * @param isCopied true: the link copies what it sends, and gets the copies that are kept
   */
  add(
    parts: readonly Uint8Array[],
    bytes: number,
    firstCount: number,
    lastCount: number,
    isCopied: boolean,
  ): readonly Uint8Array[] {
    if (lastCount === firstCount) return parts;
    const kept = new KeptParts(parts, isCopied);
    const message = { parts: kept.parts, held: kept.held, bytes, firstCount, lastCount, next: null };
    if (this.#newest === null) this.#oldest = message;
    else this.#newest.next = message;
    this.#newest = message;
    this.#count(bytes);
    return kept.sent;
  }

  /** The peer has `count` counted frames: drops the messages that it has whole. */
  acknowledge(count: number): void {
    let oldest = this.#oldest;
    while (oldest !== null && oldest.lastCount <= count) {
      this.#count(-oldest.bytes);
      letGo(oldest.held);
      const { next } = oldest;
      // An old object that is dead would keep a young one alive.
      oldest.next = null;
      oldest = next;
    }
    this.#oldest = oldest;
    if (oldest === null) this.#newest = null;
  }

  /** The link is lost, and another one may come late: copies what pins more than its own bytes. */
  tighten(): void {
    for (let message = this.#oldest; message !== null; message = message.next) {
      if (isTight(message.parts)) continue;
      const whole = concat(message.parts, message.bytes);
      letGo(message.held);
      message.parts = [whole];
      message.held = nothing;
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
    for (let message = this.#oldest; message !== null; message = message.next) {
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

const nothing: readonly Uint8Array[] = [];

/** What is kept of the parts of a message, and what is sent in their place. */
class KeptParts {
  readonly parts: Uint8Array[] = [];
  readonly held: Uint8Array[] = [];
  readonly sent: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[], isCopied: boolean) {
    this.sent = isCopied ? parts.map((part) => this.#keepBlock(part)) : parts;
    if (!isCopied) parts.forEach((part) => this.#keep(part));
  }

  #keep(part: Uint8Array): Uint8Array {
    const isHeld = part.length >= LEAST_HELD_BYTES && pin(part);
    if (isHeld) this.held.push(part);
    this.parts.push(isHeld || !hasReference(part) ? part : new Uint8Array(part));
    return part;
  }

  #keepBlock(part: Uint8Array): Uint8Array {
    const copy = part.length >= LEAST_HELD_BYTES && hasReference(part) ? copyToBlock(part) : null;
    if (copy === null) return this.#keep(part);
    release(part);
    this.held.push(copy);
    this.parts.push(copy);
    return copy;
  }
}

function letGo(held: readonly Uint8Array[]): void {
  for (const part of held) if (!returnCopy(part)) unpin(part);
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
