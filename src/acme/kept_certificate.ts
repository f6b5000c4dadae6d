/** A certificate that is served and renewed, read from its PEM. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { CertificateError, checkCertificates, type TlsCertificate } from "../net/mod.ts";

export interface KeptCertificate {
  /** Under which it is stored and renewed. */
  readonly name: string;
  readonly tls: TlsCertificate;
  /** All names that it is for: `example.com`, `*.example.com`. */
  readonly names: readonly string[];
  /** When it ends, in milliseconds since 1970. */
  readonly notAfter: number;
  /** From when on it is renewed. */
  readonly renewAt: number;
}

const BEGIN_KEY = "-----BEGIN PRIVATE KEY-----";
const keyBlock = /-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]*-----END PRIVATE KEY-----\n?/;
const certificateBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*?-----END CERTIFICATE-----/;

/** Of a lifetime, for which renewals of certificates that were issued together are spread. */
const JITTER_SHARE = 1 / 24;

/**
 * @param chain PEM
 * @param key PEM (PKCS #8)
 * @throws {CertificateError} where they cannot be read, or do not fit each other
 */
export function keptCertificate(name: string, chain: string, key: string): KeptCertificate {
  checkCertificates(chain);
  const leaf = new X509Certificate(certificateBlock.exec(chain)![0]);
  let fits: boolean;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new CertificateError("The key cannot be read", cause);
  }
  if (!fits) throw new CertificateError("The key does not fit the certificate");
  const digest = createHash("sha256").update(chain).update("\0").update(key).digest();
  const [notBefore, notAfter] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  const lifetimeMs = notAfter - notBefore;
  // Drawn from the certificate, so that it is the same after a restart.
  const jitter = digest.readUInt32BE(0) / 2 ** 32;
  return {
    name,
    tls: { chain, key, id: digest.toString("hex") },
    names: namesOf(leaf),
    notAfter,
    renewAt: notBefore + lifetimeMs * (2 / 3 + jitter * JITTER_SHARE),
  };
}

/** The text of the file of a certificate: its key, then its chain. One file, so that both change at once. */
export function fileTextOf({ tls: { chain, key } }: KeptCertificate): string {
  return `${key.trimEnd()}\n${chain.trimEnd()}\n`;
}

/** Reads such a file. @throws {CertificateError} */
export function parseFileText(name: string, text: string): KeptCertificate {
  const key = keyBlock.exec(text)?.[0];
  if (key === undefined) throw new CertificateError(`There is no whole key, from ${BEGIN_KEY} on`);
  return keptCertificate(name, text.replace(key, ""), key);
}

/** The names of a certificate (RFC 5280 §4.2.1.6), in lower case. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return Array.from(subjectAltName.matchAll(/DNS:([^,"\s]+)/g), ([, name]) => name!.toLowerCase());
}
