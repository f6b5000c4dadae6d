/** Names of tunnels. Each is one lower-case DNS label (RFC 1123 §2.1), and unique on an edge. */
import { randomBytes } from "node:crypto";

const reserved = new Set(["api", "admin", "www"]);

/** What is wrong with a name, as the end of a sentence; null where nothing is. */
export function nameFault(name: string): string | null {
  if (name.length === 0 || name.length > 63) return "must have 1 to 63 characters";
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
    return "must be one lower-case DNS label: a to z, 0 to 9 and hyphens inside";
  }
  return reserved.has(name) ? "is reserved" : null;
}

/** An unguessable name: 10 characters of base 32, 50 random bits. */
export function randomName(): string {
  // Without l, o, 0 and 1, which look alike.
  const alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(randomBytes(10), (byte) => alphabet[byte & 31]).join("");
}
