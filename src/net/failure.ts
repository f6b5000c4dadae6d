/**
 * From the system's error codes to ours: the one place that knows how Bun and Deno spell a failed call.
 */
import type { Initiator } from "../base/mod.ts";
import { SocketError, type SocketErrorCode } from "./socket.ts";

interface Meaning {
  code: SocketErrorCode;
  text: string;
  initiator: Initiator;
  retryable: boolean;
}

const REFUSED: Meaning = meaning("connection_refused", "connection refused", "remote", true);
const RESET: Meaning = meaning("connection_reset", "connection reset by the other end", "remote", true);
const TIMED_OUT: Meaning = meaning("connect_timeout", "no answer in time", "remote", true);
const NOT_FOUND: Meaning = meaning("host_not_found", "no such host", "user", false);
const UNREACHABLE: Meaning = meaning("host_unreachable", "host unreachable", "remote", true);
const DENIED: Meaning = meaning("permission_denied", "permission denied", "user", false);
const EXHAUSTED: Meaning = meaning("out_of_descriptors", "out of file descriptors", "library", true);

const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ["ECONNREFUSED", REFUSED],
  // A unix socket whose file is missing: nobody listens there.
  ["ENOENT", meaning("connection_refused", "no such socket file", "remote", true)],
  ["ECONNRESET", RESET],
  ["ECONNABORTED", RESET],
  // The other end had already reset when we wrote.
  ["EPIPE", RESET],
  // An established connection whose packets are no longer acknowledged; for a dial, the kernel's own patience.
  ["ETIMEDOUT", TIMED_OUT],
  ["ENOTFOUND", NOT_FOUND],
  ["EAI_NONAME", NOT_FOUND],
  ["EAI_NODATA", NOT_FOUND],
  ["EAI_AGAIN", meaning("host_not_found", "the name could not be resolved now", "remote", true)],
  ["EHOSTUNREACH", UNREACHABLE],
  ["ENETUNREACH", UNREACHABLE],
  ["EADDRINUSE", meaning("address_in_use", "address already in use", "user", true)],
  ["EADDRNOTAVAIL", meaning("address_not_available", "no such address on this machine", "user", false)],
  ["EACCES", DENIED],
  ["EPERM", DENIED],
  ["EMFILE", EXHAUSTED],
  ["ENFILE", EXHAUSTED],
]);

function meaning(code: SocketErrorCode, text: string, initiator: Initiator, retryable: boolean): Meaning {
  return { code, text, initiator, retryable };
}

/**
 * The error that says `action` failed for `cause`: `socketError("cannot connect to 127.0.0.1:3000", error)` reads
 * "cannot connect to 127.0.0.1:3000: connection refused".
 */
export function socketError(action: string, cause: unknown): SocketError {
  const known = MEANINGS.get(systemCode(cause));
  if (known === undefined) {
    const text = cause instanceof Error ? cause.message : String(cause);
    return new SocketError({ code: "socket_failed", reason: `${action}: ${text}`, initiator: "library", cause });
  }
  const { code, text, initiator, retryable } = known;
  return new SocketError({ code, reason: `${action}: ${text}`, initiator, retryable, cause });
}

/** The `E…` code of a runtime's error; of an AggregateError (every address of a name failed) the first one's. */
function systemCode(cause: unknown): string {
  if (!(cause instanceof Error)) return "";
  const code = (cause as { code?: unknown }).code;
  if (typeof code === "string" && code !== "") return code;
  return cause instanceof AggregateError ? systemCode(cause.errors[0]) : "";
}

/** The error of a dial whose time is over. */
export function timedOut(action: string, timeoutMs: number): SocketError {
  const reason = `${action}: no answer within ${timeoutMs} ms`;
  return new SocketError({ code: "connect_timeout", reason, initiator: "remote", retryable: true });
}

/** The error of a dial that its caller gave up. */
export function aborted(action: string, signal: AbortSignal): SocketError {
  return new SocketError({ code: "aborted", reason: `${action}: aborted`, initiator: "user", cause: signal.reason });
}
