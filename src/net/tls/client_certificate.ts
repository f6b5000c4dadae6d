/**
 * Certificates of clients, verified here: the runtimes finish the handshake with a client whose certificate nobody
 * signed, and leave it to the program to ask.
 */
import type { X509Certificate } from "node:crypto";
import { escapeText } from "../../base/mod.ts";
import type { TlsFault } from "../socket.ts";
import { certificateUses } from "./certificate_extensions.ts";
import { type Distrust, UNKNOWN_AUTHORITY, validity } from "./tls_failure.ts";

/** Of what a client shows, so many certificates are looked at. */
export const MAX_CHAIN_LENGTH = 10;
export const NO_CERTIFICATE = "it shows no certificate";

/** The certificate that a client has shown, and that its policy trusts. */
export interface ClientCertificate {
  /** SHA-256 of the certificate: `AB:CD:…`. */
  readonly fingerprint256: string;
  /** In one line, such as `O=Shop, CN=alice`. */
  readonly subject: string;
}

export function describeCertificate(certificate: X509Certificate): ClientCertificate {
  const subject = (certificate.subject ?? "").trim().split("\n").join(", ");
  return { fingerprint256: certificate.fingerprint256, subject: escapeText(subject) };
}

/**
 * Returns why the client's certificate is not trusted; null where it is: it is valid now, for clients, and signed by one
 * of `authorities`, directly or by way of other certificates that the client shows (RFC 5280 §6.1).
 *
 * @param chain what the client shows, its own certificate first
 */
export function distrustClient(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): Distrust | null {
  const [own] = chain;
  if (own === undefined) return distrusted(NO_CERTIFICATE);
  try {
    const outdated = outdatedBy(own);
    if (outdated !== null) return distrusted(outdated, "certificate_dates");
    if (!certificateUses(own.raw).isForClients) return distrusted("its certificate is not for clients");
    if (isSigned(chain.slice(0, MAX_CHAIN_LENGTH), authorities)) return null;
    const isSelfSigned = own.subject === own.issuer && chain.length === 1;
    return distrusted(isSelfSigned ? "its certificate is self-signed" : UNKNOWN_AUTHORITY);
  } catch {
    return distrusted("its certificate cannot be read");
  }
}

/** Why it is not valid now; null where it is. @throws {Error} where its dates cannot be read */
function outdatedBy({ validFrom, validTo }: X509Certificate): string | null {
  if (Number.isNaN(Date.parse(validFrom)) || Number.isNaN(Date.parse(validTo))) throw new Error("No dates");
  return validity(validFrom, validTo);
}

function distrusted(reason: string, fault: TlsFault = "certificate"): Distrust {
  return { reason, fault };
}

/** A certificate of the chain that leads to the client's own, over `depth` authorities between them. */
interface Step {
  readonly certificate: X509Certificate;
  readonly depth: number;
}

/** Follows the signatures from the client's certificate upwards. Each certificate is looked at once. */
function isSigned(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean {
  const [own, ...between] = chain;
  const left = new Set(between);
  const steps: Step[] = [{ certificate: own, depth: 0 }];
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const { certificate, depth } = step;
    if (authorities.some((authority) => signs(authority, certificate, depth))) return true;
    for (const candidate of left) {
      if (!signs(candidate, certificate, depth)) continue;
      left.delete(candidate);
      steps.push({ certificate: candidate, depth: depth + 1 });
    }
  }
  return false;
}

/** Whether `issuer` may sign, and has signed `certificate`, below which there are `depth` authorities. */
function signs(issuer: X509Certificate, certificate: X509Certificate, depth: number): boolean {
  if (issuer.subject !== certificate.issuer || !certificate.checkIssued(issuer)) return false;
  if (outdatedBy(issuer) !== null) return false;
  const uses = certificateUses(issuer.raw);
  return uses.isAuthority && depth <= uses.pathLength && certificate.verify(issuer.publicKey);
}
