/** What a session tells of its link, as events of the agent. */
import type { RunnelError } from "../base/mod.ts";
import type { LinkEvents, SessionEnd } from "../session/mod.ts";
import { AgentError } from "./errors.ts";

/** Of an agent that reconnects. */
export interface ReconnectEvents {
  /** The link is lost, other than by `drain()` or `close()`. Whether the session is, too, is told by what follows. */
  onDisconnected?(end: SessionEnd): void;
  /**
   * Attempt number `attempt` follows in `inMs`, counted from the last session that has lived for `stableMs`. `because`:
   * why the last attempt failed; null before the first behind a session.
   */
  onReconnecting?(attempt: number, inMs: number, because: AgentError | null): void;
  /** The session goes on over another link. @param streams exchanges that were kept */
  onResumed?(suspendedMs: number, streams: number): void;
}

export class LinkReport implements LinkEvents {
  /** True while the link of the session is lost, of which was told. */
  isCut = false;
  readonly #events: ReconnectEvents;

  constructor(events: ReconnectEvents) {
    this.#events = events;
  }

  onSuspended(reason: string): void {
    this.isCut = true;
    this.#events.onDisconnected?.({ code: "link_lost", reason });
  }

  onRedial(attempt: number, inMs: number, because: RunnelError | null): void {
    this.#events.onReconnecting?.(attempt, inMs, because instanceof AgentError ? because : null);
  }

  onResumed(suspendedMs: number, streams: number): void {
    this.isCut = false;
    this.#events.onResumed?.(suspendedMs, streams);
  }
}
