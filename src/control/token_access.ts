/** Whose a token is, and which tunnels it may open. */
import { declaredRefusal } from "../config/mod.ts";
import type { TokenRecord } from "../store/mod.ts";
import type { Directory } from "./directory.ts";
import { matchesPattern } from "./patterns.ts";

/** The owner of a token. Names and sessions are counted for `id`. */
export interface Access {
  readonly id: string;
  /** Public: sessions are ended by it. */
  readonly tokenId: string;
  /** The node; null where the token opens names. */
  readonly node: string | null;
  /** False once the token has ended. */
  isValid(): boolean;
  /** For whom the tunnel `name` is kept while it is offline: a declared one for all of its nodes. */
  ownerOf(name: string): string;
  /** Why it may not open the tunnel `name`, as a sentence without full stop; null where it may. */
  refusalOf(name: string): string | null;
}

export class TokenAccess {
  readonly #directory: Directory;

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** Null for a text that is no token, or one that has ended. */
  check(token: string): Access | null {
    const record = this.#directory.tokenOf(token);
    return record === null ? null : this.#accessOf(record);
  }

  /** Why a token that is nobody's in particular may not open the tunnel `name`: a declared one is for its nodes. */
  refusalOfUndeclared(name: string): string | null {
    return this.#directory.tunnels.has(name) ? declaredRefusal(name) : null;
  }

  #accessOf({ id: tokenId, node, names }: TokenRecord): Access {
    const isValid = () => this.#directory.isValid(tokenId);
    if (node !== null) {
      const refusalOf = (name: string) => this.#refusalOfNode(node, name);
      return { id: `node:${node}`, tokenId, node, isValid, refusalOf, ownerOf: (name) => `tunnel:${name}` };
    }
    const id = `token:${tokenId}`;
    const refusalOf = (name: string) => this.#refusalOfNames(names ?? "", name);
    return { id, tokenId, node, isValid, refusalOf, ownerOf: () => id };
  }

  #refusalOfNode(node: string, name: string): string | null {
    const tunnel = this.#directory.tunnels.get(name)?.value;
    if (tunnel === undefined) {
      return `The node ${node} opens tunnels that are declared for it, and ${name} is not: edge tunnel add ${name} ` +
        `--node ${node} --upstream TARGET`;
    }
    if (!tunnel.nodes.includes(node)) return `The tunnel ${name} is not declared for the node ${node}`;
    // Agents open no other ones yet.
    return tunnel.kind === "http"
      ? null
      : `The tunnel ${name} is declared as ${tunnel.kind}, and cannot be opened as http`;
  }

  #refusalOfNames(pattern: string, name: string): string | null {
    if (!matchesPattern(pattern, name)) return `The token opens names like ${pattern}, and not ${name}`;
    return this.refusalOfUndeclared(name);
  }
}
