/**
 * What Runnel knows of sockets: a connected byte stream, and nothing of how a runtime makes one. HTTP/1.1, WebSocket and
 * raw streams are written against these interfaces alone.
 */
import { RunnelError, type RunnelErrorInit } from "../base/mod.ts";

/** Where a socket is, as text that a log can show. `port` is 0 and `host` the path for unix sockets. */
export interface SocketAddress {
  readonly kind: "tcp" | "unix";
  readonly host: string;
  readonly port: number;
}

/**
 * What a socket tells its one owner. No call is nested in a call of the socket's own methods. `onClose` comes exactly
 * once and is the last call.
 */
export interface SocketHandlers {
  /**
   * Bytes of the peer's, never empty. The buffer is the receiver's, to keep and to write into; a large one has a
   * reference, which the receiver passes on or releases (src/memory).
   */
  onData(chunk: Uint8Array): void;
  /**
   * The peer's FIN, after all its bytes. Our own direction stays open until `end()`. Not called after a reset.
   * With TLS it is the peer's close_notify, and ends our own direction too, as if `end()` had been called (RFC 5246
   * §7.2.1); a FIN without one is a stream that was cut short, and comes to `onClose` as `connection_reset`.
   */
  onEnd(): void;
  /** After a `write()` that returned false: there is room again. */
  onDrain(): void;
  /** Both directions are over. `error` is null after a clean end of both and after our own `reset()`. */
  onClose(error: SocketError | null): void;
}

/** For the time between making a socket and setting its owner's handlers. */
export const noHandlers: SocketHandlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/**
 * A connected socket, plain or with TLS inside. It starts paused: set `handlers`, then `resume()`. An upgrade moves the
 * socket to a new owner by setting other handlers; bytes that were read and not used are passed along.
 */
export interface Socket {
  handlers: SocketHandlers;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Bytes accepted by `write()` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /** True once `onClose` or `reset()` was called. Writes are then dropped. */
  readonly closed: boolean;
  /**
   * Sends bytes, which the caller must not change any more, and takes their reference (src/memory). What is written in
   * one event-loop tick leaves in one system call at its end; bulk leaves as it comes. Returns false when the sender
   * should wait for `onDrain`: the kernel takes no more, or this socket had its share of the tick.
   */
  write(bytes: Uint8Array): boolean;
  /** Sends what was written now, and not at the end of the tick. */
  flush(): void;
  /** Sends FIN after what was written, with TLS a close_notify before it. Reading goes on. */
  end(): void;
  /**
   * Drops what waits, sends RST and closes. Only `onClose(null)` follows. A unix socket knows no RST: its peer sees an
   * end, or a reset where it had sent bytes that were not read.
   */
  reset(): void;
  /**
   * Stops reading until `resume()`: the kernel's window fills, and the peer's sends stop. A reset of the peer's is told
   * within about a second all the same, and what came unread before it is lost. After `end()` it is told at `resume()`,
   * on a unix socket at the next `write()` or `resume()`.
   */
  pause(): void;
  resume(): void;
}

export type SocketErrorCode =
  | "connection_refused"
  | "connection_reset"
  | "connect_timeout"
  | "host_not_found"
  | "host_unreachable"
  | "address_in_use"
  | "address_not_available"
  | "permission_denied"
  | "aborted"
  | "out_of_descriptors"
  | "tls_failed"
  | "proxy_failed"
  | "socket_failed";

/** A socket, a dial or a listener failed. `code` says how, `cause` is the runtime's own error. */
export class SocketError extends RunnelError {
  declare readonly code: SocketErrorCode;
  constructor(init: RunnelErrorInit & { code: SocketErrorCode }) {
    super(init);
  }
}

/** How to trust the other end of a TLS connection (RFC 8446). */
export interface TlsOptions {
  /** The name that is asked for (SNI) and that the certificate must be for. Default: the host that is dialed. */
  readonly serverName?: string;
  /** Certificates in PEM that are trusted instead of the runtime's own list of authorities. */
  readonly ca?: string;
  /** True: any certificate is accepted, so anyone on the way can read and change everything. Default false. */
  readonly insecure?: boolean;
}

export interface TcpTarget {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
}

export interface UnixTarget {
  readonly kind: "unix";
  readonly path: string;
}

/** What to dial; `tls` even where it is empty asks for TLS. */
export type DialTarget = (TcpTarget & { readonly tls?: TlsOptions }) | UnixTarget;

export interface DialOptions {
  /** Milliseconds until `connect_timeout`. Default 5,000. */
  timeoutMs?: number;
  /** Ends the dial with `aborted`. */
  signal?: AbortSignal;
}

/** Where to listen: port 0 picks a free one; `fd` is an inherited, already listening TCP descriptor (on Deno no other). */
export type ListenTarget = TcpTarget | UnixTarget | { readonly kind: "fd"; readonly fd: number };

export interface Listener {
  /** What was bound. For an `fd`, as far as the runtime tells. */
  readonly address: SocketAddress;
  /** Stops accepting; sockets already accepted live on. Resolves when the descriptor is closed. */
  close(): Promise<void>;
}
