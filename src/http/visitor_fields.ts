/**
 * Names of fields that tell an upstream who the visitor is. An upstream, or the framework under it, may believe any of
 * them, so that a visitor must not choose their values. Servers after the manner of CGI make variables of names, in which
 * `-`, `_` and other marks are the same: a name is compared as they read it.
 */

/** What a field tells of the visitor. */
export const VisitorField = {
  /** Nothing. */
  NONE: 0,
  /** Whose request a proxy passes on. The edge writes these itself, and passes nobody's. */
  FORWARDING: 1,
  /** The visitor's address, in a form of one proxy's own. It passes from a trusted proxy alone. */
  ADDRESS: 2,
  /** `X-Request-ID`, which the edge writes. */
  REQUEST_ID: 3,
} as const;
export type VisitorField = typeof VisitorField[keyof typeof VisitorField];

const FORWARDED_PREFIX = "x-forwarded-";

const forwardingNames = ["forwarded", "forwarded-for", "x-forwarded"];

/** Fields of an address that are known, in lower case; docs/security.md has the same list. */
export const clientAddressNames: readonly string[] = [
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "cf-pseudo-ipv4",
  "client-ip",
  "fastly-client-ip",
  "fly-client-ip",
  "proxy-client-ip",
  "true-client-ip",
  "wl-proxy-client-ip",
  "x-appengine-user-ip",
  "x-azure-clientip",
  "x-azure-socketip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-envoy-external-address",
  "x-nf-client-connection-ip",
  "x-original-forwarded-for",
  "x-originating-ip",
  "x-real-ip",
  "x-remote-addr",
  "x-remote-ip",
  "x-vercel-forwarded-for",
];

const kinds: ReadonlyMap<string, VisitorField> = new Map<string, VisitorField>([
  ...forwardingNames.map((name) => [name, VisitorField.FORWARDING] as const),
  ...clientAddressNames.map((name) => [name, VisitorField.ADDRESS] as const),
  ["x-request-id", VisitorField.REQUEST_ID],
]);

/** The shortest of them: `forwarded`, `client-ip` and `x-real-ip`. */
const MIN_LENGTH = 9;
const LETTER_C = 0x63;
const LETTER_F = 0x66;
const LETTER_L = 0x6c;
const LETTER_P = 0x70;
const LETTER_T = 0x74;
const LETTER_W = 0x77;
const LETTER_X = 0x78;

/**
 * What a field of that name tells of the visitor. A name that is only read as that of an address, such as `X_Real_IP`, is
 * FORWARDING, since no proxy writes it.
 */
export function visitorFieldOf(name: string): VisitorField {
  if (name.length < MIN_LENGTH) return VisitorField.NONE;
  // Most names are known by their first letter to be none of these, and those with a C by the second one.
  switch (name.charCodeAt(0) | 0x20) {
    case LETTER_C: {
      const second = name.charCodeAt(1) | 0x20;
      if (second !== LETTER_F && second !== LETTER_L) return VisitorField.NONE;
      break;
    }
    case LETTER_F:
    case LETTER_P:
    case LETTER_T:
    case LETTER_W:
    case LETTER_X:
      break;
    default:
      return VisitorField.NONE;
  }
  const lower = name.toLowerCase();
  const read = nameAsRead(lower);
  if (read.startsWith(FORWARDED_PREFIX)) return VisitorField.FORWARDING;
  const kind = kinds.get(read) ?? VisitorField.NONE;
  return kind === VisitorField.ADDRESS && read !== lower ? VisitorField.FORWARDING : kind;
}

/** A name in lower case as a server reads it that makes a variable of it: `x_real.ip` is `x-real-ip`. */
export function nameAsRead(lower: string): string {
  return /^[a-z0-9-]*$/.test(lower) ? lower : lower.replace(/[^a-z0-9]/g, "-");
}
