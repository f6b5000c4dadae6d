/** Who an agent is: the check of its token, in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";

/** To whom a token belongs, and what it opens. */
export interface TokenOwner {
  /** Sessions are this owner's, and are counted for it. */
  readonly id: string;
  /** The public id of the token, by which its sessions are ended. Null: it lasts as long as the edge. */
  readonly tokenId: string | null;
  /** The node whose token it is; null where it is that of no node. */
  readonly node: string | null;
  /** False once the token has ended: a session that has just begun with it ends, too. */
  isValid(): boolean;
  /** To whom the name of the tunnel `name` belongs once it is opened, also while it is offline. */
  ownerOf(name: string): string;
  /** Why the owner may not open the tunnel `name`, as a sentence without full stop; null where it may. */
  refusalOf(name: string): string | null;
}

/** Returns the owner of a token; null where it has none. */
export type TokenCheck = (token: string) => TokenOwner | null;

/** The owner of the edge's one token, which lasts as long as the edge. @param refusalOf see `TokenOwner` */
export function sharedOwner(refusalOf: TokenOwner["refusalOf"] = () => null): TokenOwner {
  return { id: "token", tokenId: null, node: null, isValid: () => true, ownerOf: () => "token", refusalOf };
}

/**
 * A check for the edge's one `--token`. It compares digests, so that its time tells neither content nor length.
 *
 * @param owner default: one that opens any name
 */
export function sharedToken(token: string, owner: TokenOwner = sharedOwner()): TokenCheck {
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected) ? owner : null;
}

function digest(token: string): Uint8Array {
  return createHash("sha256").update(token, "utf8").digest();
}
