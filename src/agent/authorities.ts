/** Certificates that an option of the agent trusts. */
import { CertificateError, checkCertificates } from "../net/mod.ts";

/**
 * Checks certificates in PEM.
 *
 * @throws what `refusal` makes of the reason, where they cannot be used
 */
export function checkAuthorities(pem: string, refusal: (reason: string) => Error): void {
  try {
    checkCertificates(pem);
  } catch (error) {
    throw error instanceof CertificateError ? refusal(error.reason) : error;
  }
}
