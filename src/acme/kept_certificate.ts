/** A certificate that is served and renewed, read from its PEM. */
import { CertificateError, readCertificatePair, type TlsCertificate } from "../net/mod.ts";

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

/** Of a lifetime, for which renewals of certificates that were issued together are spread. */
const JITTER_SHARE = 1 / 24;

/**
 * @param chain PEM
 * @param key PEM (PKCS #8)
 * @throws {CertificateError} as `readCertificatePair`
 */
export function keptCertificate(name: string, chain: string, key: string): KeptCertificate {
  const { certificate, names, validFrom, validTo } = readCertificatePair(chain, key);
  // Drawn from the certificate, so that it is the same after a restart.
  const jitter = parseInt(certificate.id.slice(0, 8), 16) / 2 ** 32;
  const renewAt = validFrom + (validTo - validFrom) * (2 / 3 + jitter * JITTER_SHARE);
  return { name, tls: certificate, names, notAfter: validTo, renewAt };
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
