/**
 * The peer's counted frames, as they come in, and when to acknowledge them: after 32 KiB, 64 frames or 50 ms, and
 * earlier where an ACK can ride with other frames.
 */

export const ACK_AFTER_BYTES = 32 * 1_024;
export const ACK_AFTER_FRAMES = 64;
export const ACK_AFTER_MS = 50;

export class Receipts {
  #count = 0;
  #acknowledged = 0;
  #bytes = 0;

  /** Counted frames taken since the session began: what `Runnel-Received` would say. */
  get count(): number {
    return this.#count;
  }

  /** Whether there is anything to acknowledge. */
  get pending(): boolean {
    return this.#count > this.#acknowledged;
  }

  /** Whether the ACK should not wait for company. */
  get due(): boolean {
    return this.#bytes >= ACK_AFTER_BYTES || this.#count - this.#acknowledged >= ACK_AFTER_FRAMES;
  }

  /** A counted frame came in; called before it takes effect. */
  take(payloadBytes: number): void {
    this.#count++;
    this.#bytes += payloadBytes;
  }

  /** The number that the ACK carries, which leaves now. */
  acknowledge(): number {
    this.#acknowledged = this.#count;
    this.#bytes = 0;
    return this.#count;
  }
}
