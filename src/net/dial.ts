/** Dialing: from a target to a connected socket, or to one error that says what was dialed and why it failed. */
import * as dns from "node:dns";
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
/**
 * The same on this machine, whose addresses refuse at once. The runtimes give the first attempt up for the next one, and a
 * process that is busy for 250 ms would lose a connection that was there: a service seemed to be silent under load.
 */
const NEXT_LOOPBACK_ADDRESS_MS = 2_000;

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
 *   `tls_failed`, `address_not_allowed`, …
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
    let isRefused = false;
    const refuse = (...addresses: readonly string[]) => {
      isRefused = true;
      reject(notAllowed(action, addresses));
    };
    const connection = connectOptions(target, options.isAllowed, refuse);
    if (connection === null) return;
    openDescriptor();
    const raw = net.connect(connection);
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
    // A lookup may end before there is anything to clean up.
    if (isRefused) cleanUp();
  });
}

/** @param refuse is called where no address is allowed; the result is null where that is known without a lookup */
function connectOptions(
  target: DialTarget,
  isAllowed: DialOptions["isAllowed"],
  refuse: (...addresses: readonly string[]) => void,
): net.NetConnectOpts | null {
  if (target.kind === "unix") return { path: target.path, allowHalfOpen: true };
  const { host, port } = target;
  const own = isLoopbackName(host) ? lookUpLoopback : undefined;
  let lookup: net.LookupFunction | undefined = own;
  if (isAllowed !== undefined) {
    // An address is dialed without a lookup.
    if (net.isIP(host) !== 0 && !isAllowed(host)) {
      refuse(host);
      return null;
    }
    lookup = allowedOf(own ?? lookUpSystem, isAllowed, refuse);
  }
  return {
    host,
    port,
    lookup,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: own === undefined ? NEXT_ADDRESS_MS : NEXT_LOOPBACK_ADDRESS_MS,
  };
}

/** A lookup in which the runtime sees none but the allowed addresses. */
function allowedOf(
  lookup: net.LookupFunction,
  isAllowed: (address: string) => boolean,
  refuse: (...addresses: readonly string[]) => void,
): net.LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, []);
      const addresses = found as dns.LookupAddress[];
      const allowed = addresses.filter(({ address }) => isAllowed(address));
      if (allowed.length === 0) {
        refuse(...addresses.map(({ address }) => address));
        return callback(new Error("No address is allowed"), []);
      }
      if (options.all) callback(null, allowed);
      else callback(null, allowed[0].address, allowed[0].family);
    });
  };
}

const lookUpSystem: net.LookupFunction = (name, options, callback) => dns.lookup(name, options, callback);

/** In place of the system's lookup, which may know one of the addresses only, or none. */
const lookUpLoopback: net.LookupFunction = (_name, { all }, callback) => {
  if (all) callback(null, [...loopbackAddresses]);
  else callback(null, loopbackAddresses[0].address, loopbackAddresses[0].family);
};

function notAllowed(action: string, addresses: readonly string[]): SocketError {
  const detail = addresses.length === 1
    ? `${addresses[0]} is not allowed`
    : `none of ${addresses.join(", ")} is allowed`;
  return new SocketError({ code: "address_not_allowed", reason: `${action}: ${detail}`, initiator: "user" });
}

function exhausted(action: string): SocketError {
  const reason = `${action}: ${dialLimit()} sockets are open, the most that this process has descriptors for`;
  return new SocketError({ code: "out_of_descriptors", reason, initiator: "library", retryable: true });
}
