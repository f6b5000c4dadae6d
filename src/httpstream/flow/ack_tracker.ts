/**
 * Counts the peer's counted frames as they come in, and tells when to acknowledge them: after 32 KiB, 64 frames or
 * 50 ms, and earlier where an ACK can leave together with other frames.
 */

const ACK_AFTER_BYTES = 32 * 1_024;
const ACK_AFTER_FRAMES = 64;
export const ACK_AFTER_MS = 50;

export class AckTracker {
  #count = 0;
  #acknowledgedCount = 0;
  #unacknowledgedBytes = 0;

  /** Counted frames received since the session began, as the ACK frame and `Runnel-Received` carry them. */
  get count(): number {
    return this.#count;
  }

  /** Whether there is anything to acknowledge. */
  get hasUnacknowledged(): boolean {
    return this.#count > this.#acknowledgedCount;
  }

  /** Whether so much is unacknowledged that an ACK should leave by itself. */
  get isDue(): boolean {
    return this.#unacknowledgedBytes >= ACK_AFTER_BYTES || this.#count - this.#acknowledgedCount >= ACK_AFTER_FRAMES;
  }

  /** A counted frame came in; called before it takes effect. */
  received(payloadBytes: number): void {
    this.#count++;
    this.#unacknowledgedBytes += payloadBytes;
  }

  /** The number for an ACK that leaves now. */
  acknowledge(): number {
    this.#acknowledgedCount = this.#count;
    this.#unacknowledgedBytes = 0;
    return this.#count;
  }
}
