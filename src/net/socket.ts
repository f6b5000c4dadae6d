/**
 * A socket: a connected stream of bytes, whatever the runtime makes it of. HTTP/1.1, WebSocket and tunnels are written
 * against these interfaces alone.
 */
import { nameErrorClass, RunnelError, type RunnelErrorInit } from "../base/mod.ts";

/** One end of a socket. Of a unix socket `host` is the path and `port` is 0. */
export interface SocketAddress {
  readonly kind: "tcp" | "unix";
  readonly host: string;
  readonly port: number;
  /** A PROXY header says that the client's connection to the proxy was encrypted. */
  readonly usesTls?: true;
  /** A PROXY header names no client: the address is that of the proxy, whoever sends what comes behind the header. */
  readonly isProxys?: true;
}

/**
 * Events of a socket, for its one owner. They are never called within a call of the socket's methods. `onClose` is
 * called exactly once, as the last one.
 */
export interface SocketHandlers {
  /**
   * Bytes of the peer, never empty. The receiver owns the buffer, and may write into it. A large one has a reference,
   * which the receiver passes on or releases (src/memory).
   */
  onData(chunk: Uint8Array): void;
  /**
   * The peer's FIN, after all its bytes. Our own direction stays open until `end()`. Not called after a reset.
   * With TLS it is the peer's close_notify, and ends our own direction, too, as `end()` does (RFC 5246 §7.2.1). A FIN
   * without it means that the stream was truncated: `onClose` gets a `connection_reset`.
   */
  onEnd(): void;
  /** After a `write()` that returned false: more can be written. */
  onDrain(): void;
  /**
   * The connection broke: a write failed, or the peer has reset it while this socket was paused. Nothing can be sent any
   * more, but bytes of the peer may wait. True: they are wanted. What is written from now on is dropped, reading goes on
   * as `pause()` and `resume()` say, and `onClose` gets the error behind the last byte, or a minute after the last
   * `resume()`. Without this method, and where it returns false, `onClose` follows at once.
   */
  onBroken?(): boolean;
  /** Both directions are over. `error` is null after a clean end of both and after our own `reset()`. */
  onClose(error: SocketError | null): void;
}

/** How long a broken socket waits for its owner to read on. A visitor may be silent in its request for as long. */
export const BROKEN_WAIT_MS = 60_000;

/** The handlers of a new socket, until its owner sets its own. */
export const noHandlers: SocketHandlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/**
 * A connected socket, plain or with TLS inside. It starts paused: set `handlers`, then call `resume()`. To give the
 * socket to another owner, set other handlers. Bytes that were read and not used must be passed on with it.
 */
export interface Socket {
  handlers: SocketHandlers;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** Bytes that were written and not yet taken by the kernel. */
  readonly bufferedBytes: number;
  /**
   * Bytes that the runtime has read and holds while this socket is paused. None on Bun; on Deno up to 64 KiB, since its
   * streams stop only behind a read.
   */
  readonly unreadBytes: number;
  /** True once `onClose` or `reset()` was called. Writes are then dropped. */
  readonly closed: boolean;
  /**
   * Sends bytes, which the caller must not change any more, and takes over their reference (src/memory). What is
   * written in one event-loop tick is sent in one system call at its end; bulk is sent at once. Returns false when the
   * sender should wait for `onDrain`: the kernel takes no more, or this socket has sent its maximum in this tick.
   */
  write(bytes: Uint8Array): boolean;
  /** Sends what was written at once, and not at the end of the tick. */
  flush(): void;
  /** Sends FIN after what was written, with TLS a close_notify before it. Reading goes on. */
  end(): void;
  /**
   * Drops what was not sent, sends RST and closes. Only `onClose(null)` follows. A unix socket has no RST: its peer
   * sees an end, or a reset where it has sent bytes that were not read.
   */
  reset(): void;
  /**
   * Stops reading until `resume()`: the kernel's window fills, and the peer cannot send more. A reset by the peer is
   * reported within about a second all the same. Bun then closes the socket, and unread bytes are lost; elsewhere
   * `onBroken` decides. After `end()` it is reported at `resume()`, on a unix socket at the next `write()` or `resume()`.
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
  | "address_not_allowed"
  | "permission_denied"
  | "aborted"
  | "out_of_descriptors"
  | "tls_failed"
  | "proxy_failed"
  | "socket_failed";

/** What was wrong where TLS failed. */
export type TlsFault =
  /** The other end's certificate is not trusted, for none of the next two reasons. */
  | "certificate"
  /** The certificate has expired, or is not valid yet. */
  | "certificate_dates"
  /** The certificate is for other names. */
  | "certificate_name"
  /** The certificate's key is none of those that are pinned. */
  | "certificate_pin"
  /** The other end sent something else than TLS. */
  | "no_tls"
  /** The connection stood, and the handshake was not over in time. */
  | "no_handshake";

/** A socket, a dial or a listener failed. `cause` is the runtime's own error. */
export class SocketError extends RunnelError {
  static {
    nameErrorClass(this, "SocketError");
  }

  declare readonly code: SocketErrorCode;
  /** Null where it is none of these. */
  readonly tlsFault: TlsFault | null;

  constructor(init: RunnelErrorInit & { code: SocketErrorCode; tlsFault?: TlsFault }) {
    super(init);
    this.tlsFault = init.tlsFault ?? null;
  }
}

/** How to authenticate the other end of a TLS connection (RFC 8446). */
export interface TlsOptions {
  /** The server's name, for SNI and for the check of the certificate. Default: the host that is dialed. */
  readonly serverName?: string;
  /** Certificates in PEM that are trusted in place of the runtime's list of authorities. */
  readonly ca?: string;
  /**
   * The keys that the server may have, as `sha256/BASE64` (RFC 7469 §2.4). A certificate with one of them is trusted
   * whoever signed it, for whichever name and time, and no other one is. Default: the certificate's authority counts.
   */
  readonly pins?: readonly string[];
  /** True: any certificate is accepted, so that others on the way can read and change everything. Default false. */
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

/** What to dial. TLS is used where `tls` is there, even if empty. */
export type DialTarget = (TcpTarget & { readonly tls?: TlsOptions }) | UnixTarget;

export interface DialOptions {
  /** Milliseconds until `connect_timeout`. Default 5,000. */
  timeoutMs?: number;
  /** Ends the dial with `aborted`. */
  signal?: AbortSignal;
  /** Milliseconds until a peer that vanished is given up; see `ListenOptions`. Default 90,000. */
  tcpTimeoutMs?: number;
  /**
   * Asked for each address of a TCP target, before it is dialed: only those for which it returns true are. Where a name
   * has none, the dial fails with `address_not_allowed`. Default: every address is dialed.
   */
  isAllowed?(address: string): boolean;
}

/** Where to listen: port 0 is any free one; `fd` is an inherited descriptor that listens already (on Deno: on TCP). */
export type ListenTarget = TcpTarget | UnixTarget | { readonly kind: "fd"; readonly fd: number };

export interface Listener {
  /** Where it listens. For an `fd`, as far as the runtime knows. */
  readonly address: SocketAddress;
  /** Stops accepting. Accepted sockets are not closed. Resolves when the descriptor is closed. */
  close(): Promise<void>;
  /** Resolves behind `close()`, when all accepted sockets have closed, too. */
  readonly emptied: Promise<void>;
}
