/**
 * Whether the peer lives. Any byte is a sign; after a silence a PING asks for one, after a longer one the peer is
 * dead. Where frames are unacknowledged, acknowledgement must make progress, too: a proxy on the way may swallow one
 * direction and keep the other.
 */
import type { Clock, Timer } from "../clock.ts";

export interface LivenessOptions {
  clock: Clock;
  pingAfterMs: number;
  deadAfterMs: number;
  /** Nothing was heard for `pingAfterMs`: send a PING. Once for each silence. */
  onSilence(): void;
  /** The peer is dead; the last call. */
  onDead(reason: string): void;
}

export class Liveness {
  readonly #options: LivenessOptions;
  #heardAt: number;
  /** When acknowledgement last made progress, or the first frame left after all were acknowledged; null: none waits. */
  #progressAt: number | null = null;
  #asked = false;
  #timer: Timer | null = null;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#arm(options.pingAfterMs);
  }

  /** A byte came in at `now`. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#asked = false;
  }

  /** Counted frames left. */
  sent(now: number): void {
    this.#progressAt ??= now;
  }

  /** An ACK made progress. */
  progressed(now: number, framesLeft: boolean): void {
    this.#progressAt = framesLeft ? now : null;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = null;
      this.#check();
    });
  }

  /** The one timer fires at the next moment at which something could be due, as seen when it was set. */
  #check(): void {
    const { clock, pingAfterMs, deadAfterMs } = this.#options;
    const now = clock.now();
    if (now - this.#heardAt >= deadAfterMs) return this.#options.onDead(`Nothing was heard for ${deadAfterMs} ms`);
    if (this.#progressAt !== null && now - this.#progressAt >= deadAfterMs) {
      return this.#options.onDead(`Nothing was acknowledged for ${deadAfterMs} ms`);
    }
    if (!this.#asked && now - this.#heardAt >= pingAfterMs) {
      this.#asked = true;
      this.#options.onSilence();
    }
    const silenceDue = this.#heardAt + (this.#asked ? deadAfterMs : pingAfterMs);
    const progressDue = this.#progressAt === null ? Infinity : this.#progressAt + deadAfterMs;
    // Heard meanwhile, the next question may be due before the death of an earlier silence: never wait past it.
    this.#arm(Math.max(1, Math.min(silenceDue, progressDue, now + pingAfterMs) - now));
  }
}
