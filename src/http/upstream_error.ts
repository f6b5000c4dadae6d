/** How asking an upstream fails. The caller that waits for the head and the reader of the body get the same error. */
import { type Initiator, messageOf, nameErrorClass, RunnelError } from "../base/mod.ts";
import { type DialTarget, SocketError, type SocketErrorCode, type TlsFault } from "../net/mod.ts";
import { showLine } from "./head_line.ts";
import { isProblemCode, type ProblemCode, problemKinds } from "./problems.ts";

/** Each code with who began it. All but `upstream_reset` and `canceled` are problem codes. */
const initiators = {
  /** No connection came about. */
  upstream_refused: "remote",
  /** The agent may not dial any of the upstream's addresses. */
  upstream_not_allowed: "user",
  /** No connection, or no head of an answer, within its time. */
  upstream_timeout: "remote",
  /** The upstream ended the connection before its answer, or short of the answer's end. */
  upstream_closed: "remote",
  /** The connection was reset in the middle of the answer. */
  upstream_reset: "remote",
  /** The upstream's bytes are no answer, or one that must not be passed on. */
  upstream_invalid: "remote",
  /** The function that stands for an upstream threw. */
  upstream_failed: "remote",
  /** Too many requests wait for a socket already, or the agent has no descriptor for another one. */
  overloaded: "library",
  /** The request cannot be sent: its head is malformed, or its body is not as long as its Content-Length. */
  bad_request: "user",
  /** The caller aborted its signal, failed its body, or canceled the answer. Nobody is left to be told the status. */
  canceled: "user",
} as const satisfies Partial<Record<ProblemCode | "upstream_reset" | "canceled", Initiator>>;

export type UpstreamErrorCode = keyof typeof initiators;

/**
 * An upstream could not be asked, or its answer broke off. `retryable` says that nothing of the request was answered. It
 * does not say that sending the request twice is harmless.
 */
export class UpstreamError extends RunnelError {
  static {
    nameErrorClass(this, "UpstreamError");
  }

  declare readonly code: UpstreamErrorCode;
  /** The status that tells a public client about it. */
  readonly status: number;
  /** What whoever runs the agent can do about this very cause, as the end of a sentence; null where nothing is known. */
  readonly remedy: string | null;

  constructor(code: UpstreamErrorCode, reason: string, cause?: unknown, remedy: string | null = null) {
    const retryable = code === "upstream_refused" || code === "upstream_timeout" || code === "overloaded";
    super({ code, reason, initiator: initiators[code], retryable, cause });
    this.status = problemKinds[isProblemCode(code) ? code : "upstream_failed"].status;
    this.remedy = remedy;
  }

  /** For a dial of `target` that failed. */
  static ofDial(cause: unknown, target: DialTarget): UpstreamError {
    if (!(cause instanceof SocketError)) {
      return new UpstreamError("upstream_refused", `Cannot connect: ${messageOf(cause)}`, cause);
    }
    if (cause.code === "aborted") return UpstreamError.ofCancel(cause);
    return new UpstreamError(
      dialCodes[cause.code] ?? "upstream_refused",
      cause.reason,
      cause,
      remedyOfDial(cause, target),
    );
  }

  /** For a connection that ended before `what` it owed. @param cause why its socket closed; null after a FIN */
  static ofLoss(
    code: "upstream_closed" | "upstream_reset",
    what: string,
    cause: SocketError | null,
    remedy: string | null = null,
  ): UpstreamError {
    return new UpstreamError(code, cause === null ? what : `${what}: ${cause.reason}`, cause, remedy);
  }

  /**
   * For what the parser or the body's decoder threw.
   *
   * @param line the line of the head in which the fault is; null where there is none
   */
  static ofParse(cause: unknown, line: Uint8Array | null = null): UpstreamError {
    let reason = "Malformed answer of the upstream";
    if (cause instanceof RunnelError) reason += `: ${cause.reason}`;
    if (line !== null) reason += `, in the line ${showLine(line)}`;
    return new UpstreamError("upstream_invalid", reason, cause);
  }

  /** For an answer's first bytes, which the parser refused: those of other protocols are named. */
  static ofFirstBytes(cause: unknown, bytes: Uint8Array, line: Uint8Array | null): UpstreamError {
    // A TLS alert (RFC 8446 §5.1).
    if (bytes[0] === 0x15 && bytes[1] === 0x03) {
      return new UpstreamError("upstream_invalid", "The upstream speaks TLS", cause, "ask it with https:// in TARGET");
    }
    // A SETTINGS or GOAWAY frame of stream 0 (RFC 9113 §4.1).
    if (bytes[0] === 0 && (bytes[3] === 0x04 || bytes[3] === 0x07) && bytes[5] === 0 && bytes[8] === 0) {
      const remedy = "let it take HTTP/1.1";
      return new UpstreamError("upstream_invalid", "The upstream speaks HTTP/2 only", cause, remedy);
    }
    return UpstreamError.ofParse(cause, line);
  }

  /** For a caller that went away. */
  static ofCancel(cause: unknown): UpstreamError {
    return new UpstreamError("canceled", "The caller canceled the request", cause);
  }
}

/** Of dials that fail otherwise than by `upstream_refused`. */
const dialCodes: Partial<Record<SocketErrorCode, UpstreamErrorCode>> = {
  connect_timeout: "upstream_timeout",
  out_of_descriptors: "overloaded",
  address_not_allowed: "upstream_not_allowed",
};

const tcpRemedies: Partial<Record<SocketErrorCode, string>> = {
  connection_refused: "start the service, or check the port in TARGET",
  connection_reset: "check that the service is the one that TARGET names",
  connect_timeout: "check TARGET, and that no firewall is on the way",
  host_not_found: "check the host in TARGET",
  host_unreachable: "check the host in TARGET, and the network to it",
  address_not_allowed: "allow it with --allow-upstream, or check the host in TARGET",
  out_of_descriptors: "raise the limit of open files (ulimit -n)",
};

const unixRemedies: Partial<Record<SocketErrorCode, string>> = {
  ...tcpRemedies,
  connection_refused: "start the service, or check the path behind unix: in TARGET",
  permission_denied: "let the agent's user read and write that file",
  address_not_allowed: "ask it by TCP: --allow-upstream permits no unix sockets",
  // unix(7), without the NUL at the end.
  address_not_available: "use a path of at most 107 bytes behind unix: in TARGET",
};

const tlsRemedies: Record<TlsFault, string> = {
  certificate: "trust its authority with --upstream-ca FILE, or take any certificate with --upstream-insecure",
  certificate_dates: "renew it, check this machine's clock, or take any certificate with --upstream-insecure",
  certificate_name: "use a name that it is for in TARGET, or take any certificate with --upstream-insecure",
  certificate_pin: "pin the key that it has now, or find out who answers in its place",
  no_tls: "ask it with http:// in TARGET",
  no_handshake: "check that it speaks TLS, or ask it with http:// in TARGET",
};

function remedyOfDial({ code, tlsFault }: SocketError, target: DialTarget): string | null {
  if (tlsFault !== null) return tlsRemedies[tlsFault];
  if (target.kind === "unix") return unixRemedies[code] ?? null;
  if (code === "connection_reset" && target.tls !== undefined) return "check that it speaks TLS: TARGET says https://";
  return tcpRemedies[code] ?? null;
}
