/** The sessions of `runnel.v2` that an agent can come back to, by the names that their handshakes gave them. */
import type { ResumePoint, ResumeRequest } from "../httpstream/mod.ts";
import type { EdgeSession } from "../session/mod.ts";
import type { AgentPeer } from "./agent_identity.ts";
import type { TokenOwner } from "./tokens.ts";

export interface ResumableSession {
  readonly session: EdgeSession;
  readonly point: ResumePoint;
  /** Whose it is. An agent may come back with a newer token of the same owner. */
  owner: TokenOwner;
  peer: AgentPeer;
}

/** What a request to resume meets. */
export type ResumeVerdict =
  /** It can go on. */
  | { readonly kind: "known"; readonly known: ResumableSession }
  /** The edge has no such session, or not for this agent: it gets a fresh one. */
  | { readonly kind: "unknown" }
  /** A later dial of the session was taken before. */
  | { readonly kind: "stale"; readonly epoch: number };

const unknown: ResumeVerdict = { kind: "unknown" };

export class ResumableSessions {
  readonly #byName = new Map<string, ResumableSession>();

  /** Keeps the session until it is over. */
  add(resumable: ResumableSession): void {
    const { session } = resumable.point;
    this.#byName.set(session, resumable);
    void resumable.session.closed.then(() => this.#byName.delete(session));
  }

  /** Ends the session that is asked for, where its agent says what cannot be. */
  find({ session: name, epoch, received }: ResumeRequest, owner: TokenOwner): ResumeVerdict {
    const known = this.#byName.get(name);
    // Whether a session of another owner exists is not told.
    if (known === undefined || known.owner.id !== owner.id || known.owner.node !== owner.node) return unknown;
    if (epoch <= known.point.epoch) return { kind: "stale", epoch: known.point.epoch };
    if (known.point.connection.canResume(received)) return { kind: "known", known };
    known.session.close("Its agent came back with a count of frames that cannot be");
    return unknown;
  }
}
