/** Listening on TCP, on a unix socket or on a descriptor that the parent process has opened (socket activation). */
import { lookup } from "node:dns/promises";
import { lstat, rm } from "node:fs/promises";
import * as net from "node:net";
import { isSystemError, type Lease, systemClock, type Timer } from "../base/mod.ts";
import { formatTarget, tcpAddress, unixAddress } from "./address.ts";
import { canAccept, canServe } from "./descriptors.ts";
import { runtime } from "./current_runtime.ts";
import { dial } from "./dial.ts";
import { socketError } from "./failure.ts";
import { NodeSocket } from "./node_socket.ts";
import { type Listener, type ListenTarget, type Socket, type SocketAddress, SocketError } from "./socket.ts";
import { DEFAULT_TCP_TIMEOUT_MS, keepAliveOf, setTcpOptions } from "./tcp_options.ts";

const DEFAULT_BACKLOG = 511;
/** How often a listener that may have stopped to accept is revived. That makes no system call. */
const REVIVE_MS = 500;
/** For an address of another machine, or of a family that this one does not have. Deno reports EINVAL for both. */
const noAddressCodes = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"];

/** Why a connection is surplus: the process has too few descriptors, or there are too many connections. */
export type ShedReason = "descriptors" | "connections";

/** An accepted connection, among those that there may be at once. It is released when the connection has closed. */
export interface ConnectionLease extends Lease {
  /**
   * Counts the connection for `address`, of which a proxy has told, and no more for the proxy's. False where that address
   * has too many: the connection is to be reset.
   */
  assign(address: string): boolean;
}

/** Takes a socket of a listener, with its lease; null where `ListenOptions.admit` is not given. */
export type SocketTaker = (socket: Socket, lease: ConnectionLease | null) => void;

export interface ListenOptions {
  /** Connections that the kernel holds until they are accepted. Default 511; the system may allow fewer. */
  backlog?: number;
  /**
   * Sockets of this listener that may be open at once; further ones are reset. Default: as many as the process has
   * descriptors for, less a reserve.
   */
  maxSockets?: number;
  /**
   * Gets, in place of `onSocket`, a socket that is surplus: it was accepted although descriptors run out, or although
   * there are too many connections (`isOverfull`), in order to tell its peer. It must be closed soon. Default: it is
   * reset. There are a few of these: sockets beyond them are reset.
   */
  onSurplus?: SocketTaker;
  /**
   * Asked for each accepted connection, with the address of its peer: `""` on a unix socket. Null: it is reset before
   * anything is made for it. The lease is released when it has closed. Default: all are taken.
   */
  admit?: (address: string) => ConnectionLease | null;
  /** Asked behind `admit`: true where this connection is surplus, too. Default: none is for this reason. */
  isOverfull?: () => boolean;
  /** Called for each socket that is surplus, or reset in place of that. */
  onShed?: (why: ShedReason) => void;
  /**
   * Milliseconds until a peer that vanished is given up: one whose system acknowledges nothing, neither bytes nor
   * keep-alive probes. Its socket closes with `connect_timeout`. Default 90,000; `Infinity`: never.
   */
  tcpTimeoutMs?: number;
}

/**
 * Listens on `target` and gives each accepted socket to `onSocket`, which sets its handlers at once. Sockets are paused
 * and without delay (TCP_NODELAY). `::` accepts IPv4, too, and is `0.0.0.0` where the machine has no IPv6. Of a name
 * the first address is used. The file of a unix socket is removed at close, and before if it is left over from another
 * process.
 *
 * @throws {SocketError} `address_in_use`, `address_not_available`, `permission_denied`, …
 */
export async function listen(
  target: ListenTarget,
  onSocket: SocketTaker,
  options: ListenOptions = {},
): Promise<Listener> {
  const bound = await resolved(target);
  try {
    runtime.permitListen(bound);
    return await bind(bound, onSocket, options);
  } catch (cause) {
    if (bound.kind === "unix" && await removeLeftover(bound.path, cause)) return await bind(bound, onSocket, options);
    if (bound.kind === "tcp" && bound.host === "::" && isSystemError(cause, ...noAddressCodes)) {
      return await bind({ ...bound, host: "0.0.0.0" }, onSocket, options);
    }
    throw listenError(target, cause);
  }
}

/** Names are looked up here, because Bun gives no reason where a name has no address. */
async function resolved(target: ListenTarget): Promise<ListenTarget> {
  if (target.kind !== "tcp" || net.isIP(target.host) !== 0) return target;
  try {
    const { address } = await lookup(target.host);
    return { ...target, host: address };
  } catch (cause) {
    throw listenError(target, cause);
  }
}

function bind(target: ListenTarget, onSocket: SocketTaker, options: ListenOptions): Promise<Listener> {
  const { backlog = DEFAULT_BACKLOG, maxSockets = Infinity, tcpTimeoutMs = DEFAULT_TCP_TIMEOUT_MS } = options;
  const { onSurplus, onShed, admit, isOverfull } = options;
  const path = target.kind === "unix" ? target.path : null;
  let open = 0;
  let reviver: Reviver | null = null;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (raw) => {
    const lease = admit === undefined ? null : admit(peerHost(raw, path));
    if (lease === null && admit !== undefined) return refuse(raw);
    const why = !canServe() ? "descriptors" : isOverfull?.() === true ? "connections" : null;
    const isSurplus = why !== null;
    if (isSurplus) onShed?.(why);
    if (why === "descriptors") reviver?.reviveSoon();
    if (open >= maxSockets || isSurplus && (onSurplus === undefined || !canAccept())) {
      lease?.release();
      return refuse(raw);
    }
    open++;
    raw.once("close", () => {
      open--;
      lease?.release();
    });
    if (path === null) keepAliveOf(raw, tcpTimeoutMs);
    const socket = new NodeSocket(raw, path, { tcpTimeoutMs, isBounded: path === null });
    if (isSurplus) onSurplus?.(socket, lease);
    else onSocket(socket, lease);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(listenOptions(target, backlog), () => {
      server.off("error", reject);
      // An accept that fails (out of descriptors, a client that has left) concerns that client alone.
      server.on("error", () => {});
      if (path === null) setTcpOptions(server, tcpTimeoutMs, true);
      if (runtime.revive !== null) reviver = new Reviver(() => runtime.revive?.(server, backlog));
      resolve(new NodeListener(server, boundAddress(server, target), reviver));
    });
  });
}

/** A process that was killed leaves its unix socket's file. It is removed where no process listens on it any more. */
async function removeLeftover(path: string, cause: unknown): Promise<boolean> {
  if (!isSystemError(cause, "EADDRINUSE")) return false;
  const file = await lstat(path).catch(() => null);
  if (file === null || !file.isSocket()) return false;
  try {
    const answering = await dial({ kind: "unix", path });
    answering.reset();
    return false;
  } catch (error) {
    if (!(error instanceof SocketError) || error.code !== "connection_refused") return false;
    await rm(path, { force: true });
    return true;
  }
}

function listenError(target: ListenTarget, cause: unknown): SocketError {
  const action = `Cannot listen on ${formatTarget(target)}`;
  if (target.kind === "tcp" && isSystemError(cause, ...noAddressCodes)) {
    const reason = `${action}: no such address on this machine`;
    return new SocketError({ code: "address_not_available", reason, initiator: "user", cause });
  }
  if (target.kind === "unix" && isSystemError(cause, "ENOENT", "ENOTDIR")) {
    const reason = `${action}: no such folder`;
    return new SocketError({ code: "address_not_available", reason, initiator: "user", cause });
  }
  return socketError(action, cause);
}

function listenOptions(target: ListenTarget, backlog: number): net.ListenOptions & { fd?: number } {
  if (target.kind === "fd") return { fd: target.fd };
  if (target.kind === "unix") return { path: target.path, backlog };
  return { host: target.host, port: target.port, backlog };
}

function boundAddress(server: net.Server, target: ListenTarget): SocketAddress {
  const bound = server.address();
  if (typeof bound === "string") return unixAddress(bound);
  if (bound !== null) return tcpAddress(bound.address, bound.port);
  return target.kind === "unix" ? unixAddress(target.path) : tcpAddress("", 0);
}

function peerHost(raw: net.Socket, path: string | null): string {
  return path === null ? tcpAddress(raw.remoteAddress, raw.remotePort).host : "";
}

function refuse(raw: net.Socket): void {
  raw.on("error", () => {});
  if (raw.remoteAddress === undefined) raw.destroy();
  else raw.resetAndDestroy();
}

class NodeListener implements Listener {
  readonly address: SocketAddress;
  readonly emptied: Promise<void>;
  readonly #server: net.Server;
  readonly #reviver: Reviver | null;
  #closed: Promise<void> | null = null;

  constructor(server: net.Server, address: SocketAddress, reviver: Reviver | null) {
    this.#server = server;
    this.address = address;
    this.emptied = new Promise((resolve) => server.once("close", () => resolve()));
    this.#reviver = reviver;
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#reviver?.close();
      // The event 'close' would wait for the accepted sockets. The descriptor is closed in this tick.
      this.#server.close();
      setImmediate(resolve);
    });
    return this.#closed;
  }
}

/** Has a listener accept again that may have stopped to: now and then, and once descriptors have run out. */
class Reviver {
  readonly #revive: () => void;
  #timer: Timer;
  #isDue = false;
  #isClosed = false;

  constructor(revive: () => void) {
    this.#revive = revive;
    this.#timer = this.#later();
  }

  /** Those that were accepted too many are closed by then. */
  reviveSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      if (!this.#isClosed) this.#revive();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
  }

  #later(): Timer {
    return systemClock.after(REVIVE_MS, () => {
      this.#revive();
      this.#timer = this.#later();
    });
  }
}
