/** The WebSocket under a JSON session, and the heartbeat that both ends keep on it. */
import { type Clock, Liveness } from "../../base/mod.ts";
import type { WebSocketConnection } from "../../websocket/mod.ts";

/** What the sessions use of a WebSocket; text messages only. The edge's session gets them as bytes, the agent's as text. */
export type JsonLink = Pick<
  WebSocketConnection,
  "handlers" | "sendText" | "sendTextBytes" | "close" | "abort" | "pause" | "resume" | "ping" | "bufferedBytes"
>;

const maxReasonBytes = 123;

/** As much of `text` as a close frame can carry (RFC 6455 §5.5): 123 bytes of UTF-8, whole characters. */
export function closeReason(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxReasonBytes));
  return text.slice(0, read);
}

/** Milliseconds of silence before a ping, and before the other end counts as dead. */
export const heartbeatDefaults = { pingMs: 10_000, deadMs: 25_000 };

export interface HeartbeatEvents {
  /** True while this side does not read the link: its silence then says nothing about the other end. */
  isExempt(): boolean;
  onDead(): void;
}

/** The heartbeat of a JSON session: WebSocket pings, and a question whether the other end lives. */
export class JsonHeartbeat {
  readonly #link: JsonLink;
  readonly #clock: Clock;
  readonly #liveness: Liveness;
  readonly #askers = new Set<(isAlive: boolean) => void>();

  constructor(link: JsonLink, clock: Clock, events: HeartbeatEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#liveness = new Liveness({
      clock,
      pingAfterMs: heartbeatDefaults.pingMs,
      deadAfterMs: heartbeatDefaults.deadMs,
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
    for (const answer of [...this.#askers]) answer(true);
  }

  /** Pings now. Resolves whether a pong came within `timeoutMs`. */
  ask(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isAlive: boolean) => {
        timer.cancel();
        this.#askers.delete(settle);
        resolve(isAlive);
      };
      const timer = this.#clock.after(timeoutMs, () => settle(false));
      this.#askers.add(settle);
      this.#link.ping();
    });
  }

  stop(): void {
    this.#liveness.stop();
    for (const answer of [...this.#askers]) answer(false);
  }
}
