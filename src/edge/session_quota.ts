/** How many agents may be connected with one token. What one token holder opens leaves room for the others. */
import type { EdgeSession } from "../session/mod.ts";

/** Twice the names of a token: a session that was lost counts until it is over, and its agent is back before. */
export const DEFAULT_MAX_SESSIONS_PER_OWNER = 200;

/** One for all acceptors of an edge. */
export class SessionQuota {
  readonly #maxSessions: number;
  readonly #onFull: (reason: string) => void;
  readonly #counts = new Map<string, number>();

  /**
   * @param maxSessions of one owner
   * @param onFull told of each session that is refused
   */
  constructor(maxSessions: number = DEFAULT_MAX_SESSIONS_PER_OWNER, onFull: (reason: string) => void = () => {}) {
    this.#maxSessions = maxSessions;
    this.#onFull = onFull;
  }

  /** Why `owner` may have no further session, as a sentence without full stop; null where it may. */
  refusal(owner: string): string | null {
    const count = this.#counts.get(owner) ?? 0;
    if (count < this.#maxSessions) return null;
    const reason = `The token has ${count} sessions, as many as --sessions-per-token of the edge lets it have`;
    this.#onFull(reason);
    return reason;
  }

  /** Counts `session` until it is over. */
  add(owner: string, session: Pick<EdgeSession, "closed">): void {
    this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1);
    void session.closed.then(() => this.#remove(owner));
  }

  #remove(owner: string): void {
    const left = (this.#counts.get(owner) as number) - 1;
    if (left === 0) this.#counts.delete(owner);
    else this.#counts.set(owner, left);
  }
}
