/** Reads of one socket that wait, and are given to its owner in parts as their turns come (turns.ts). */
import { work } from "../base/mod.ts";
import { compacted, isCounted, release, slice } from "../memory/mod.ts";
import { BYTES_PER_COPY_UNIT, isCheap, Queue, turns, type TurnTaker } from "./turns.ts";

/** A part: in the dearest framing some 0.1 ms. While parts turn out cheap, the next one is four times as long. */
const PART_BYTES = 4 * 1024;
const GROWTH = 4;

/** The socket. */
export interface HeldReadsOwner {
  /** False while it is paused, and from its end on. Its `resume()` calls `HeldReads.wait`. */
  readonly canTakeReads: boolean;
  takeRead(part: Uint8Array): void;
  /** All were taken, and the socket may read on. @param isCheap they were cheap for their length */
  heldReadsTaken(isCheap: boolean): void;
}

export class HeldReads implements TurnTaker {
  readonly #owner: HeldReadsOwner;
  #reads: Uint8Array[] = [];
  #bytes = 0;
  #partBytes = PART_BYTES;
  #isWaiting = false;
  #isCheap = true;
  /** Of the parts since the reads were last all taken. */
  #takenUnits = 0;
  #takenBytes = 0;

  constructor(owner: HeldReadsOwner) {
    this.#owner = owner;
  }

  get isEmpty(): boolean {
    return this.#reads.length === 0;
  }

  /** What the reads keep in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  add(read: Uint8Array): void {
    this.#reads.push(read);
    this.#count(heldBytes(read));
  }

  /** Adds a read before all others. */
  unshift(read: Uint8Array): void {
    this.#reads.unshift(read);
    this.#count(heldBytes(read));
  }

  /** Takes the first read, outside of a turn. */
  shift(): Uint8Array {
    const read = this.#reads.shift()!;
    this.#count(-heldBytes(read));
    return read;
  }

  /** Waits for a turn. A second call does nothing. @param isCheap the socket's reads were cheap so far */
  wait(isCheap: boolean): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#isCheap = isCheap;
    // What comes at once is handled whole, too, and parts cost more than they weigh.
    if (isCheap) this.#partBytes = Infinity;
    turns.wait(this, isCheap ? Queue.CHEAP : Queue.DEAR);
  }

  /** The socket is over, or was reset. */
  drop(): void {
    this.#count(-this.#bytes);
    for (const read of this.#reads) release(read);
    this.#reads = [];
  }

  takeTurn(): Queue {
    const owner = this.#owner;
    if (owner.canTakeReads && this.#reads.length > 0) this.#takePart();
    this.#isWaiting = owner.canTakeReads;
    const queue = !this.#isWaiting ? Queue.NONE : this.#isCheap ? Queue.CHEAP : Queue.DEAR;
    if (this.#reads.length > 0) return queue;
    const areCheap = isCheap(this.#takenUnits, this.#takenBytes);
    if (!areCheap && this.#isWaiting && !turns.takeResume()) return queue;
    this.#isWaiting = false;
    this.#takenUnits = this.#takenBytes = 0;
    owner.heldReadsTaken(areCheap);
    return Queue.NONE;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    turns.heldBytes += bytes;
  }

  #takePart(): void {
    let part = this.shift();
    const { length } = part;
    if (length > this.#partBytes) {
      const rest = slice(part, this.#partBytes, length);
      this.#reads.unshift(rest);
      this.#count(heldBytes(rest));
      const first = slice(part, 0, this.#partBytes);
      release(part);
      // The owner may keep it for long.
      part = compacted(first);
    }
    const bytes = part.length;
    this.#owner.takeRead(part);
    this.#takenUnits += work.units;
    this.#takenBytes += bytes;
    turns.spentUnits += bytes / BYTES_PER_COPY_UNIT;
    const wasCheap = isCheap(work.units, bytes);
    this.#isCheap &&= wasCheap;
    this.#partBytes = wasCheap ? this.#partBytes * GROWTH : PART_BYTES;
  }
}

/** What a read, or the rest of one, keeps in memory. */
function heldBytes(read: Uint8Array): number {
  return isCounted(read) ? read.buffer.byteLength : read.length;
}
