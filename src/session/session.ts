/** One agent's session with an edge, as each of the two sees it. Only its class knows which protocol carries it. */
import type { Handler } from "../http/mod.ts";

/** Why a session ended; for logs and events. */
export interface SessionEnd {
  /** At an agent `replaced` where another one took its name: it must not come back by itself. */
  readonly code: string;
  readonly reason: string;
}

/** What a session is at both ends, and all that the agent needs of it. */
export interface Session {
  /** Exchanges under way. */
  readonly active: number;
  /** Resolves when the session is over, for whatever reason; never rejects. Its link may take longer to close. */
  readonly closed: Promise<SessionEnd>;
  /** Starts no further exchange, lets those under way end, then closes. */
  drain(): Promise<void>;
  /** Ends it now: exchanges under way break off. */
  close(reason: string): void;
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
