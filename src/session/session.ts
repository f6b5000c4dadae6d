/**
 * One agent, as registry, router and exchange see it: something that can be asked. Which protocol it speaks, and
 * whether its link ends in this process, is nobody's business but its own.
 */
import type { Handler } from "../http/mod.ts";

/** Why a session ended; for logs and events. */
export interface SessionEnd {
  readonly code: string;
  readonly reason: string;
}

export interface Session {
  /** Unique on this edge while it runs; in logs. */
  readonly id: string;
  readonly protocol: "json" | "v2";
  /** Asks the agent's upstream: answer head and body. The JSON session collects the body, the binary one streams it. */
  readonly open: Handler;
  /** Exchanges under way. */
  readonly active: number;
  /** Settles once the session is over, however it came; never rejects. */
  readonly closed: Promise<SessionEnd>;
  /** Resolves true when the agent answered within `timeoutMs`: is it alive, or only not known to be dead? */
  ping(timeoutMs: number): Promise<boolean>;
  /** Opens nothing more, lets what runs end, then closes. */
  drain(): Promise<void>;
  /** Ends it now; what runs breaks off. */
  close(reason: string): void;
}
