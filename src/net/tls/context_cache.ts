/**
 * Contexts of the runtimes' TLS: a certificate with its key, read once, and on Bun the keys of the sessions that resume.
 * Each client policy has contexts of its own, so that no session of Bun's passes from one to another. Deno keeps the
 * sessions of a name together (2.9.6), so that certificates are verified at each resumption, too.
 */
import { createPrivateKey, type X509Certificate } from "node:crypto";
import * as tls from "node:tls";
import { checkKeyOf } from "./certificate_pair.ts";
import { readCertificates } from "./certificates.ts";
import type { ClientPolicy, TlsCertificate } from "./certificate_source.ts";

/** An edge has a few certificates, or one for each hostname of its tunnels. A context takes some 50 KiB. */
export const DEFAULT_MAX_CONTEXTS = 1_024;

/** Those of TLS 1.2 that keep the past secret and authenticate what they encrypt; 1.3 has no others (RFC 9325 §4.2). */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

export interface TlsContext {
  readonly secure: tls.SecureContext;
  /** Whom the certificates of clients must come from; null: nobody is asked for one. */
  readonly authorities: readonly X509Certificate[] | null;
}

/** The contexts that were used last. */
export class ContextCache {
  readonly #maxContexts: number;
  /** The one that was used last is at the end. */
  readonly #contexts = new Map<string, TlsContext>();

  constructor(maxContexts: number = DEFAULT_MAX_CONTEXTS) {
    this.#maxContexts = maxContexts;
  }

  get size(): number {
    return this.#contexts.size;
  }

  /**
   * The context for a certificate, under a policy. Sessions of one that was dropped since are not resumed.
   *
   * @throws {Error} where the certificate, its key or the policy's authorities cannot be read
   */
  get(certificate: TlsCertificate, policy: ClientPolicy | null): TlsContext {
    const id = JSON.stringify([certificate.id, policy?.id ?? null]);
    const context = this.#contexts.get(id) ?? makeContext(certificate, policy);
    this.#contexts.delete(id);
    this.#contexts.set(id, context);
    if (this.#contexts.size > this.#maxContexts) {
      const [oldest] = this.#contexts.keys();
      this.#contexts.delete(oldest);
    }
    return context;
  }
}

function makeContext({ chain, key }: TlsCertificate, policy: ClientPolicy | null): TlsContext {
  const [own] = readCertificates(chain);
  checkKeyOf(own, createPrivateKey(key));
  const authorities = policy === null ? null : readCertificates(policy.ca);
  const secure = tls.createSecureContext({
    cert: chain,
    key,
    ca: policy?.ca,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ciphers: CIPHERS,
    honorCipherOrder: true,
  });
  return { secure, authorities };
}
