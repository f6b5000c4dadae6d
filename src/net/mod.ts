/** Sockets, dialing, listening, TLS and the process. No other folder knows which runtime it runs on. */
export {
  AddressError,
  bareHost,
  canonicalAddress,
  formatAddress,
  formatTarget,
  type HostPort,
  isLoopback,
  isLoopbackName,
  parseListenTarget,
  readHostPort,
} from "./address.ts";
export { AddressBlock } from "./address_block.ts";
export { attempt } from "./attempt.ts";
export { runtimeName, runtimeVersion, tuneRuntime } from "./current_runtime.ts";
export { type NetworkChange, NetworkWatch, networkWatch } from "./network_watch.ts";
export { socketCounts } from "./descriptors.ts";
export { DEFAULT_DIAL_TIMEOUT_MS, dial } from "./dial.ts";
export { type ConnectionLease, listen, type ListenOptions, type ShedReason, type SocketTaker } from "./listen.ts";
export { isMissingPermission } from "./permission.ts";
export { afterPoll, type PollListener } from "./poll.ts";
export {
  askHidden,
  environmentVariable,
  exit,
  flushOutput,
  hasOutputReader,
  holdProcess,
  inputText,
  isRoot,
  onResize,
  onSignal,
  platformName,
  processFacts,
  processId,
  programArguments,
  type SignalName,
  type Terminal,
  terminalOf,
  writeText,
} from "./process.ts";
export {
  MAX_PROXY_LINE_BYTES,
  MAX_PROXY_PAYLOAD_BYTES,
  PROXY_HEADER_TIMEOUT_MS,
  type ProxyHeaderOptions,
  readProxyHeader,
} from "./proxy_protocol.ts";
export {
  type DialOptions,
  type DialTarget,
  type Listener,
  type ListenTarget,
  type Socket,
  type SocketAddress,
  SocketError,
  type SocketErrorCode,
  type SocketHandlers,
  type TcpTarget,
  type TlsFault,
  type TlsOptions,
} from "./socket.ts";
export { DEFAULT_TCP_TIMEOUT_MS } from "./tcp_options.ts";
export { heldReadBytes, Queue, type TurnTaker, waitForTurn } from "./turns.ts";
export {
  CertificateError,
  type CertificatePair,
  type CertificateSource,
  checkCertificates,
  type ClientCertificate,
  type ClientHello,
  type ClientPolicy,
  datesFault,
  pinPattern,
  readCertificatePair,
  type SecuredSocket,
  startTls,
  TlsAcceptor,
  type TlsAcceptorOptions,
  type TlsCertificate,
  type TlsTarget,
} from "./tls/mod.ts";
