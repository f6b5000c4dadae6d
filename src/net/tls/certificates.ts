/** Certificates as files hold them, checked before anything is dialed with them. */
import { X509Certificate } from "node:crypto";
import { RunnelError } from "../../base/mod.ts";

/** Code `invalid_certificate`. */
export class CertificateError extends RunnelError {
  constructor(reason: string, cause?: unknown) {
    super({ code: "invalid_certificate", reason, initiator: "user", cause });
  }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

/**
 * Checks that `pem` holds certificates and nothing broken (RFC 7468 §5); text around the blocks is a comment. The
 * runtimes' TLS would leave a broken one out without a word, and then trust nobody.
 * @throws {CertificateError}
 */
export function checkCertificates(pem: string): void {
  const begun = pem.split("-----BEGIN CERTIFICATE-----").length - 1;
  const blocks = pem.match(BLOCK) ?? [];
  if (begun === 0) throw new CertificateError("there is no certificate in PEM form");
  if (blocks.length !== begun) throw new CertificateError("a certificate in PEM form is broken off");
  for (const [i, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      throw new CertificateError(`certificate ${i + 1} of ${blocks.length} cannot be read`, cause);
    }
  }
}
