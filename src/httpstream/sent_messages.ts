/**
 * The messages that left and are not acknowledged: what a lost link may have taken along. Each is dropped when the peer has
 * acknowledged all of its counted frames. A link that copies what it sends keeps the copies of large messages. Otherwise the
 * parts are kept, and large ones are not copied. After a lost link `replay()` makes messages of what the peer lacks.
 *
 * How much is kept is bounded by what may be in flight (flow/inflight.ts): a message costs no more than its frames.
 */
import { concat, isCounted as hasReference, pin, unpin } from "../memory/mod.ts";
import { keptBytes } from "./flow/mod.ts";
import type { KeptMessage, Link } from "./link.ts";
import { FRAME_HEADER_BYTES, isCounted } from "./wire/mod.ts";

/** Smaller messages are not kept by their link, whose blocks are for bulk. */
const LEAST_LINK_BYTES = 16 * 1_024;
/**
 * Smaller parts of a counted read are copied at once, since they could pin 512 KiB for a few bytes. Larger ones pin less
 * than what they are cut of for one round trip: a bulk transfer has all parts of a read in flight together.
 */
const LEAST_PINNED_BYTES = 16 * 1_024;

/** A message in the list of them. */
interface Entry {
  kept: KeptMessage;
  readonly bytes: number;
  /** Counted frames of the session before the message, and behind it. */
  readonly firstCount: number;
  readonly lastCount: number;
  /** The one that left after it. */
  next: Entry | null;
}

export class SentMessages {
  #oldest: Entry | null = null;
  #newest: Entry | null = null;
  #keptBytes = 0;

  /** Bytes of the messages that are kept. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /**
   * Sends a message that has counted frames, and keeps it. Returns as `Link.send()` does.
   *
   * @param bytes of all parts
   * @param firstCount counted frames that left before the message
   * @param lastCount and with it
   */
  send(link: Link, parts: readonly Uint8Array[], bytes: number, firstCount: number, lastCount: number): boolean {
    const sent = bytes < LEAST_LINK_BYTES ? null : link.sendKept?.(parts) ?? null;
    const kept = sent ?? new KeptParts(parts, bytes);
    const entry = { kept, bytes, firstCount, lastCount, next: null };
    if (this.#newest === null) this.#oldest = entry;
    else this.#newest.next = entry;
    this.#newest = entry;
    this.#count(bytes);
    return sent === null ? link.send(parts) : sent.isReady;
  }

  /** The peer has `count` counted frames: drops the messages that it has whole. */
  acknowledge(count: number): void {
    let oldest = this.#oldest;
    while (oldest !== null && oldest.lastCount <= count) {
      this.#count(-oldest.bytes);
      oldest.kept.release();
      const { next } = oldest;
      // An old object that is dead would keep a young one alive.
      oldest.next = null;
      oldest = next;
    }
    this.#oldest = oldest;
    if (oldest === null) this.#newest = null;
  }

  /** The link is lost, and another one may come late: nothing is kept in its blocks, and no read is pinned. */
  tighten(): void {
    for (let entry = this.#oldest; entry !== null; entry = entry.next) {
      if (entry.kept instanceof WholeMessage) continue;
      const whole = new WholeMessage(entry.kept.read());
      entry.kept.release();
      entry.kept = whole;
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
    for (let entry = this.#oldest; entry !== null; entry = entry.next) {
      replayed.push(countedRuns(entry.kept.read(), Math.max(0, count - entry.firstCount)));
    }
    return replayed;
  }

  /** Nothing will be sent again. */
  clear(): void {
    this.acknowledge(Infinity);
  }

  #count(bytes: number): void {
    this.#keptBytes += bytes;
    keptBytes.all += bytes;
  }
}

/** A message that was kept when its link was lost. */
class WholeMessage implements KeptMessage {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): Uint8Array {
    return this.#bytes;
  }

  release(): void {}
}

/** The parts of a message. Their link gets them, too, and gives their references back by itself. */
class KeptParts implements KeptMessage {
  readonly #parts: readonly Uint8Array[];
  readonly #bytes: number;
  /** Those whose memory is held for this message alone, once the link has released them. */
  #pinned: Uint8Array[] | null = null;

  constructor(parts: readonly Uint8Array[], bytes: number) {
    this.#parts = parts.map((part) => this.#keep(part));
    this.#bytes = bytes;
  }

  read(): Uint8Array {
    return concat(this.#parts, this.#bytes);
  }

  release(): void {
    this.#pinned?.forEach(unpin);
  }

  #keep(part: Uint8Array): Uint8Array {
    if (!hasReference(part)) return part;
    if (part.length < LEAST_PINNED_BYTES || !pin(part)) return new Uint8Array(part);
    (this.#pinned ??= []).push(part);
    return part;
  }
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
