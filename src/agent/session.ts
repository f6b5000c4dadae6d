/** The agent's end of a session, whichever protocol it speaks. */
import type { SessionEnd } from "../session/mod.ts";

export interface AgentSession {
  /** Settles when the session is over; never rejects. */
  readonly closed: Promise<SessionEnd>;
  /** Requests under way. */
  readonly active: number;
  /** Lets what runs end, then closes. */
  drain(): Promise<void>;
  /** Ends it now. */
  close(reason: string): void;
}

/** A tunnel that is open. */
export interface OpenTunnel {
  readonly session: AgentSession;
  /** Where the public finds it. */
  readonly url: string;
  readonly name: string;
  readonly tunnelId: string;
}

/** Dials once, and opens the tunnel. Rejects with `AgentError`. */
export type OpenTunnelOnce = (signal: AbortSignal) => Promise<OpenTunnel>;
