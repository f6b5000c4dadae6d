/** Names of tunnels. Each is one lower-case DNS label (RFC 1123 §2.1), and unique on an edge. */
import { randomBytes } from "node:crypto";

/**
 * Names that no tunnel may have: under a wildcard of DNS each would be taken for something that the domain's owner runs.
 * `test`, `dev`, `status` and names of usual services are not among them. A name that begins with `_` is no name at all.
 */
export const defaultReservedNames: ReadonlySet<string> = new Set([
  // The domain itself, and Runnel.
  ...["admin", "agent", "api", "edge", "healthz", "readyz", "www"],
  // Where software looks for its settings by itself: proxies and tunnels of Windows (its DNS server keeps these two back,
  // too), mail programs, RFC 8461, keys of OpenPGP, devices and conferences of Microsoft.
  ...["wpad", "isatap", "autoconfig", "autodiscover", "mta-sts", "openpgpkey"],
  ...["enterpriseenrollment", "enterpriseregistration", "lyncdiscover"],
  // Servers that mail and DNS of a domain have by custom.
  ...["mail", "email", "webmail", "smtp", "imap", "pop", "pop3", "mx", "ns", "ns1", "ns2", "dns"],
  // This machine (RFC 6761 §6.3): some software trusts what is called so.
  ...["localhost", "localdomain", "local", "broadcasthost"],
  // Those who speak for a domain (RFC 2142 §4 and §5), and where people type passwords.
  ...["abuse", "administrator", "hostmaster", "noc", "postmaster", "root", "security", "webmaster"],
  ...["account", "accounts", "login", "signin", "secure"],
]);

/** What is wrong with the form of a name, as the end of a sentence; null where nothing is. */
export function nameFault(name: string): string | null {
  if (name.length === 0 || name.length > 63) return "must have 1 to 63 characters";
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
    return "must be one lower-case DNS label: a to z, 0 to 9 and hyphens inside";
  }
  return null;
}

/** Why no tunnel may have a name, as a sentence without full stop; null where one may. */
export function tunnelNameFault(name: string, reserved: ReadonlySet<string>): string | null {
  const fault = nameFault(name);
  if (fault !== null) return `The name ${JSON.stringify(name)} ${fault}`;
  return reserved.has(name) ? `The name ${name} is reserved: edge serve --reserved-name=-${name} frees it` : null;
}

/** What a token that is that of no node is told about the name of a declared tunnel. */
export function declaredRefusal(name: string): string {
  return `The tunnel ${name} is declared at the edge: only a token of its nodes opens it`;
}

/** A change of the reserved names. */
export interface ReservedName {
  readonly name: string;
  /** True where tunnels may have the name, false where they may not. */
  readonly isFree: boolean;
}

/** Reads `intranet`, which reserves a name, or `-mail`, which frees one of the usual ones. Throws an `Error`. */
export function parseReservedName(text: string): ReservedName {
  const isFree = text.startsWith("-");
  const name = isFree ? text.slice(1) : text;
  const fault = nameFault(name);
  if (fault !== null) throw new Error(fault);
  if (isFree && !defaultReservedNames.has(name)) throw new Error("frees a name that is not reserved");
  return { name, isFree };
}

/** The usual reserved names with `changes`, of which a later one counts more. */
export function reservedNamesWith(changes: readonly ReservedName[]): ReadonlySet<string> {
  const names = new Set(defaultReservedNames);
  for (const { name, isFree } of changes) {
    if (isFree) names.delete(name);
    else names.add(name);
  }
  return names;
}

/** An unguessable name: 10 characters of base 32, 50 random bits. */
export function randomName(): string {
  // Without l, o, 0 and 1, which look alike.
  const alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(randomBytes(10), (byte) => alphabet[byte & 31]).join("");
}
