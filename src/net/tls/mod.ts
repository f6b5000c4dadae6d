/** TLS over any socket: as a client, and as a server. */
export { TlsAcceptor, type TlsAcceptorOptions } from "./acceptor.ts";
export { type CertificatePair, datesFault, pinPattern, readCertificatePair } from "./certificate_pair.ts";
export { CertificateError, checkCertificates } from "./certificates.ts";
export type { ClientCertificate } from "./client_certificate.ts";
export type { SecuredSocket } from "./server_handshake.ts";
export { startTls, type TlsTarget } from "./start_tls.ts";
export type { CertificateSource, ClientHello, ClientPolicy, TlsCertificate } from "./certificate_source.ts";
