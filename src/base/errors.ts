/**
 * The base of every error that Runnel throws or reports. One subclass a kind stands beside the code that throws it;
 * this file knows none of them.
 */

/** Who began it: the caller of the library, Runnel itself, or the other end of a socket. */
export type Initiator = "user" | "library" | "remote";

export interface RunnelErrorInit {
  /** Stable, lower snake case; scripts match on it. */
  code: string;
  /** One sentence for a person: what happened, with the value, no full stop. */
  reason: string;
  initiator: Initiator;
  /** True where the same call may succeed later without a change. Default false. */
  retryable?: boolean;
  cause?: unknown;
}

export abstract class RunnelError extends Error {
  readonly code: string;
  readonly reason: string;
  readonly initiator: Initiator;
  readonly retryable: boolean;

  constructor(init: RunnelErrorInit) {
    super(init.reason, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = new.target.name;
    this.code = init.code;
    this.reason = init.reason;
    this.initiator = init.initiator;
    this.retryable = init.retryable ?? false;
  }
}
