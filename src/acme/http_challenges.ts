/** Open challenges of `http-01` (RFC 8555 §8.3), which the edge answers. It knows those of its own orders alone. */
import type { Proof, Prover } from "./issuer.ts";

export class HttpChallenges implements Prover {
  /** By token. There are as many as names of orders that are under way. */
  readonly #open = new Map<string, Proof>();

  present(proof: Proof): Promise<void> {
    this.#open.set(proof.token, proof);
    return Promise.resolve();
  }

  cleanUp({ token }: Proof): Promise<void> {
    this.#open.delete(token);
    return Promise.resolve();
  }

  /** The body for `GET http://host/.well-known/acme-challenge/token`; null where that is no challenge of ours. */
  answer(host: string, token: string): string | null {
    const proof = this.#open.get(token);
    return proof?.host === host ? proof.text : null;
  }
}
