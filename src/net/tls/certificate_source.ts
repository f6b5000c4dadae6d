/** Where a TLS listener gets its certificates, and whom it asks for one. */

/** A certificate with its key, checked: they fit, and the chain can be read. */
export interface TlsCertificate {
  /** PEM: the server's own certificate, then those that lead to its authority. */
  readonly chain: string;
  /** PEM, without a passphrase. */
  readonly key: string;
  /** The same for the same chain and key alone. Contexts are kept by it, and tickets resume within it. */
  readonly id: string;
}

/** What a client says before a certificate is chosen (RFC 8446 §4.1.2). */
export interface ClientHello {
  /** The name that it asks for (RFC 6066 §3), in lower case; null without one, or where it is none. */
  readonly serverName: string | null;
  /** The protocols that it offers (RFC 7301), in its order; empty without any. */
  readonly protocols: readonly string[];
}

export interface CertificateSource {
  /**
   * The certificate for a client. Null: there is none, and the client is refused with `unrecognized_name`. It may take a
   * while, as when one is being issued; the handshake's deadline runs meanwhile.
   */
  certificateFor(hello: ClientHello): TlsCertificate | null | Promise<TlsCertificate | null>;
}

/** Who must show a certificate of an authority (RFC 8446 §4.3.2), and whose it may be. */
export interface ClientPolicy {
  /** The same for the same rule alone. A session of TLS is never resumed under another one. */
  readonly id: string;
  /** PEM: the authorities that are trusted, and no others. */
  readonly ca: string;
}
