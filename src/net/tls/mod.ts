/** TLS as a client, over any socket. */
export { CertificateError, checkCertificates } from "./certificates.ts";
export { startTls, type TlsTarget } from "./start_tls.ts";
