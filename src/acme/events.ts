/** What becomes of orders, for the log and the feed. */
import type { ChallengeType } from "./issuer.ts";

export interface IssuedNames {
  /** All names of the certificate. */
  readonly names: readonly string[];
  /** When it ends, in milliseconds since 1970. */
  readonly notAfter: number;
  /** True where it replaces another one of the same names. */
  readonly isRenewal: boolean;
}

export interface FailedOrder {
  readonly names: readonly string[];
  readonly challenge: ChallengeType;
  /** A sentence without full stop, with the words of the CA. */
  readonly reason: string;
  /** Milliseconds for which none is ordered. */
  readonly retryInMs: number;
  /** When the certificate that goes on being served ends, in milliseconds since 1970; null where there is none. */
  readonly oldNotAfter: number | null;
}

/** A name whose last order failed, and which waits for the next one. */
export interface WaitingName {
  readonly name: string;
  /** That of the failure. */
  readonly reason: string;
  /** None is ordered before, in milliseconds since 1970. */
  readonly retryAt: number;
}

export interface AcmeEvents {
  onIssued?(issued: IssuedNames): void;
  onFailed?(failed: FailedOrder): void;
  /** At the start: the name waits still, over the restart. */
  onWaiting?(waiting: WaitingName): void;
  /** None is ordered for `name`, although a tunnel wants it: told once in 10 minutes. `reason` is a sentence. */
  onNotOrdered?(name: string, reason: string): void;
  /** A file of the folder cannot be read or written. */
  onFileFault?(path: string, reason: string): void;
}
