/** Sockets and the process. Nothing outside this folder knows which runtime this is. */
export * from "./socket.ts";
export { AddressError, formatAddress, formatTarget, isLoopback, parseListenTarget } from "./address.ts";
export { DEFAULT_DIAL_TIMEOUT_MS, dial } from "./dial.ts";
export { aborted, timedOut } from "./failure.ts";
export { listen, type ListenOptions } from "./listen.ts";
export * from "./process.ts";
export { runtimeName, runtimeVersion, tuneRuntime } from "./current_runtime.ts";
export type { RuntimeName } from "./runtime.ts";
export { CertificateError, checkCertificates, startTls, type TlsTarget } from "./tls/mod.ts";
