/** From the system's error codes, as Bun and Deno report them, to our own. */
import { type Initiator, messageOf } from "../base/mod.ts";
import { isMissingPermission } from "./permission.ts";
import { SocketError, type SocketErrorCode } from "./socket.ts";

interface Meaning {
  code: SocketErrorCode;
  text: string;
  initiator: Initiator;
  retryable: boolean;
}

const refused: Meaning = meaning("connection_refused", "connection refused", "remote", true);
const reset: Meaning = meaning("connection_reset", "connection reset by the other end", "remote", true);
const notAnswered: Meaning = meaning("connect_timeout", "no answer in time", "remote", true);
const notFound: Meaning = meaning("host_not_found", "no such host", "user", false);
const unreachable: Meaning = meaning("host_unreachable", "host unreachable", "remote", true);
const denied: Meaning = meaning("permission_denied", "permission denied", "user", false);
const exhausted: Meaning = meaning("out_of_descriptors", "out of file descriptors", "library", true);

const meanings: ReadonlyMap<string, Meaning> = new Map([
  ["ECONNREFUSED", refused],
  // The file of a unix socket is missing.
  ["ENOENT", meaning("connection_refused", "no such socket file", "remote", true)],
  // A folder of its path is a file.
  ["ENOTDIR", meaning("connection_refused", "no such socket file", "user", true)],
  // Such as a path of a unix socket that is too long.
  ["EINVAL", meaning("address_not_available", "invalid argument", "user", false)],
  ["ECONNRESET", reset],
  ["ECONNABORTED", reset],
  // The other end had reset before we wrote.
  ["EPIPE", reset],
  // The kernel gave up: a dial was not answered, or the packets of a connection are no longer acknowledged.
  ["ETIMEDOUT", notAnswered],
  ["ENOTFOUND", notFound],
  ["EAI_NONAME", notFound],
  ["EAI_NODATA", notFound],
  ["EAI_AGAIN", meaning("host_not_found", "the name could not be resolved now", "remote", true)],
  ["EHOSTUNREACH", unreachable],
  ["ENETUNREACH", unreachable],
  ["EADDRINUSE", meaning("address_in_use", "address already in use", "user", true)],
  ["EADDRNOTAVAIL", meaning("address_not_available", "no such address on this machine", "user", false)],
  ["EACCES", denied],
  ["EPERM", denied],
  ["EMFILE", exhausted],
  ["ENFILE", exhausted],
]);

function meaning(code: SocketErrorCode, text: string, initiator: Initiator, retryable: boolean): Meaning {
  return { code, text, initiator, retryable };
}

/**
 * The error of an action that failed with `cause`, an error of the runtime.
 * `socketError("Cannot connect to 127.0.0.1:3000", cause)` reads
 * "Cannot connect to 127.0.0.1:3000: connection refused".
 */
export function socketError(action: string, cause: unknown): SocketError {
  const known = isMissingPermission(cause)
    ? meaning("permission_denied", messageOf(cause), "user", false)
    : meanings.get(systemCode(cause));
  if (known === undefined) {
    return new SocketError({
      code: "socket_failed",
      reason: `${action}: ${messageOf(cause)}`,
      initiator: "library",
      cause,
    });
  }
  const { code, text, initiator, retryable } = known;
  return new SocketError({ code, reason: `${action}: ${text}`, initiator, retryable, cause });
}

/**
 * The `E…` code of a runtime's error. An AggregateError (all addresses of a name failed) has that of its first error.
 */
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

/** The error of a dial that its caller aborted. */
export function aborted(action: string, signal: AbortSignal): SocketError {
  return new SocketError({ code: "aborted", reason: `${action}: aborted`, initiator: "user", cause: signal.reason });
}
