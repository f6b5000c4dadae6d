/** The control frames of one stream that wait: at most one of each type, whatever happened since the last flush. */
import type { OutgoingMessage } from "./outgoing_message.ts";

export class StreamControl {
  /** The error codes; null where there is no such frame to send. */
  #resetCode: number | null = null;
  #halfResetCode: number | null = null;
  #stopCode: number | null = null;

  /** Both directions end, so that nothing else needs to be said. Null: not even that. */
  reset(code: number | null): void {
    this.#resetCode = code;
    this.#stopCode = this.#halfResetCode = null;
  }

  /** This side's direction ends. */
  resetHalf(code: number): void {
    this.#halfResetCode = code;
  }

  /** The peer's direction should end. */
  stop(code: number): void {
    this.#stopCode = code;
  }

  write(message: OutgoingMessage, streamId: number): void {
    if (this.#resetCode !== null) message.rstStream(streamId, this.#resetCode, false);
    if (this.#halfResetCode !== null) message.rstStream(streamId, this.#halfResetCode, true);
    if (this.#stopCode !== null) message.stopSending(streamId, this.#stopCode);
    this.reset(null);
  }
}
