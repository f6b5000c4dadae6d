/**
 * The heartbeat of a session of the JSON protocol, the same at both ends: WebSocket pings. A peer that serves one request
 * after the other answers none while it is busy with one, and is given more time.
 */
import { type Clock, Liveness } from "../../base/mod.ts";
import type { JsonLink } from "./link.ts";

/** Silence until a ping is sent. */
const PING_AFTER_MS = 10_000;
/** Silence until the peer counts as dead. */
export const DEAD_AFTER_MS = 25_000;
/** The longest request for which a busy peer may be silent, and from there as long as from a ping to death. */
export const BUSY_DEAD_AFTER_MS = 60_000 + DEAD_AFTER_MS - PING_AFTER_MS;

export interface HeartbeatEvents {
  /** True while this side does not read the link, so that silence says nothing about the peer. */
  isExempt(): boolean;
  /** True while the peer may be unable to answer a ping, because it is busy with a request. */
  isBusy(): boolean;
  /** The peer is dead, after so many milliseconds of silence. The last call. */
  onDead(silentMs: number): void;
}

export class JsonHeartbeat {
  readonly #link: Pick<JsonLink, "ping">;
  readonly #clock: Clock;
  readonly #events: HeartbeatEvents;
  readonly #liveness: Liveness;
  /** The calls of `ping()` that wait for a pong. */
  readonly #waiting = new Set<(isAlive: boolean) => void>();
  /** Of the last ping that was not answered; null where none waits. */
  #pingedAt: number | null = null;
  #rttMs: number | null = null;

  constructor(link: Pick<JsonLink, "ping">, clock: Clock, events: HeartbeatEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#events = events;
    this.#liveness = new Liveness({
      clock,
      pingAfterMs: PING_AFTER_MS,
      deadAfterMs: DEAD_AFTER_MS,
      onSilence: () => this.#ping(),
      onDead: () => events.onDead(DEAD_AFTER_MS + this.#extraMs()),
      isExempt: () => events.isExempt(),
      extraMs: () => this.#extraMs(),
    });
  }

  /** The last measured round trip in milliseconds; null before the first. */
  get rttMs(): number | null {
    return this.#rttMs;
  }

  onBytes(): void {
    this.#liveness.heard(this.#clock.now());
  }

  onPong(): void {
    this.onBytes();
    if (this.#pingedAt !== null) this.#rttMs = this.#clock.now() - this.#pingedAt;
    this.#pingedAt = null;
    for (const finish of [...this.#waiting]) finish(true);
  }

  /**
   * Pings now. Resolves whether a pong came within `timeoutMs`, or the peer is busy then; false where the heartbeat is
   * stopped before.
   */
  ping(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (isAlive: boolean) => {
        timer.cancel();
        this.#waiting.delete(finish);
        resolve(isAlive);
      };
      const timer = this.#clock.after(timeoutMs, () => finish(this.#events.isBusy()));
      this.#waiting.add(finish);
      this.#ping();
    });
  }

  /** Of two pings on their way, the first one is measured: its pong is the first to come. */
  #ping(): void {
    this.#pingedAt ??= this.#clock.now();
    this.#link.ping();
  }

  #extraMs(): number {
    return this.#events.isBusy() ? BUSY_DEAD_AFTER_MS - DEAD_AFTER_MS : 0;
  }

  stop(): void {
    this.#liveness.stop();
    for (const finish of [...this.#waiting]) finish(false);
  }
}
