/**
 * Dialing: a connected socket or one error that says what was dialed and why it failed.
 */
import * as net from "node:net";
import { type Clock, systemClock } from "../base/mod.ts";
import { formatTarget } from "./address.ts";
import { hasDescriptor, socketLimit } from "./descriptors.ts";
import { aborted, socketError, timedOut } from "./failure.ts";
import { NodeSocket } from "./node_socket.ts";
import { type DialOptions, type DialTarget, type Socket, SocketError } from "./socket.ts";
import { startTls } from "./tls/mod.ts";

/** Milliseconds for a dial, with all that belongs to it. */
export const DEFAULT_DIAL_TIMEOUT_MS = 5_000;
/** The pause before the next address of a name is tried beside the one that does not answer (RFC 8305 §8). */
const NEXT_ADDRESS_MS = 250;

/**
 * Connects to `target`. A name is tried at all its addresses, each a quarter of a second after the one before
 * (RFC 8305); the first to answer wins. The socket comes paused, without delay (TCP_NODELAY), and with TLS where the
 * target asks for it, within the same time.
 * @throws {SocketError} `connection_refused`, `connect_timeout`, `host_not_found`, `host_unreachable`, `aborted`,
 *   `tls_failed`, …
 */
export function dial(target: DialTarget, options: DialOptions = {}, clock: Clock = systemClock): Promise<Socket> {
  if (target.kind === "unix" || target.tls === undefined) return connect(target, options, clock);
  const begun = clock.now();
  return connect(target, options, clock).then((socket) => {
    const { timeoutMs = DEFAULT_DIAL_TIMEOUT_MS, signal } = options;
    return startTls(socket, target, { timeoutMs, signal, begun }, clock);
  });
}

function connect(target: DialTarget, options: DialOptions, clock: Clock): Promise<Socket> {
  const action = `cannot connect to ${formatTarget(target)}`;
  const { signal, timeoutMs = DEFAULT_DIAL_TIMEOUT_MS } = options;
  if (signal?.aborted) return Promise.reject(aborted(action, signal));
  if (!hasDescriptor()) return Promise.reject(exhausted(action));
  return new Promise((resolve, reject) => {
    const raw = net.connect(connectOptions(target));
    const timer = clock.after(timeoutMs, () => fail(timedOut(action, timeoutMs)));
    const onAbort = () => fail(aborted(action, signal!));
    signal?.addEventListener("abort", onAbort);

    function settle(): void {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      raw.off("error", onError);
      raw.off("connect", onConnect);
    }
    function fail(error: SocketError): void {
      settle();
      // An error of an attempt that nobody waits for any more must not end the process.
      raw.on("error", () => {});
      raw.destroy();
      reject(error);
    }
    function onError(cause: Error): void {
      fail(socketError(action, cause));
    }
    function onConnect(): void {
      settle();
      resolve(new NodeSocket(raw, target.kind === "unix" ? target.path : null));
    }
    raw.on("error", onError);
    raw.on("connect", onConnect);
  });
}

function connectOptions(target: DialTarget): net.NetConnectOpts {
  if (target.kind === "unix") return { path: target.path, allowHalfOpen: true };
  return {
    host: target.host,
    port: target.port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  };
}

function exhausted(action: string): SocketError {
  const reason = `${action}: ${socketLimit()} sockets are open, the most that this process has descriptors for`;
  return new SocketError({ code: "out_of_descriptors", reason, initiator: "library", retryable: true });
}
