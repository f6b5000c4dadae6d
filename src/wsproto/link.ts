/** The WebSocket under a JSON session, and the heartbeat that both ends keep on it. */
import type { Clock, Timer } from "../clock.ts";
import type { WebSocketConnection } from "../websocket/mod.ts";

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
  /** True while we do not read the link ourselves: its silence then says nothing about the other end. */
  isExempt(): boolean;
  onDead(): void;
}

/** Any byte is a sign of life; a ping asks for one after 10 s of silence, and after 25 s the other end is dead. */
export class JsonHeartbeat {
  readonly #link: JsonLink;
  readonly #clock: Clock;
  readonly #events: HeartbeatEvents;
  readonly #askers = new Set<(alive: boolean) => void>();
  #heardAt: number;
  #timer: Timer | null = null;

  constructor(link: JsonLink, clock: Clock, events: HeartbeatEvents) {
    this.#link = link;
    this.#clock = clock;
    this.#events = events;
    this.#heardAt = clock.now();
    this.#arm(heartbeatDefaults.pingMs);
  }

  get silentMs(): number {
    return this.#clock.now() - this.#heardAt;
  }

  onBytes(): void {
    this.#heardAt = this.#clock.now();
  }

  onPong(): void {
    this.onBytes();
    for (const answer of [...this.#askers]) answer(true);
  }

  /** Pings now; resolves whether a pong came within `timeoutMs`. */
  ask(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (alive: boolean) => {
        timer.cancel();
        this.#askers.delete(settle);
        resolve(alive);
      };
      const timer = this.#clock.after(timeoutMs, () => settle(false));
      this.#askers.add(settle);
      this.#link.ping();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const answer of [...this.#askers]) answer(false);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#check());
  }

  #check(): void {
    if (this.#events.isExempt()) this.onBytes();
    const { pingMs, deadMs } = heartbeatDefaults;
    const silentMs = this.silentMs;
    if (silentMs >= deadMs) return this.#events.onDead();
    if (silentMs >= pingMs) this.#link.ping();
    const left = (silentMs < pingMs ? pingMs : deadMs) - silentMs;
    this.#arm(Math.max(left, 1));
  }
}
