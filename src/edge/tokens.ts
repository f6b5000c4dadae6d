/** Who an agent is: the check of its token, in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";

/** Returns the owner of a token; null where it has none. */
export type TokenCheck = (token: string) => string | null;

/** A check for the edge's one `--token`. It compares digests, so that its time tells neither content nor length. */
export function sharedToken(token: string, owner = "token"): TokenCheck {
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected) ? owner : null;
}

function digest(token: string): Uint8Array {
  return createHash("sha256").update(token, "utf8").digest();
}
