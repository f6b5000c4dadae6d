/** The control frames of one stream that wait: at most one of each kind, whatever happened since the last flush. */
import type { Outbox } from "./outbox.ts";

export class StreamControl {
  /** Codes of RST_STREAM, RST_STREAM|HALF and STOP_SENDING; null: none waits. */
  #rst: number | null = null;
  #rstHalf: number | null = null;
  #stop: number | null = null;

  /** Both directions end: nothing else needs to be said. */
  reset(code: number | null): void {
    this.#rst = code;
    this.#stop = this.#rstHalf = null;
  }

  /** Our direction ends. */
  resetHalf(code: number): void {
    this.#rstHalf = code;
  }

  /** The peer's direction should end. */
  stop(code: number): void {
    this.#stop = code;
  }

  write(out: Outbox, streamId: number): void {
    if (this.#rst !== null) out.rstStream(streamId, this.#rst, false);
    if (this.#rstHalf !== null) out.rstStream(streamId, this.#rstHalf, true);
    if (this.#stop !== null) out.stopSending(streamId, this.#stop);
    this.reset(null);
  }
}
