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
  /** The visitor's address or scheme, in a form of one proxy's own. It passes from a trusted proxy alone. */
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
  "cf-visitor",
  "client-ip",
  "cloudfront-viewer-address",
  "do-connecting-ip",
  "fastly-client-ip",
  "fly-client-ip",
  "incap-client-ip",
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
  "x-sucuri-clientip",
  "x-vercel-forwarded-for",
];

interface KnownName {
  /** In lower case. */
  readonly name: string;
  readonly kind: VisitorField;
}

/** By their lengths: a name is compared with a few others at most, and mostly with none. */
const knownNames: (readonly KnownName[] | undefined)[] = [];
for (
  const known of [
    ...forwardingNames.map((name) => ({ name, kind: VisitorField.FORWARDING })),
    ...clientAddressNames.map((name) => ({ name, kind: VisitorField.ADDRESS })),
    { name: "x-request-id", kind: VisitorField.REQUEST_ID },
  ]
) knownNames[known.name.length] = [...knownNames[known.name.length] ?? [], known];

/** The shortest of them: `forwarded`, `client-ip` and `x-real-ip`. */
const MIN_LENGTH = 9;
const LETTER_C = 0x63;
const LETTER_D = 0x64;
const LETTER_F = 0x66;
const LETTER_I = 0x69;
const LETTER_L = 0x6c;
const LETTER_N = 0x6e;
const LETTER_O = 0x6f;
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
  // Most names are known by their first letter to be none of these, and those with a C, D or I by the second one.
  const second = name.charCodeAt(1) | 0x20;
  switch (name.charCodeAt(0) | 0x20) {
    case LETTER_C:
      if (second !== LETTER_F && second !== LETTER_L) return VisitorField.NONE;
      break;
    case LETTER_D:
      if (second !== LETTER_O) return VisitorField.NONE;
      break;
    case LETTER_I:
      if (second !== LETTER_N) return VisitorField.NONE;
      break;
    case LETTER_F:
    case LETTER_P:
    case LETTER_T:
    case LETTER_W:
    case LETTER_X:
      break;
    default:
      return VisitorField.NONE;
  }
  if (spellingOf(name, FORWARDED_PREFIX) !== Spelling.OTHER) return VisitorField.FORWARDING;
  const candidates = knownNames[name.length];
  if (candidates === undefined) return VisitorField.NONE;
  for (let index = 0; index < candidates.length; index++) {
    const known = candidates[index];
    const spelling = spellingOf(name, known.name);
    if (spelling === Spelling.OTHER) continue;
    return known.kind === VisitorField.ADDRESS && spelling === Spelling.READ ? VisitorField.FORWARDING : known.kind;
  }
  return VisitorField.NONE;
}

/** How a name is spelled, beside another one. */
const Spelling = {
  /** It is another name. */
  OTHER: 0,
  /** It is that name, but for the case of letters. */
  SAME: 1,
  /** It is read as that name by servers that make variables of names. */
  READ: 2,
} as const;
type Spelling = typeof Spelling[keyof typeof Spelling];

const HYPHEN = 0x2d;

/** How `name`, a token, begins beside `lower`, which consists of letters in lower case, digits and hyphens. */
function spellingOf(name: string, lower: string): Spelling {
  if (name.length < lower.length) return Spelling.OTHER;
  let spelling: Spelling = Spelling.SAME;
  for (let index = 0; index < lower.length; index++) {
    const code = name.charCodeAt(index);
    const wanted = lower.charCodeAt(index);
    if ((code | 0x20) === wanted) continue;
    if (wanted !== HYPHEN || isAlphanumeric(code)) return Spelling.OTHER;
    spelling = Spelling.READ;
  }
  return spelling;
}

function isAlphanumeric(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

/** A name in lower case as a server reads it that makes a variable of it: `x_real.ip` is `x-real-ip`. */
export function nameAsRead(lower: string): string {
  return /^[a-z0-9-]*$/.test(lower) ? lower : lower.replace(/[^a-z0-9]/g, "-");
}
