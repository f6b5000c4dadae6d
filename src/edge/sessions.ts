/** The agents that are connected, as whoever operates the edge sees them. */
import type { EdgeSession, SessionEnd } from "../session/mod.ts";
import type { AgentPeer } from "./agent_identity.ts";
import type { TokenOwner } from "./tokens.ts";

/** What does not change about a session. */
export interface AgentSession {
  /** Unique on this edge while it runs. */
  readonly id: string;
  /** The node whose token the agent showed; null where it is that of no node. */
  readonly node: string | null;
  readonly protocol: "json" | "v2";
  readonly peer: Pick<AgentPeer, "address" | "version">;
  /** RFC 3339, in UTC. */
  readonly connectedAt: string;
}

/** A session as it is now. Bytes and streams are those since it began. */
export interface SessionFacts extends AgentSession {
  /** True once the agent has announced that it leaves: it takes no new requests. */
  readonly isLeaving: boolean;
  /** True while its link is lost and its agent is waited for. */
  readonly isSuspended: boolean;
  /** Milliseconds of the last measured round trip; null before the first. */
  readonly rttMs: number | null;
  /** The names of its tunnels, in the order in which they were opened. */
  readonly tunnels: readonly string[];
  /** Exchanges under way. */
  readonly streams: number;
  /** Body bytes of visitors, and of the answers to them. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes that are held for its exchanges. */
  readonly bufferedBytes: number;
}

export interface SessionListEvents {
  onConnected?(session: AgentSession): void;
  /** Its link is lost, and its agent is waited for. @param streams exchanges under way, which stand still */
  onSuspended?(session: AgentSession, streams: number): void;
  /** Its agent is back. @param suspendedMs for how long it was waited for */
  onResumed?(session: AgentSession, suspendedMs: number, streams: number): void;
  /** @param tunnels those that it had opened */
  onDisconnected?(session: AgentSession, end: SessionEnd, tunnels: readonly string[]): void;
}

interface Member {
  facts: AgentSession;
  readonly tunnels: Set<string>;
}

export class SessionList {
  readonly #members = new Map<EdgeSession, Member>();
  readonly #events: SessionListEvents;

  constructor(events: SessionListEvents = {}) {
    this.#events = events;
  }

  /** Lists `session` until it is over. One that is listed already has its agent back, maybe with another address. */
  add(session: EdgeSession, { node }: Pick<TokenOwner, "node">, peer: AgentPeer): void {
    const { id, protocol } = session;
    // Without its key: whoever has that, and the token, takes its names over.
    const { address, version } = peer;
    const known = this.#members.get(session);
    if (known !== undefined) {
      known.facts = { ...known.facts, peer: { address, version } };
      return;
    }
    const facts: AgentSession = {
      id,
      node,
      protocol,
      peer: { address, version },
      connectedAt: new Date().toISOString(),
    };
    const member: Member = { facts, tunnels: new Set() };
    this.#members.set(session, member);
    this.#events.onConnected?.(facts);
    let suspendedBeforeMs = 0;
    session.watchSuspension((isSuspended) => {
      const { suspendedMs, active } = session;
      if (isSuspended) this.#events.onSuspended?.(member.facts, active);
      else this.#events.onResumed?.(member.facts, suspendedMs - suspendedBeforeMs, active);
      suspendedBeforeMs = suspendedMs;
    });
    void session.closed.then((end) => {
      this.#members.delete(session);
      this.#events.onDisconnected?.(member.facts, end, [...member.tunnels]);
    });
  }

  /** The session opened a tunnel. */
  opened(session: EdgeSession, tunnel: string): void {
    this.#members.get(session)?.tunnels.add(tunnel);
  }

  /** The session does not have the tunnel any more. */
  lost(session: EdgeSession, tunnel: string): void {
    this.#members.get(session)?.tunnels.delete(tunnel);
  }

  /** From the oldest to the newest. Made at the call. */
  list(): SessionFacts[] {
    return Array.from(this.#members, ([session, { facts, tunnels }]) => {
      const { isLeaving, isSuspended, rttMs, active: streams, bytesIn, bytesOut, bufferedBytes } = session;
      return {
        ...facts,
        isLeaving,
        isSuspended,
        rttMs,
        tunnels: [...tunnels],
        streams,
        bytesIn,
        bytesOut,
        bufferedBytes,
      };
    });
  }
}
