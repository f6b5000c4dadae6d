/** TLS as a client, over any socket. */
export { CertificateError, checkCertificates } from "./certificates.ts";
export { startTls, type TlsTarget } from "./start_tls.ts";
export type { CertificateSource, ClientHello, ClientPolicy, TlsCertificate } from "./certificate_source.ts";
