/**
 * Heartbeat: does the peer live? Any byte is a sign. After a silence a ping asks for one, after a longer silence the
 * peer is dead. Where frames are acknowledged, acknowledgement must make progress, too: a proxy on the way may swallow
 * one direction and keep the other.
 */
import type { Clock, Timer } from "./clock.ts";

export interface LivenessOptions {
  clock: Clock;
  pingAfterMs: number;
  deadAfterMs: number;
  /** Nothing was heard for `pingAfterMs`: send a ping. Called once for each silence. */
  onSilence(): void;
  /** The peer is dead. The last call. */
  onDead(reason: string): void;
  /** True while this side does not read, so that silence says nothing about the peer. Default: never. */
  isExempt?(): boolean;
}

export class Liveness {
  readonly #options: LivenessOptions;
  #heardAt: number;
  /** When acknowledgement last made progress, or when the first unacknowledged frame left; null where none waits. */
  #progressAt: number | null = null;
  #hasAsked = false;
  #timer: Timer | null = null;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#arm(options.pingAfterMs);
  }

  /** A byte came in at `now`. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#hasAsked = false;
  }

  /** Frames left that want an acknowledgement. */
  sent(now: number): void {
    this.#progressAt ??= now;
  }

  /** An acknowledgement made progress. */
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

  /** Called at the next moment at which something can be due, as known when the timer was set. */
  #check(): void {
    const { clock, pingAfterMs, deadAfterMs } = this.#options;
    const now = clock.now();
    if (this.#options.isExempt?.()) this.heard(now);
    if (now - this.#heardAt >= deadAfterMs) return this.#options.onDead(`Nothing was heard for ${deadAfterMs} ms`);
    if (this.#progressAt !== null && now - this.#progressAt >= deadAfterMs) {
      return this.#options.onDead(`Nothing was acknowledged for ${deadAfterMs} ms`);
    }
    if (!this.#hasAsked && now - this.#heardAt >= pingAfterMs) {
      this.#hasAsked = true;
      this.#options.onSilence();
    }
    const silenceDue = this.#heardAt + (this.#hasAsked ? deadAfterMs : pingAfterMs);
    const progressDue = this.#progressAt === null ? Infinity : this.#progressAt + deadAfterMs;
    // A byte that comes meanwhile makes a ping due again before `silenceDue`, so never wait longer than that.
    this.#arm(Math.max(1, Math.min(silenceDue, progressDue, now + pingAfterMs) - now));
  }
}
