/**
 * The frames that wait for a link which takes no more, each in the shape that costs least memory: it is encoded when its
 * turn comes. The order is that of fair queueing (Demers, Keshav and Shenker, 1989): next is the frame that would be
 * sent first if the link sent a byte of each in turn. So a short frame passes long ones, and no frame waits for ever.
 */
import { LinkedList, ListNode } from "../../base/mod.ts";

/** A frame that may have to wait. Its owner may remove it with `unlink()`. */
export abstract class WaitingFrame extends ListNode<WaitingFrame> {
  /** For the queue alone: the round of the bytewise turns in which its last byte would leave. 0 until it waits. */
  finishRound = 0;

  /** True where it was in the queue. */
  get hasWaited(): boolean {
    return this.finishRound > 0;
  }

  /** About how many bytes `send()` sends next; 0: all was sent. Changes with `send()` alone. */
  abstract readonly byteLength: number;

  /** Bytes that it holds while it waits. */
  abstract readonly heldBytes: number;

  /** Gives the link the frame, or the next one of several. Returns what the link's send returned. */
  abstract send(): boolean;
}

export class LinkQueue {
  /** By their `finishRound`, and with the same one as they came. */
  readonly #waiting = new LinkedList<WaitingFrame>();
  #isFull = false;
  /** How many bytes each waiting frame would have sent by now, in turns. */
  #round = 0;

  /** True while frames must wait. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** The frames that wait. During the iteration only the current one may be removed. */
  [Symbol.iterator](): Iterator<WaitingFrame> {
    return this.#waiting[Symbol.iterator]();
  }

  /** To be told what each send on the link returned. */
  sent(isWritable: boolean): void {
    if (!isWritable) this.#isFull = true;
  }

  /** Sends `frame` now, or when its turn comes. */
  send(frame: WaitingFrame): void {
    while (!this.#isFull) {
      this.sent(frame.send());
      if (frame.byteLength === 0) return;
    }
    this.#add(frame, this.#round);
  }

  /** The link takes more. */
  drained(): void {
    this.#isFull = false;
    while (!this.#isFull) {
      const next = this.#waiting.first;
      if (next === null) {
        this.#round = 0;
        return;
      }
      this.#round += next.byteLength / this.#waiting.size;
      next.unlink();
      this.sent(next.send());
      if (next.byteLength > 0) this.#add(next, next.finishRound);
    }
  }

  #add(frame: WaitingFrame, startRound: number): void {
    frame.finishRound = startRound + frame.byteLength;
    let next: WaitingFrame | null = null;
    let previous = this.#waiting.last;
    // Most frames are about as long as those before them, and stay where they begin: at the end.
    while (previous !== null && previous.finishRound > frame.finishRound) {
      next = previous;
      previous = previous.previous;
    }
    if (next === null) this.#waiting.append(frame);
    else this.#waiting.insertBefore(frame, next);
  }
}
