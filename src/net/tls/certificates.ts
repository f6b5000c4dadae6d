/** Certificates in PEM, checked before they are used. */
import { X509Certificate } from "node:crypto";
import { nameErrorClass, RunnelError } from "../../base/mod.ts";

/** Certificates in PEM are not valid. Code `invalid_certificate`. */
export class CertificateError extends RunnelError {
  static {
    nameErrorClass(this, "CertificateError");
  }

  constructor(reason: string, cause?: unknown) {
    super({ code: "invalid_certificate", reason, initiator: "user", cause });
  }
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

/**
 * Checks that `pem` has at least one certificate, and only valid ones (RFC 7468 §5). Text around them is a comment. The
 * runtimes' TLS ignores a malformed one, and then trusts no server.
 *
 * @throws {CertificateError}
 */
export function checkCertificates(pem: string): void {
  readCertificates(pem);
}

/**
 * The certificates of `pem`, in their order.
 *
 * @throws {CertificateError} as `checkCertificates`
 */
export function readCertificates(pem: string): X509Certificate[] {
  const begins = pem.split("-----BEGIN CERTIFICATE-----").length - 1;
  const blocks = pem.match(certificateBlock) ?? [];
  if (begins === 0) throw new CertificateError("There is no certificate in PEM form");
  if (blocks.length !== begins) throw new CertificateError("A certificate in PEM form is incomplete");
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new CertificateError(`The certificate ${i + 1} of ${blocks.length} cannot be read`, cause);
    }
  });
}
