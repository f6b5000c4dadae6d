/**
 * Tokens of nodes. Each is `rnl_node_ID_SECRET`: programs that look for leaked secrets know it by its beginning, the
 * public id finds its record, and the secret is compared as a hash. The secret is shown once, and never stored.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** What a token is for: it stands in the token. */
export type TokenUse = "node" | "name";

export interface NewToken {
  /** Public: it stands in lists and logs. 80 random bits. */
  readonly id: string;
  /** To be shown once. The secret has 256 random bits. */
  readonly token: string;
  /** To be stored. */
  readonly hash: string;
}

/** Without l, o, 0 and 1, which look alike. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";
const ID_CHARACTERS = 16;
const PATTERN = /^rnl_(?:node|name)_([a-z2-9]{16})_[A-Za-z0-9_-]{43}$/;

export function makeToken(use: TokenUse): NewToken {
  const id = Array.from(randomBytes(ID_CHARACTERS), (byte) => ALPHABET[byte & 31]).join("");
  const token = `rnl_${use}_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, token, hash: hashToken(token) };
}

/** The public id of a token; null where the text has not the form of one. */
export function tokenId(token: string): string | null {
  return PATTERN.exec(token)?.[1] ?? null;
}

/** SHA-256 in hexadecimal. A slow hash is for passwords: nobody guesses 256 random bits. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("hex");
}

/** True where `token` is the one that `hash` was made of. Its time does not tell how much of it is right. */
export function isToken(token: string, hash: string): boolean {
  const given = Buffer.from(hashToken(token), "hex");
  const stored = Buffer.from(hash, "hex");
  return given.length === stored.length && timingSafeEqual(given, stored);
}
