/** The agent's end of a session on `runnel.v2`. Its requests are served by the connection's `onStream`. */
import { ErrorCode } from "../../httpstream/mod.ts";
import type { LinkEvents, Session, SessionEnd } from "../session.ts";
import type { SessionConnection } from "./connection.ts";

export class V2AgentSession implements Session {
  linkEvents: LinkEvents | null = null;
  readonly closed: Promise<SessionEnd>;
  readonly #connection: SessionConnection;

  constructor(connection: SessionConnection) {
    this.#connection = connection;
    this.closed = connection.closed.then(({ code, error, reason }) => {
      if (code === ErrorCode.REPLACED) return { code: "replaced", reason };
      return { code: error?.code ?? "closed", reason: error?.reason ?? (reason || "The edge closed the connection") };
    });
  }

  get active(): number {
    return this.#connection.streams;
  }

  /** Bytes held for its requests, both directions; bounded as `Connection.bufferedBytes` is. */
  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  /** Bytes that were sent, and that the edge has not acknowledged yet. */
  get keptBytes(): number {
    return this.#connection.keptBytes;
  }

  get peerLeaving(): Promise<void> {
    return this.#connection.peerLeaving;
  }

  async drain(): Promise<void> {
    const { isSuspended, keptBytes } = this.#connection;
    // Nothing runs, and the edge has all that was sent: there is nothing to come back for.
    if (isSuspended && this.active === 0 && keptBytes === 0) this.close("The agent left while its link was lost");
    await this.#connection.drain();
  }

  close(reason: string): void {
    this.#connection.close(undefined, reason);
  }
}
