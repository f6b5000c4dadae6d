/**
 * The fields of a message: looking values up and leaving fields out (hop-by-hop, nominated, not allowed in trailers).
 * Names are compared without case; a `lowerName` is in lower case already.
 */
import { consistsOf, isSpaceOrTab, tokenBytes, valueBytes } from "./bytes.ts";
import type { Fields } from "./message.ts";
import { VisitorField, visitorFieldOf } from "./visitor_fields.ts";

/** True where `text` is a token (RFC 9110 §5.6.2), as methods and field names are. */
export function isToken(text: string): boolean {
  return consistsOf(tokenBytes, text);
}

/** True where `text` is one `protocol-name ["/" protocol-version]` (RFC 9110 §7.8), as in Upgrade. */
export function isProtocol(text: string): boolean {
  const slash = text.indexOf("/");
  return slash === -1 ? isToken(text) : isToken(text.slice(0, slash)) && isToken(text.slice(slash + 1));
}

/** True where `text` lists protocols, at least one, as Upgrade does: `TLS/1.0, HTTP/2.0`. */
export function isProtocolList(text: string): boolean {
  const members = listMembers(text);
  return members.length > 0 && members.every(isProtocol);
}

/**
 * The protocols that a value of Upgrade lists, without white space: `TLS/1.0,HTTP/2.0`. What is no protocol is left out;
 * undefined where there are none.
 */
export function listedProtocols(upgrade: string): string | undefined {
  return listMembers(upgrade).filter(isProtocol).join(",") || undefined;
}

/** True where `text` may be a field's value: without CTL but HTAB, without characters above 0xFF. It may be empty. */
export function isFieldValue(text: string): boolean {
  return text === "" || consistsOf(valueBytes, text);
}

/**
 * Compares without case and without allocating. `lower` must consist of letters in lower case, digits, `-` and `/`, and
 * `text` must have no control characters: then bit 5 distinguishes nothing but case.
 */
export function equalsLower(text: string, lower: string): boolean {
  if (text.length !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    if ((text.charCodeAt(i) | 0x20) !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** The first value of that name. */
export function fieldValue(fields: Fields, lowerName: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (equalsLower(fields[i], lowerName)) return fields[i + 1];
  }
  return undefined;
}

/** Every value of that name, in order. */
export function fieldValues(fields: Fields, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (equalsLower(fields[i], lowerName)) values.push(fields[i + 1]);
  }
  return values;
}

/** `text` from `start` to `end` without SP and HTAB at both ends (OWS, RFC 9110 §5.6.3). */
export function trimSlice(text: string, start: number, end: number): string {
  while (start < end && isSpaceOrTab(text.charCodeAt(start))) start++;
  while (end > start && isSpaceOrTab(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** The members of a comma-separated list (RFC 9110 §5.6.1), without the empty ones. Quotes are not understood. */
export function listMembers(value: string): string[] {
  const members: string[] = [];
  for (let start = 0; start <= value.length;) {
    const comma = value.indexOf(",", start);
    const end = comma === -1 ? value.length : comma;
    const member = trimSlice(value, start, end);
    if (member !== "") members.push(member);
    start = end + 1;
  }
  return members;
}

/** True where a field of that name lists `lowerToken`, compared without case. */
export function hasToken(fields: Fields, lowerName: string, lowerToken: string): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (equalsLower(fields[i], lowerName) && listHasToken(fields[i + 1], lowerToken)) return true;
  }
  return false;
}

/** True where the comma-separated list `value` has the member `lowerToken`, compared without case. */
export function listHasToken(value: string, lowerToken: string): boolean {
  if (value.length === lowerToken.length) return equalsLower(value, lowerToken);
  return value.length > lowerToken.length && listMembers(value).some((member) => equalsLower(member, lowerToken));
}

/** The fields without those of the given names, all in lower case; the same array where no field has such a name. */
export function withoutFields(fields: Fields, lowerNames: ReadonlySet<string>): Fields {
  return filterFields(fields, (name) => !lowerNames.has(name.toLowerCase()));
}

export function filterFields(fields: Fields, isKept: (name: string) => boolean): Fields {
  let kept: string[] | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (isKept(fields[i])) kept?.push(fields[i], fields[i + 1]);
    else kept ??= fields.slice(0, i);
  }
  return kept ?? fields;
}

/**
 * True for the fields that concern one connection alone (RFC 9110 §7.6.1): Connection, Keep-Alive, Proxy-Connection,
 * TE, Transfer-Encoding, Upgrade.
 */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return equalsLower(name, "te");
    case 7:
      return equalsLower(name, "upgrade");
    case 10:
      return equalsLower(name, "connection") || equalsLower(name, "keep-alive");
    case 16:
      return equalsLower(name, "proxy-connection");
    case 17:
      return equalsLower(name, "transfer-encoding");
    default:
      return false;
  }
}

/** Fields that no nomination removes: without them a message would have another meaning for the next recipient. */
const neverNominated: ReadonlySet<string> = new Set(["host", "content-length", "authorization", "cookie"]);

/**
 * `nominated` with the names, in lower case, that the value of a Connection field nominates as hop-by-hop. `null` is
 * the empty set, so that the usual `keep-alive` and `close` make none.
 */
export function addNominations(nominated: Set<string> | null, connection: string): Set<string> | null {
  if (equalsLower(connection, "keep-alive") || equalsLower(connection, "close")) return nominated;
  for (const member of listMembers(connection)) {
    const name = member.toLowerCase();
    if (name === "close" || isHopByHop(name) || neverNominated.has(name)) continue;
    // A visitor would take off what a proxy says of him.
    if (visitorFieldOf(name) !== VisitorField.NONE) continue;
    nominated ??= new Set();
    nominated.add(name);
  }
  return nominated;
}

/**
 * The fields for the next hop (RFC 9110 §7.6.1): without the hop-by-hop ones and those that Connection nominates. A
 * nomination of Host, Content-Length, Authorization or Cookie is ignored, and of a field that tells who the visitor is. The
 * same array where all of them stay.
 */
export function endToEndFields(fields: Fields): Fields {
  let nominated: Set<string> | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (equalsLower(fields[i], "connection")) nominated = addNominations(nominated, fields[i + 1]);
  }
  const removed = nominated;
  return filterFields(fields, (name) => !isHopByHop(name) && !(removed !== null && removed.has(name.toLowerCase())));
}

/**
 * The fields of an answer without Host, which only requests have (RFC 9110 §7.2) and some servers send. The same array
 * where there is none.
 */
export function withoutHost(fields: Fields): Fields {
  return filterFields(fields, isNotHost);
}

const isNotHost = (name: string): boolean => !equalsLower(name, "host");

/**
 * Fields that have no meaning, or a dangerous one, after the content (RFC 9110 §6.5.1): message framing, routing,
 * request modifiers, authentication, and fields that describe the content or control its handling. Nor may anybody say
 * there who the visitor is, or what his request is called (visitor_fields.ts).
 */
const notInTrailers: ReadonlySet<string> = new Set([
  ...["content-length", "content-encoding", "content-type", "content-range", "trailer"],
  ...["host", "max-forwards", "via"],
  ...["cache-control", "expect", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"],
  ...["if-range", "authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info"],
  ...["www-authenticate", "proxy-authenticate", "cookie", "set-cookie"],
  ...["age", "date", "expires", "location", "retry-after", "vary"],
]);

const noNames: ReadonlySet<string> = new Set();

/**
 * The fields that are allowed in a trailer section. A sender must not generate others, and a recipient may ignore them
 * (RFC 9110 §6.5.1). The same array where all of them are allowed.
 *
 * @param nominated the names in lower case that Connection nominates in the head
 */
export function trailerFields(fields: Fields, nominated: ReadonlySet<string> = noNames): Fields {
  const endToEnd = endToEndFields(fields);
  return filterFields(endToEnd, (name) => {
    const lower = name.toLowerCase();
    return !notInTrailers.has(lower) && !nominated.has(lower) && visitorFieldOf(name) === VisitorField.NONE;
  });
}

/** `1*DIGIT` (RFC 9110 §8.6) up to 2^53 - 1; -1 for anything else. */
export function parseLength(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9 || length > (Number.MAX_SAFE_INTEGER - digit) / 10) return -1;
    length = length * 10 + digit;
  }
  return text === "" ? -1 : length;
}
