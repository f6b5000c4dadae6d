/**
 * Why a dial of the edge failed, in words that lead to the remedy, and whether that may pass by itself: an edge that has
 * not started yet does, another program on its port does not.
 */
import { z } from "zod";
import { showText } from "../base/mod.ts";
import { versionFieldName } from "../config/mod.ts";
import { errorFieldName, fieldValue, isProblemCode, problemKinds } from "../http/mod.ts";
import { isMissingPermission, SocketError } from "../net/mod.ts";
import { parseJson } from "../session/mod.ts";
import { HandshakeError } from "../websocket/mod.ts";
import type { EdgeUrl } from "./edge_url.ts";
import { AgentError, type AgentErrorCode } from "./errors.ts";

interface Advice {
  readonly remedy: string;
  /** Whether the cause may pass by itself. */
  readonly isPassing: boolean;
}

const passing = (remedy: string): Advice => ({ remedy, isPassing: true });
const lasting = (remedy: string): Advice => ({ remedy, isPassing: false });

/** What to do about each cause. docs/troubleshooting.md has the same table. */
export const edgeAdvice = {
  refused: passing("Start the edge there, or check host and port in --edge"),
  noAnswer: passing("Check host and port in --edge, and the firewalls on the way"),
  unknownHost: passing("Check the name in --edge, and the DNS of this machine"),
  network: passing("Check the network of this machine, and --edge"),
  notAllowed: lasting("Let Deno dial the edge, with --allow-net"),
  silent: passing("Check that an edge listens there: something takes the connection and says nothing"),
  lost: passing("Check that an edge listens there; where the port speaks TLS, write https:// in --edge"),
  lostTls: passing("Check that the port speaks TLS; where it does not, write http:// in --edge"),
  busy: passing("Look at the proxy's log: it does not reach the edge behind it"),
  redirectToTls: lasting("Write https:// in --edge"),
  redirect: lasting("Give --edge the address of the edge itself: a proxy must pass /agent to it without a redirect"),
  plainToTls: lasting("Write https:// in --edge"),
  tlsToPlain: lasting("Write http:// in --edge, or put TLS in front of the edge"),
  authority: lasting(
    "Trust the certificate's authority with --edge-ca FILE, a self-signed one with --edge-pin, or any certificate with " +
      "--edge-insecure",
  ),
  certificateName: lasting("Write a name that the certificate has in --edge, or get a certificate for this one"),
  certificateDates: lasting("Renew the edge's certificate, and check the clock of this machine"),
  certificatePin: lasting(
    "Give --edge-pin what the edge prints at its start; if that has not changed, something else answers in its place",
  ),
  tls: passing("Check that the edge's TLS is of version 1.2 or 1.3, and has a certificate for this name"),
  tunnelHost: lasting("Write the edge's domain itself in --edge, without a tunnel's name"),
  upgradeDropped: lasting("Let the proxy in front of the edge pass Upgrade and Connection (docs/server.md)"),
  guarded: lasting(
    "Let the proxy in front of the edge pass /agent without a sign-in of its own, and from this address",
  ),
  limited: passing("Look at the proxy in front of the edge: it limits how often /agent is asked"),
  notRouted: lasting("Check --edge; where a proxy stands in front of the edge, it must pass /agent to it"),
  otherProgram: lasting("Check host and port in --edge: another program listens there"),
  proxy: passing("Check --proxy, or HTTPS_PROXY and NO_PROXY"),
  proxyRefuses: lasting("Check --proxy, or HTTPS_PROXY and NO_PROXY: user, password, and what the proxy allows"),
} as const satisfies Record<string, Advice>;

/**
 * The error for a dial or a handshake that failed with `cause`. Throws `cause` itself where it is from neither.
 *
 * @param version this agent's, for the error of an edge that does not work with it
 */
export function edgeFailure(edge: EdgeUrl, cause: unknown, version?: string): AgentError {
  if (cause instanceof SocketError) return socketFailure(edge, cause);
  if (!(cause instanceof HandshakeError)) throw cause;
  if (cause.status === null) return handshakeFailure(edge, cause);
  return cause.code === "handshake_refused"
    ? answeredFailure(edge, cause, cause.status, version)
    : unreachable(edge, cause.reason, edgeAdvice.otherProgram, cause);
}

/** The error of an attempt that was aborted while it waited: `Cannot open the tunnel`. */
export function cutShort(edge: EdgeUrl, action: string, advice: Advice, cause: unknown): AgentError {
  const reason = `Cannot reach the edge ${edge.label}: ${action}: no answer`;
  return new AgentError("edge_unreachable", reason, cause, { remedy: advice.remedy, isCutShort: true });
}

function unreachable(edge: EdgeUrl, detail: string, advice: Advice, cause: unknown): AgentError {
  const { remedy, isPassing: retryable } = advice;
  return new AgentError("edge_unreachable", `Cannot reach the edge ${edge.label}: ${detail}`, cause, {
    remedy,
    retryable,
  });
}

const DIAL_ACTION = "Cannot connect to ";
const PROXY_ACTION = "Cannot reach the proxy ";

function socketFailure(edge: EdgeUrl, cause: SocketError): AgentError {
  const { code, reason } = cause;
  if (code === "aborted") {
    const action = reason.replace(/: aborted$/, "");
    return cutShort(edge, action, action.startsWith(DIAL_ACTION) ? edgeAdvice.noAnswer : edgeAdvice.silent, cause);
  }
  return unreachable(edge, reason, socketAdvice(cause), cause);
}

function socketAdvice(cause: SocketError): Advice {
  const { code, reason, retryable } = cause;
  if (code === "proxy_failed") return retryable ? edgeAdvice.proxy : edgeAdvice.proxyRefuses;
  if (reason.startsWith(PROXY_ACTION)) return code === "tls_failed" ? edgeAdvice.proxyRefuses : edgeAdvice.proxy;
  switch (code) {
    case "connection_refused":
      return edgeAdvice.refused;
    case "connect_timeout":
      return edgeAdvice.noAnswer;
    case "host_not_found":
      return edgeAdvice.unknownHost;
    case "permission_denied":
      return isMissingPermission(cause.cause) ? edgeAdvice.notAllowed : edgeAdvice.network;
    case "connection_reset":
      return reason.includes("TLS handshake") ? edgeAdvice.lostTls : edgeAdvice.lost;
    case "tls_failed":
      return tlsAdvice(cause);
    default:
      return edgeAdvice.network;
  }
}

function tlsAdvice({ tlsFault }: SocketError): Advice {
  switch (tlsFault) {
    case "no_tls":
      return edgeAdvice.tlsToPlain;
    case "certificate_name":
      return edgeAdvice.certificateName;
    case "certificate_dates":
      return edgeAdvice.certificateDates;
    case "certificate_pin":
      return edgeAdvice.certificatePin;
    case "certificate":
      return edgeAdvice.authority;
    default:
      return edgeAdvice.tls;
  }
}

function handshakeFailure(edge: EdgeUrl, cause: HandshakeError): AgentError {
  switch (cause.code) {
    case "handshake_lost":
      return unreachable(edge, cause.reason, edge.target.tls === undefined ? edgeAdvice.lost : edgeAdvice.busy, cause);
    case "handshake_timeout":
      return unreachable(edge, cause.reason, edgeAdvice.silent, cause);
    case "handshake_tls":
      return unreachable(edge, cause.reason, edgeAdvice.plainToTls, cause);
    default:
      return unreachable(edge, cause.reason, edgeAdvice.otherProgram, cause);
  }
}

/** An answer other than 101: an edge's refusal, or that of what stands in its place. */
function answeredFailure(edge: EdgeUrl, cause: HandshakeError, status: number, version = "unknown"): AgentError {
  const text = new TextDecoder().decode(cause.body);
  const told = problemOf(text);
  const detail = told?.detail;
  const code = fieldValue(cause.fields, errorFieldName.toLowerCase()) ?? (isProblemCode(told?.code) ? told.code : null);
  if (code !== null && status === 401) {
    return new AgentError("unauthorized", detail ?? "The edge refused the token", cause);
  }
  if (code !== null && status === 429) {
    return new AgentError("too_many_attempts", detail ?? "Too many refused tokens", cause);
  }
  if (told?.code === "session_replaced") return new AgentError("replaced", told.detail, cause);
  if (told?.code === "too_many_sessions") return refusal(told.code, told.detail, cause);
  const edgeVersion = fieldValue(cause.fields, versionFieldName.toLowerCase());
  if (status === 400 && (edgeVersion !== undefined || told?.code === "version_mismatch")) {
    const why = detail ?? `it is ${edgeVersion}`;
    const reason = `The edge ${edge.label} does not work with this agent (${version}): ${why}`;
    return new AgentError("protocol_mismatch", reason, cause);
  }
  if (redirects.has(status)) return redirected(edge, cause, status);
  if (status === 400 && edge.target.tls === undefined && isTlsComplaint(text)) {
    return unreachable(edge, "the port speaks TLS", edgeAdvice.plainToTls, cause);
  }
  const server = code === null ? fieldValue(cause.fields, "server") : undefined;
  const answered = `it answered /agent with ${status}${server === undefined ? "" : ` (Server: ${showText(server)})`}`;
  const shown = detail === undefined ? "" : `: ${code === null ? showText(detail) : detail}`;
  return unreachable(edge, answered + shown, answerAdvice(status, code), cause);
}

/** Those that name another place (RFC 9110 §15.4). */
const redirects: ReadonlySet<number> = new Set([300, 301, 302, 303, 307, 308]);

function redirected(edge: EdgeUrl, cause: HandshakeError, status: number): AgentError {
  const location = fieldValue(cause.fields, "location");
  const origin = originOf(location, edge.label);
  const isToTls = origin !== null && origin.startsWith("https:") && edge.target.tls === undefined &&
    hostOf(origin) === hostOf(edge.label);
  let where = `to ${origin}`;
  if (location === undefined) where = "that does not say where to";
  else if (origin === null) where = "to no address of HTTP";
  else if (origin === new URL(edge.label).origin) where = "to another path there";
  const advice = isToTls ? edgeAdvice.redirectToTls : edgeAdvice.redirect;
  return unreachable(edge, `it answered /agent with ${status}: a redirect ${where}`, advice, cause);
}

/** @param code of the edge's own problem; null where what answered is no edge */
function answerAdvice(status: number, code: string | null): Advice {
  if (code === "upgrade_required") return edgeAdvice.upgradeDropped;
  if (code !== null && hostProblems.has(code)) return edgeAdvice.tunnelHost;
  if (status === 401 || status === 403 || status === 407) return edgeAdvice.guarded;
  if (status === 429) return edgeAdvice.limited;
  if (status === 408 || status === 425) return edgeAdvice.busy;
  return status >= 500 && status !== 501 && status !== 505 ? edgeAdvice.busy : edgeAdvice.notRouted;
}

/** What an edge says of hosts on which it has no `/agent`: those of tunnels. */
const hostProblems: ReadonlySet<string> = new Set(["tunnel_not_found", "tunnel_offline", "not_found"]);

/** What nginx, Apache and Go answer to plain HTTP on a port for TLS. */
function isTlsComplaint(text: string): boolean {
  return /HTTPS port|HTTPS server|SSL-enabled server port/i.test(text);
}

/** Scheme, host and port alone: the rest may be secret. Null where the text, seen from `base`, is no URL of HTTP. */
function originOf(text: string | undefined, base: string): string | null {
  const url = text !== undefined && URL.canParse(text, base) ? new URL(text, base) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url.origin : null;
}

function hostOf(url: string): string {
  return new URL(url).hostname;
}

/** The refusals of an edge that have a code of their own here. */
const refusalCodes: readonly AgentErrorCode[] = [
  "unauthorized",
  "name_not_allowed",
  "too_many_attempts",
  "name_taken",
  "bad_name",
];

/** What to do about others. */
const refusalRemedies: Readonly<Record<string, string>> = {
  too_many_tunnels: problemKinds.too_many_tunnels.remedy,
  too_many_sessions: problemKinds.too_many_sessions.remedy,
  feature_missing: problemKinds.feature_missing.remedy,
};

/** The error for an edge that refused the tunnel with `code`. */
export function refusal(code: string | undefined, reason: string, cause?: unknown): AgentError {
  const known = refusalCodes.find((item) => item === code);
  const remedy = code !== undefined && Object.hasOwn(refusalRemedies, code) ? refusalRemedies[code] : null;
  return new AgentError(known ?? "refused", reason, cause, { remedy });
}

const problem = z.object({ code: z.string().optional(), detail: z.string() });

/** The problem details (RFC 9457) that `text` is; undefined where it is none. */
export function problemOf(text: string): z.infer<typeof problem> | undefined {
  return problem.safeParse(parseJson(text)).data;
}
