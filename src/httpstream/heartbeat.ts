/** Whether the peer of a connection lives, and how far away it is: PINGs, their answers, and the silence between them. */
import { type Clock, Deferred, Liveness } from "../base/mod.ts";
import type { ConnectionLimits } from "./options.ts";

export interface HeartbeatOptions {
  clock: Clock;
  limits: Pick<ConnectionLimits, "pingAfterMs" | "idlePingAfterMs" | "deadAfterMs">;
  /** True while a loss of the link should be noticed soon. */
  isBusy(): boolean;
  /** Sends a PING with 8 bytes, which its answer repeats. */
  send(payload: Uint8Array): void;
  /** The peer does not answer on this link. */
  onDead(reason: string): void;
}

interface PendingPing {
  sentAt: number;
  readonly payload: Uint8Array;
  readonly answer: Deferred<number>;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #liveness: Liveness;
  #pending: PendingPing | null = null;
  #count = 0;
  #rttMs = 0;

  /** Begins with a link. */
  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#liveness = this.#watch();
  }

  /** The last round trip of a PING in milliseconds; 0 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** Measures one round trip. Calls that overlap get the same answer. */
  ping(): Promise<number> {
    if (this.#pending === null) {
      const payload = new Uint8Array(8);
      new DataView(payload.buffer).setUint32(4, ++this.#count);
      this.#pending = { sentAt: this.#options.clock.now(), payload, answer: new Deferred() };
      this.#options.send(payload);
    }
    return this.#pending.answer.promise;
  }

  /** An answer came at `now`. False where it is that to an earlier PING, or to none: it measures nothing. */
  pong(payload: Uint8Array, now: number): boolean {
    const pending = this.#pending;
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(4);
    if (pending === null || number !== this.#count) return false;
    this.#pending = null;
    this.#rttMs = now - pending.sentAt;
    pending.answer.resolve(this.#rttMs);
    return true;
  }

  /** Bytes arrived at `now`. */
  heard(now: number): void {
    this.#liveness.heard(now);
  }

  /** Frames were sent that must be acknowledged. */
  sent(now: number): void {
    this.#liveness.sent(now);
  }

  /** An acknowledgement made progress. @param framesLeft true: some frames are still not acknowledged */
  progressed(now: number, framesLeft: boolean): void {
    this.#liveness.progressed(now, framesLeft);
  }

  /** There is no link. A PING waits for the next one. */
  pause(): void {
    this.#liveness.stop();
  }

  /** There is another link. */
  resume(now: number): void {
    this.#liveness = this.#watch();
    if (this.#pending === null) return;
    this.#pending.sentAt = now;
    this.#options.send(this.#pending.payload);
  }

  /** No answer will come. */
  end(error: Error): void {
    this.#liveness.stop();
    this.#pending?.answer.reject(error);
    this.#pending = null;
  }

  #watch(): Liveness {
    const { clock, limits, isBusy, onDead } = this.#options;
    const { pingAfterMs, idlePingAfterMs, deadAfterMs } = limits;
    return new Liveness({
      clock,
      pingAfterMs,
      idlePingAfterMs,
      deadAfterMs,
      isBusy,
      onSilence: () => void this.ping(),
      onDead,
    });
  }
}
