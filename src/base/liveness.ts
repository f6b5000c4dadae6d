/**
 * Heartbeat: whether the peer is alive. Any byte proves it. After a silence a ping asks for one, after a longer silence
 * the peer counts as dead. Where frames are acknowledged, acknowledgement must make progress, too: a proxy on the way
 * may have lost one direction only.
 */
import type { Clock, Timer } from "./clock.ts";

export interface LivenessOptions {
  clock: Clock;
  /** Milliseconds of silence until `onSilence`. */
  pingAfterMs: number;
  /**
   * The same for a peer that has answered and of which nothing is wanted just now: each ping that is answered makes the
   * next wait longer by half, up to this. Default: `pingAfterMs`.
   */
  idlePingAfterMs?: number;
  /** True while something is wanted of the peer, so that its loss should be noticed soon. Default: it always is. */
  isBusy?(): boolean;
  /** Milliseconds of silence, or without progress of acknowledgement, until `onDead`. */
  deadAfterMs: number;
  /** Nothing was heard for `pingAfterMs`: send a ping. Called once for each silence. */
  onSilence(): void;
  /** The peer is dead. The last call. */
  onDead(reason: string): void;
  /** True while this side does not read, so that silence says nothing about the peer. Default: never. */
  isExempt?(): boolean;
  /** Milliseconds that the peer may be silent beyond `deadAfterMs` just now, as while it is busy. Default 0. */
  extraMs?(): number;
}

/** What an answered ping makes of the next wait. */
const IDLE_WAIT_GROWTH = 1.5;

export class Liveness {
  readonly #options: LivenessOptions;
  #heardAt: number;
  /** When acknowledgement last made progress, or the first unacknowledged frame was sent; null where there is none. */
  #progressAt: number | null = null;
  #hasPinged = false;
  /** How long the peer may be silent until the next ping, where nothing is wanted of it. */
  #idleWaitMs: number;
  #timer: Timer | null = null;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#idleWaitMs = options.pingAfterMs;
    this.#heardAt = options.clock.now();
    this.#arm(options.pingAfterMs);
  }

  /** Bytes arrived at `now`. */
  heard(now: number): void {
    this.#heardAt = now;
    if (!this.#hasPinged) return;
    this.#hasPinged = false;
    const { pingAfterMs, idlePingAfterMs = pingAfterMs } = this.#options;
    this.#idleWaitMs = Math.min(this.#idleWaitMs * IDLE_WAIT_GROWTH, idlePingAfterMs);
  }

  /** Frames were sent that must be acknowledged. */
  sent(now: number): void {
    this.#progressAt ??= now;
  }

  /** An acknowledgement made progress. @param framesLeft true: some frames are still not acknowledged */
  progressed(now: number, framesLeft: boolean): void {
    this.#progressAt = framesLeft ? now : null;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  get #pingAfterMs(): number {
    return this.#options.isBusy?.() === false ? this.#idleWaitMs : this.#options.pingAfterMs;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = null;
      this.#check();
    });
  }

  /** Runs at the earliest moment at which something could be due when the timer was set. */
  #check(): void {
    const { clock } = this.#options;
    const pingAfterMs = this.#pingAfterMs;
    const deadAfterMs = this.#options.deadAfterMs + (this.#options.extraMs?.() ?? 0);
    const now = clock.now();
    if (this.#options.isExempt?.()) this.heard(now);
    if (now - this.#heardAt >= deadAfterMs) return this.#options.onDead(`Nothing was heard for ${deadAfterMs} ms`);
    if (this.#progressAt !== null && now - this.#progressAt >= deadAfterMs) {
      return this.#options.onDead(`Nothing was acknowledged for ${deadAfterMs} ms`);
    }
    if (!this.#hasPinged && now - this.#heardAt >= pingAfterMs) {
      this.#hasPinged = true;
      this.#options.onSilence();
    }
    const silenceDue = this.#heardAt + (this.#hasPinged ? deadAfterMs : pingAfterMs);
    const progressDue = this.#progressAt === null ? Infinity : this.#progressAt + deadAfterMs;
    // Bytes that arrive meanwhile make a ping due before `silenceDue`, and so does something that is wanted from now on:
    // the wait is never longer than the shortest one until a ping.
    const lookAgainAt = now + this.#options.pingAfterMs;
    this.#arm(Math.max(1, Math.min(silenceDue, progressDue, lookAgainAt) - now));
  }
}
