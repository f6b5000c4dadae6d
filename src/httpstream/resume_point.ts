/**
 * Where an agent comes back to a connection that has lost its link. Several of its dials may be under way, and the last
 * one counts: the epoch tells which that is.
 */
import type { Connection } from "./connection.ts";
import type { Link } from "./link.ts";

export class ResumePoint {
  /** Of the handshake. */
  readonly session: string;
  readonly connection: Connection;
  #epoch = 0;

  constructor(session: string, connection: Connection) {
    this.session = session;
    this.connection = connection;
  }

  /** The epoch of the newest dial; 0 before the first one that resumes. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * A dial is taken: the link before is given up, so that what was received does not change any more. Returns the number
   * of counted frames for the answer. The epoch must be above the last one.
   */
  take(epoch: number): number {
    this.#epoch = epoch;
    this.connection.detach("The agent came by another link");
    return this.connection.receivedFrames;
  }

  /**
   * The link of the dial with that epoch. It is given up where a later dial was taken meanwhile.
   *
   * @param received of the dial: counted frames that the agent has taken
   */
  attach(link: Link, epoch: number, received: number): void {
    if (epoch === this.#epoch) this.connection.resume(link, received);
    else link.abort();
  }
}
