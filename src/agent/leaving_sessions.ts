/** The sessions of an agent that another session took the place of. They finish what runs on them. */
import type { Session } from "../session/mod.ts";

export class LeavingSessions {
  readonly #sessions = new Set<Session>();
  /** Their edge has announced that it leaves. It ends them when its visitors have gone. */
  readonly #leftByEdge = new WeakSet<Session>();

  /** Exchanges under way. */
  get active(): number {
    let count = 0;
    for (const session of this.#sessions) count += session.active;
    return count;
  }

  /** The edge of `session`, which serves still, has announced that it leaves. */
  noteEdgeLeaves(session: Session): void {
    this.#leftByEdge.add(session);
  }

  /** Another one has taken the place of `session`. */
  add(session: Session): void {
    this.#sessions.add(session);
    session.linkEvents = null;
    // Visitors of an edge that leaves may still ask by connections that they have.
    if (!this.#leftByEdge.has(session)) void session.drain();
    void session.closed.then(() => this.#sessions.delete(session));
  }

  /** Lets the requests under way end. Resolves when they have. */
  async drain(): Promise<void> {
    await Promise.all(Array.from(this.#sessions, (session) => session.drain()));
  }

  /** Ends all of them now. */
  close(reason: string): void {
    for (const session of this.#sessions) session.close(reason);
  }

  /** Resolves when those that leave now have closed. */
  async closed(): Promise<void> {
    await Promise.all(Array.from(this.#sessions, (session) => session.closed));
  }
}
