/** TLS over any other socket, as a client. */
export { CertificateError, checkCertificates } from "./certificates.ts";
export { startTls, type StartTlsOptions, type TlsTarget } from "./start_tls.ts";
