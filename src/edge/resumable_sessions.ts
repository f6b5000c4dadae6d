/** The sessions of `runnel.v2` that an agent can come back to, by the names that their handshakes gave them. */
import type { Clock } from "../base/mod.ts";
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
  | { readonly kind: "stale"; readonly epoch: number }
  /** Another agent got its tunnel while it had no link, of which it was not told. */
  | { readonly kind: "replaced"; readonly reason: string };

const unknown: ResumeVerdict = { kind: "unknown" };

/** Replaced sessions that are remembered. Those that were first are forgotten. */
const MAX_REPLACED = 1_000;

interface ReplacedSession {
  readonly ownerId: string;
  readonly reason: string;
  readonly until: number;
}

export class ResumableSessions {
  readonly #byName = new Map<string, ResumableSession>();
  readonly #replaced = new Map<string, ReplacedSession>();
  readonly #clock: Clock;
  readonly #rememberMs: number;

  /** @param rememberMs for how long an agent may come back to a session that was replaced */
  constructor(clock: Clock, rememberMs: number) {
    this.#clock = clock;
    this.#rememberMs = rememberMs;
  }

  /** Keeps the session until it is over. */
  add(resumable: ResumableSession): void {
    const { session } = resumable.point;
    this.#byName.set(session, resumable);
    void resumable.session.closed.then(({ code, reason }) => {
      this.#byName.delete(session);
      if (code === "replaced") this.#remember(session, resumable.owner.id, reason);
    });
  }

  /** Ends the session that is asked for, where its agent says what cannot be. */
  find({ session: name, epoch, received }: ResumeRequest, owner: TokenOwner): ResumeVerdict {
    const replaced = this.#replaced.get(name);
    if (replaced?.ownerId === owner.id && this.#clock.now() < replaced.until) {
      return { kind: "replaced", reason: replaced.reason };
    }
    const known = this.#byName.get(name);
    // Whether a session of another owner exists is not told.
    if (known === undefined || known.owner.id !== owner.id || known.owner.node !== owner.node) return unknown;
    if (epoch <= known.point.epoch) return { kind: "stale", epoch: known.point.epoch };
    if (known.point.connection.canResume(received)) return { kind: "known", known };
    known.session.close("Its agent came back with a count of frames that cannot be");
    return unknown;
  }

  #remember(session: string, ownerId: string, reason: string): void {
    if (this.#rememberMs === 0) return;
    if (this.#replaced.size >= MAX_REPLACED) this.#replaced.delete(this.#replaced.keys().next().value!);
    this.#replaced.set(session, { ownerId, reason, until: this.#clock.now() + this.#rememberMs });
  }
}
