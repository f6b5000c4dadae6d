/** A certificate and its key in PEM, read and checked before anybody is shown them. */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { messageOf } from "../../base/mod.ts";
import type { TlsCertificate } from "./certificate_source.ts";
import { CertificateError, checkCertificates } from "./certificates.ts";

/** A certificate that fits its key, and what it says of itself. */
export interface CertificatePair {
  readonly certificate: TlsCertificate;
  /** The names that it is for (RFC 9525 §2), in lower case; one may be a wildcard such as `*.example.com`. */
  readonly names: readonly string[];
  /** Milliseconds of the wall clock between which it is valid. */
  readonly validFrom: number;
  readonly validTo: number;
  /** See `pinOf`. */
  readonly pin: string;
}

const keyBlock = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----[A-Za-z0-9+/=\s]*-----END \1-----/;

/**
 * Reads a certificate with its chain, and its key. Their dates are not looked at: `datesFault` does that.
 *
 * @param chain PEM: the server's own certificate first
 * @param key PEM: PKCS #8, PKCS #1 or SEC 1, without a passphrase. Text around it is ignored.
 * @throws {CertificateError} where one cannot be read, or they do not fit
 */
export function readCertificatePair(chain: string, key: string): CertificatePair {
  checkCertificates(chain);
  const own = new X509Certificate(chain.slice(chain.indexOf("-----BEGIN CERTIFICATE-----")));
  const privateKey = readKey(key);
  checkKeyOf(own, privateKey);
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const id = createHash("sha256").update(chain).update("\0").update(pkcs8).digest("hex");
  return {
    certificate: { chain, key: pkcs8, id },
    names: namesOf(own),
    validFrom: Date.parse(own.validFrom),
    validTo: Date.parse(own.validTo),
    pin: pinOf(own),
  };
}

/**
 * Checks that `key` is that of `certificate`. The runtimes' TLS may take another one, and then fails each handshake.
 *
 * @throws {CertificateError}
 */
export function checkKeyOf(certificate: X509Certificate, key: KeyObject): void {
  if (!certificate.checkPrivateKey(key)) throw new CertificateError("The key is not that of the certificate");
}

function readKey(text: string): KeyObject {
  if (/ENCRYPTED/.test(text)) {
    throw new CertificateError("The key is encrypted, and there is nobody to ask for its passphrase");
  }
  const block = keyBlock.exec(text)?.[0];
  if (block === undefined) throw new CertificateError("There is no key in PEM form, or it is incomplete");
  try {
    return createPrivateKey(block);
  } catch (cause) {
    throw new CertificateError(`The key cannot be read: ${messageOf(cause)}`, cause);
  }
}

function namesOf({ subjectAltName }: X509Certificate): string[] {
  const entries = subjectAltName?.split(", ") ?? [];
  return entries.filter((entry) => entry.startsWith("DNS:")).map((entry) => entry.slice("DNS:".length).toLowerCase());
}

/** Why the pair is not valid at `now`, as the end of a sentence; null where it is. */
export function datesFault({ validFrom, validTo }: Pick<CertificatePair, "validFrom" | "validTo">, now: number) {
  if (now > validTo) return `expired on ${dayOf(validTo)}`;
  return now < validFrom ? `is not valid before ${dayOf(validFrom)}` : null;
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The form of a pin: the SHA-256 of a key in base64. */
export const pinPattern = /^sha256\/[A-Za-z0-9+/]{43}=$/;

/**
 * The pin of a certificate (RFC 7469 §2.4): the hash of its public key (SubjectPublicKeyInfo). A certificate that is
 * renewed with the same key keeps it.
 */
export function pinOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return `sha256/${createHash("sha256").update(key).digest("base64")}`;
}
