/** The heartbeat of a session of the JSON protocol, the same at both ends: WebSocket pings. */
import { type Clock, Liveness } from "../../base/mod.ts";
import type { JsonLink } from "./link.ts";

/** Silence until a ping is sent. */
const PING_AFTER_MS = 10_000;
/** Silence until the peer counts as dead. */
export const DEAD_AFTER_MS = 25_000;

export interface HeartbeatEvents {
  /** True while this side does not read the link, so that silence says nothing about the peer. */
  isExempt(): boolean;
  /** The peer is dead. The last call. */
  onDead(): void;
}

export class JsonHeartbeat {
  readonly #link: Pick<JsonLink, "ping">;
  readonly #clock: Clock;
  readonly #liveness: Liveness;
  /** The calls of `ping()` that wait for a pong. */
  readonly #waiting = new Set<(isAlive: boolean) => void>();

  constructor(link: Pick<JsonLink, "ping">, clock: Clock, events: HeartbeatEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#liveness = new Liveness({
      clock,
      pingAfterMs: PING_AFTER_MS,
      deadAfterMs: DEAD_AFTER_MS,
      onSilence: () => void link.ping(),
      onDead: () => events.onDead(),
      isExempt: () => events.isExempt(),
    });
  }

  onBytes(): void {
    this.#liveness.heard(this.#clock.now());
  }

  onPong(): void {
    this.onBytes();
    for (const finish of [...this.#waiting]) finish(true);
  }

  /** Pings now. Resolves whether a pong came within `timeoutMs`; false where the heartbeat is stopped before. */
  ping(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (isAlive: boolean) => {
        timer.cancel();
        this.#waiting.delete(finish);
        resolve(isAlive);
      };
      const timer = this.#clock.after(timeoutMs, () => finish(false));
      this.#waiting.add(finish);
      this.#link.ping();
    });
  }

  stop(): void {
    this.#liveness.stop();
    for (const finish of [...this.#waiting]) finish(false);
  }
}
