/** One agent's session with an edge, as each of the two sees it. Only its class knows which protocol carries it. */
import type { RunnelError } from "../base/mod.ts";
import type { Handler } from "../http/mod.ts";

/** Why a session ended; for logs and events. */
export interface SessionEnd {
  /** At an agent `replaced` where another one took its name: it must not come back by itself. */
  readonly code: string;
  readonly reason: string;
}

/** What an agent's session tells while its link is lost, and it tries to go on over another one. */
export interface LinkEvents {
  onSuspended(reason: string): void;
  /** Dial number `attempt` since the link was lost follows in `inMs`. `because`: why the last one failed, or null. */
  onRedial(attempt: number, inMs: number, because: RunnelError | null): void;
  /** The session goes on. @param streams exchanges that were kept */
  onResumed(suspendedMs: number, streams: number): void;
}

/** What a session is at both ends, and all that the agent needs of it. */
export interface Session {
  /** Exchanges under way. */
  readonly active: number;
  /** Resolves when the session is over, for whatever reason; never rejects. Its link may take longer to close. */
  readonly closed: Promise<SessionEnd>;
  /** Resolves once the other side has announced that it leaves; never rejects. Default: this protocol does not tell. */
  readonly peerLeaving?: Promise<void>;
  /** Starts no further exchange, lets those under way end, then closes. */
  drain(): Promise<void>;
  /** Ends it now: exchanges under way break off. */
  close(reason: string): void;
  /** Who is told of the link, at an agent. Sessions that end with their link tell nothing. Default: nobody. */
  linkEvents?: LinkEvents | null;
}

/** An agent as the edge's registry and router see it: a handler of requests, with a name. */
export interface EdgeSession extends Session {
  /** Unique on this edge while it runs; for logs. */
  readonly id: string;
  readonly protocol: "json" | "v2";
  /** Asks the agent's upstream. A session of the JSON protocol collects the request's body first; v2 streams it. */
  readonly open: Handler;
  /** Bytes held for its exchanges, both directions. */
  readonly bufferedBytes: number;
  /** Body bytes that were sent to the agent so far, and that came from it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The last measured round trip to the agent in milliseconds; null before the first. */
  readonly rttMs: number | null;
  /** True once the agent has announced that it leaves: it takes no new requests, and finishes those under way. */
  readonly isLeaving: boolean;
  /** True while its link is lost and its agent is waited for. Never of the JSON protocol. */
  readonly isSuspended: boolean;
  /** Milliseconds for which it was suspended, all times together. It grows meanwhile. */
  readonly suspendedMs: number;
  /**
   * Tells `listener` when it is suspended and when it goes on; its end is told by `closed`. The returned function ends
   * that.
   */
  watchSuspension(listener: (isSuspended: boolean) => void): () => void;
  /** From now on it ends with its link. One that is suspended ends now: nobody can come back to it. */
  endWithLink(): void;
  /**
   * Tells the agent that `drain()` follows, so that it goes to another edge meanwhile. Requests are still taken. Default:
   * this protocol cannot tell.
   */
  announceDrain?(): void;
  /** Ends it now, and tells the agent that another session took its tunnel's name. */
  replace(reason: string): void;
  /**
   * Tells the agent that it has lost one of its tunnels, and goes on with the others. False where the agent does not take
   * such news, or this protocol has none. Default: it has none.
   */
  withdraw?(tunnel: string, code: string, reason: string): boolean;
  /** Resolves whether the agent answered a ping within `timeoutMs`; never rejects. */
  ping(timeoutMs: number): Promise<boolean>;
}
