/** Sockets and the few other things in which Bun and Deno differ. Nothing outside this folder looks at the runtime. */
export * from "./socket.ts";
export { AddressError, formatAddress, formatTarget, parseListenTarget } from "./address.ts";
export { CertificateError, checkCertificates } from "./certificates.ts";
export { DEFAULT_DIAL_TIMEOUT_MS, dial } from "./dial.ts";
export { aborted, timedOut } from "./failure.ts";
export { listen, type ListenOptions } from "./listen.ts";
export { HIGH_WATER_BYTES, joined } from "./node_socket.ts";
export * from "./platform.ts";
export { startTls, type TlsTarget } from "./start_tls.ts";
