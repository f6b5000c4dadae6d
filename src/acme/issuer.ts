/** What issues certificates, and what it needs for that. The CA behind it can be replaced. */
import { nameErrorClass, RunnelError } from "../base/mod.ts";

/** How the CA is shown that a name is ours (RFC 8555 §8.3, §8.4). A wildcard takes `dns-01`. */
export type ChallengeType = "http-01" | "dns-01";

/** What the CA looks for while a challenge is open. */
export interface Proof {
  /** The name that it proves, without `*.`. */
  readonly host: string;
  /** With `http-01`: the last part of the path that the CA asks `host` for. With `dns-01` it is not looked at. */
  readonly token: string;
  /** What it must find: the answer's body, or the text of a TXT record of `_acme-challenge.` and the host. */
  readonly text: string;
}

/** Puts proofs where the CA looks for them. */
export interface Prover {
  /** Resolves once the CA finds it. @throws {AcmeError} */
  present(proof: Proof): Promise<void>;
  /** Removes it, whether `present` has succeeded or not. @throws {AcmeError} */
  cleanUp(proof: Proof): Promise<void>;
}

export interface IssueRequest {
  /** All names of the certificate. */
  readonly names: readonly string[];
  readonly challenge: ChallengeType;
  readonly prover: Prover;
}

/** In PEM. */
export interface IssuedCertificate {
  /** The certificate of the names, then those that lead to the CA. */
  readonly chain: string;
  readonly key: string;
}

export interface Issuer {
  /** Orders a certificate, with a new key. @throws {AcmeError} with the sentence of the CA, or why it was not reached */
  issue(request: IssueRequest): Promise<IssuedCertificate>;
}

/** A certificate was not issued. Code `acme_failed`; `reason` names what failed, and has the words of the CA. */
export class AcmeError extends RunnelError {
  static {
    nameErrorClass(this, "AcmeError");
  }

  constructor(reason: string, cause?: unknown) {
    super({ code: "acme_failed", reason, initiator: "remote", retryable: true, cause });
  }
}
