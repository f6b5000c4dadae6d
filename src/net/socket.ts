/**
 * The narrow waist between Runnel and the runtimes: a connected byte stream, and nothing of how Bun or Deno make one.
 * HTTP/1.1, WebSocket and raw streams are written against these interfaces alone.
 */
import { RunnelError, type RunnelErrorInit } from "../errors.ts";

/** Where a socket is, as text that a log can show. `port` is 0 and `host` the path for unix sockets. */
export interface SocketAddress {
  readonly kind: "tcp" | "unix";
  readonly host: string;
  readonly port: number;
}

/**
 * What a socket tells its one owner. Calls are never nested in a call of the socket's own methods, with one
 * exception: none. `onClose` is the last call, comes exactly once, and nothing follows it.
 */
export interface SocketHandlers {
  /** Bytes of the peer's; the receiver may keep the buffer and write into it. Never empty. */
  onData(chunk: Uint8Array): void;
  /**
   * The peer's FIN, after all its bytes. Our own direction stays open until `end()`. Not called after a reset.
   * With TLS it is the peer's close_notify, and ends our own direction too, as if `end()` had been called (RFC 5246
   * §7.2.1); a FIN without one is a stream that was cut short, and comes to `onClose` as `connection_reset`.
   */
  onEnd(): void;
  /** After a `write()` that returned false: what was waiting has gone, the next bytes are welcome. */
  onDrain(): void;
  /** Both directions are over. `error` is null after a clean end of both and after our own `reset()`. */
  onClose(error: SocketError | null): void;
}

/**
 * A connected socket, plain or with TLS inside. It starts paused: set `handlers`, then `resume()`. Ownership moves by setting other handlers (an
 * upgrade does that); bytes that an owner read and did not use travel with the call that moves it.
 */
export interface Socket {
  handlers: SocketHandlers;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Bytes accepted by `write()` that the kernel has not taken yet; a turn's bytes count until it took them all. */
  readonly bufferedBytes: number;
  /** True once `onClose` was called or `reset()` was. Writes are then dropped without a word. */
  readonly closed: boolean;
  /**
   * Takes the bytes (the caller must not change them until they left, and spends what it owns by this: lease.ts). What
   * is written in one turn of the event loop leaves in one system call, at `setImmediate`, unless it is bulk, which
   * leaves as it comes. Returns false when the sender should wait for `onDrain`: the kernel takes no more, or this
   * socket had its share of the turn.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * Lets what was written leave now, and not at the turn's end: for who has more to do in this turn than the other end
   * should wait for.
   */
  flush(): void;
  /** Sends FIN (with TLS a close_notify before it) after what was written; reading goes on. */
  end(): void;
  /**
   * Drops what waits, sends RST, closes; `onClose(null)` follows, and nothing else. A unix socket knows no RST: its
   * peer sees an end, or a reset where it had sent bytes that were not read.
   */
  reset(): void;
  /**
   * Stops reading until `resume()`: the kernel's window fills, and a sender at the other end stops. The peer's reset is
   * told all the same, within about a second, and what came before it unread is lost. Two may learn of it only later:
   * who has called `end()`, at `resume()`; the owner of a unix socket, at the next `write()` or `resume()`.
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
  /** True: any certificate will do, and whoever is in between can read and change everything. Default false. */
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
  /** What was really bound. For an `fd`, as far as the runtime tells. */
  readonly address: SocketAddress;
  /** Stops accepting; sockets already accepted live on. Resolves when the descriptor is closed. */
  close(): Promise<void>;
}
