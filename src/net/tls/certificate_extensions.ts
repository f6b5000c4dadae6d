/**
 * What a certificate may be used for (RFC 5280 §4.2.1). `X509Certificate` of the runtimes does not say: `keyUsage` is
 * the extended usage on one and the plain one on the other.
 */

export interface CertificateUses {
  /** Whether it may sign certificates: basicConstraints says so, and keyUsage, where it is there, too. */
  readonly isAuthority: boolean;
  /** Authorities that may stand between this one and the last certificate. `Infinity`: any number. */
  readonly pathLength: number;
  /** Whether it may stand for a client of TLS, by extendedKeyUsage. True without that extension. */
  readonly isForClients: boolean;
}

const SEQUENCE = 0x30;
const OBJECT_ID = 0x06;
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

// Object identifiers as DER has them, in hex.
const BASIC_CONSTRAINTS = "551d13";
const KEY_USAGE = "551d0f";
const EXTENDED_KEY_USAGE = "551d25";
const CLIENT_AUTH = "2b06010505070302";
const ANY_EXTENDED_KEY_USAGE = "551d2500";
/** keyCertSign is the sixth bit, counted from the highest. */
const KEY_CERT_SIGN = 0x04;

/** One value of DER: its type, and where its content is. */
interface Value {
  readonly type: number;
  readonly content: Uint8Array;
}

/** @throws {Error} where `der` is no certificate */
export function certificateUses(der: Uint8Array): CertificateUses {
  const [certificate] = values(der);
  const [body] = values(contentOf(certificate, SEQUENCE));
  const fields = values(contentOf(body, SEQUENCE));
  // Version, serial number, signature, issuer, validity, subject and key come first.
  if (fields[0]?.type !== VERSION) return { isAuthority: false, pathLength: 0, isForClients: true };
  const list = fields.find(({ type }) => type === EXTENSIONS);
  const extensions = new Map<string, Uint8Array>();
  if (list !== undefined) {
    for (const extension of values(contentOf(values(list.content)[0], SEQUENCE))) {
      const parts = values(contentOf(extension, SEQUENCE));
      extensions.set(hex(contentOf(parts[0], OBJECT_ID)), contentOf(parts.at(-1), OCTET_STRING));
    }
  }
  const { isAuthority, pathLength } = basicConstraints(extensions.get(BASIC_CONSTRAINTS));
  return {
    isAuthority: isAuthority && maySignCertificates(extensions.get(KEY_USAGE)),
    pathLength,
    isForClients: mayBeClient(extensions.get(EXTENDED_KEY_USAGE)),
  };
}

/** §4.2.1.9 */
function basicConstraints(extension: Uint8Array | undefined): { isAuthority: boolean; pathLength: number } {
  if (extension === undefined) return { isAuthority: false, pathLength: 0 };
  const parts = values(contentOf(values(extension)[0], SEQUENCE));
  const isAuthority = parts[0]?.type === BOOLEAN && parts[0].content[0] !== 0;
  const limit = parts.find(({ type }) => type === INTEGER);
  if (limit === undefined) return { isAuthority, pathLength: Infinity };
  // Longer numbers than those of one byte limit nothing.
  return { isAuthority, pathLength: limit.content.length === 1 ? limit.content[0] : Infinity };
}

/** §4.2.1.3: content is the number of unused bits, then the bits. */
function maySignCertificates(extension: Uint8Array | undefined): boolean {
  if (extension === undefined) return true;
  const bits = contentOf(values(extension)[0], BIT_STRING);
  return ((bits[1] ?? 0) & KEY_CERT_SIGN) !== 0;
}

/** §4.2.1.12 */
function mayBeClient(extension: Uint8Array | undefined): boolean {
  if (extension === undefined) return true;
  const purposes = values(contentOf(values(extension)[0], SEQUENCE)).map(({ content }) => hex(content));
  return purposes.includes(CLIENT_AUTH) || purposes.includes(ANY_EXTENDED_KEY_USAGE);
}

function contentOf(value: Value | undefined, type: number): Uint8Array {
  if (value?.type !== type) throw malformed();
  return value.content;
}

/** The values that `der` consists of, one behind the other. */
function values(der: Uint8Array): Value[] {
  const found: Value[] = [];
  for (let at = 0; at < der.length;) {
    if (at + 2 > der.length) throw malformed();
    const type = der[at];
    let length = der[at + 1];
    at += 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3 || at + count > der.length) throw malformed();
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + der[at++];
    }
    if (at + length > der.length) throw malformed();
    found.push({ type, content: der.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function malformed(): Error {
  return new Error("The certificate is malformed");
}
