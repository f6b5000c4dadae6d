/** Dialing: from a target to a connected socket, or to one error that says what was dialed and why it failed. */
import type * as dns from "node:dns";
import * as net from "node:net";
import { type Clock, systemClock } from "../base/mod.ts";
import { formatTarget, isLoopbackName } from "./address.ts";
import { attempt } from "./attempt.ts";
import { runtime } from "./current_runtime.ts";
import { canDial, closeDescriptor, dialLimit, openDescriptor } from "./descriptors.ts";
import { socketError } from "./failure.ts";
import { NodeSocket } from "./node_socket.ts";
import { type DialOptions, type DialTarget, type Socket, SocketError } from "./socket.ts";
import { DEFAULT_TCP_TIMEOUT_MS, keepAliveOf, setTcpOptions } from "./tcp_options.ts";
import { startTls } from "./tls/mod.ts";

/** For a whole dial, TLS included. */
export const DEFAULT_DIAL_TIMEOUT_MS = 5_000;
/** After this time without an answer, the next address of a name is tried, too (RFC 8305 §8). */
const NEXT_ADDRESS_MS = 250;

/** The addresses of `localhost`, in the order in which they are tried. */
const loopbackAddresses: readonly dns.LookupAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

/**
 * Connects to `target`. The addresses of a name are tried in turn, the next one when one fails or has not answered for
 * a quarter of a second (RFC 8305); the first that answers is used. `localhost` and the names under it are 127.0.0.1,
 * then ::1 (RFC 6761 §6.3), whatever the system says. The socket is paused, without delay (TCP_NODELAY), and has TLS
 * inside where the target says so.
 *
 * @throws {SocketError} `connection_refused`, `connect_timeout`, `host_not_found`, `host_unreachable`, `aborted`,
 *   `tls_failed`, …
 */
export function dial(target: DialTarget, options: DialOptions = {}, clock: Clock = systemClock): Promise<Socket> {
  if (target.kind === "unix" || target.tls === undefined) return connect(target, options, clock);
  const startedAt = clock.now();
  return connect(target, options, clock).then((socket) => {
    const { timeoutMs = DEFAULT_DIAL_TIMEOUT_MS, signal } = options;
    return startTls(socket, target, { timeoutMs, signal, startedAt }, clock);
  });
}

function connect(target: DialTarget, options: DialOptions, clock: Clock): Promise<Socket> {
  const action = `Cannot connect to ${formatTarget(target)}`;
  const { signal, timeoutMs = DEFAULT_DIAL_TIMEOUT_MS, tcpTimeoutMs = DEFAULT_TCP_TIMEOUT_MS } = options;
  let cleanUp = () => {};
  return attempt({ action, timeoutMs, signal, clock, cleanUp: () => cleanUp() }, (resolve, reject) => {
    if (!canDial()) return reject(exhausted(action));
    openDescriptor();
    const raw = net.connect(connectOptions(target));
    raw.once("close", closeDescriptor);
    raw.on("error", onError);
    raw.on("connect", onConnect);

    function onError(cause: Error): void {
      reject(socketError(action, cause));
    }
    function onConnect(): void {
      raw.off("error", onError);
      raw.off("connect", onConnect);
      // The socket counts itself.
      raw.off("close", closeDescriptor);
      closeDescriptor();
      const isBounded = target.kind === "tcp" && runtime.canBoundDialed;
      if (target.kind === "tcp") {
        keepAliveOf(raw, tcpTimeoutMs);
        setTcpOptions(raw, tcpTimeoutMs, isBounded);
      }
      resolve(new NodeSocket(raw, target.kind === "unix" ? target.path : null, { tcpTimeoutMs, isBounded, clock }));
    }
    // The listener for errors stays: without one, a later error would end the process.
    cleanUp = () => {
      raw.off("connect", onConnect);
      raw.destroy();
    };
  });
}

function connectOptions(target: DialTarget): net.NetConnectOpts {
  if (target.kind === "unix") return { path: target.path, allowHalfOpen: true };
  return {
    host: target.host,
    port: target.port,
    lookup: isLoopbackName(target.host) ? lookUpLoopback : undefined,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  };
}

/** In place of the system's lookup, which may know one of the addresses only, or none. */
const lookUpLoopback: net.LookupFunction = (_name, { all }, callback) => {
  if (all) callback(null, [...loopbackAddresses]);
  else callback(null, loopbackAddresses[0].address, loopbackAddresses[0].family);
};

function exhausted(action: string): SocketError {
  const reason = `${action}: ${dialLimit()} sockets are open, the most that this process has descriptors for`;
  return new SocketError({ code: "out_of_descriptors", reason, initiator: "library", retryable: true });
}
