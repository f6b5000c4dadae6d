/**
 * What can go wrong with an exchange. This table is the only place where a problem is described: the public answer, the
 * code of a stream's reset and docs/events.md are derived from it or tested against it. Scripts and dashboards match on
 * the codes, so they are only added, never renamed.
 */
import { type Initiator, nameErrorClass, RunnelError } from "../base/mod.ts";
import type { Fields } from "./message.ts";

export interface ProblemKind {
  /** The status of the public answer. */
  readonly status: number;
  /** `title` of RFC 9457: the same for every occurrence. */
  readonly title: string;
  /** Seconds for Retry-After, where waiting may help. */
  readonly retryAfter?: number;
  /**
   * The `ErrorCode` of `runnel.v2` with which either side resets the stream of such an exchange. Where several problems
   * have the same one, the other side reads it as the first of them. Default `INTERNAL_ERROR` of an agent, and
   * `CLIENT_GONE` of an edge.
   */
  readonly wire?: string;
  /** True: stands for each error of this status that has no problem code of its own. One a status. Default false. */
  readonly isGeneral?: boolean;
  /** What whoever runs the tunnel can do about it. */
  readonly remedy: string;
  /** What a visitor can do, who knows nothing of tunnels: the sentence on the page that a browser shows. */
  readonly visitorAdvice: string;
}

/** The advice about what only agents ask. */
const forPrograms = "Nothing: this address is for programs.";

export const problemKinds = {
  bad_request: {
    status: 400,
    title: "The request is malformed",
    isGeneral: true,
    remedy: "Fix the client; the detail says what is wrong",
    visitorAdvice: "Check the address; if it is right, clear this site's cookies and try again.",
  },
  bad_name: {
    status: 400,
    title: "The name cannot be used",
    remedy: "Choose another --name",
    visitorAdvice: forPrograms,
  },
  version_mismatch: {
    status: 400,
    title: "Edge and agent are of versions that do not work together",
    remedy: "Upgrade the older one",
    visitorAdvice: forPrograms,
  },
  unauthorized: {
    status: 401,
    title: "The credentials were refused",
    remedy: "Give the edge's token",
    visitorAdvice: forPrograms,
  },
  session_required: {
    status: 403,
    title: "This is asked on an agent's session",
    remedy: "Connect with agent",
    visitorAdvice: forPrograms,
  },
  name_not_allowed: {
    status: 403,
    title: "The token may not open this name",
    remedy: "Use another --name, or a token for it; edge tunnel list shows whose it is",
    visitorAdvice: forPrograms,
  },
  not_a_node: {
    status: 403,
    title: "Only nodes may ask this",
    remedy: "Use the token of a node: edge node add makes one",
    visitorAdvice: forPrograms,
  },
  feature_missing: {
    status: 403,
    title: "The agent cannot do what the tunnel requires",
    remedy: "Update the agent, or leave --protocol json out; edge tunnel list --json shows what a tunnel requires",
    visitorAdvice: forPrograms,
  },
  host_not_allowed: {
    status: 403,
    title: "The Host is not one of this listener",
    remedy: "Ask by its address, or add the name with --admin-host",
    visitorAdvice: forPrograms,
  },
  origin_not_allowed: {
    status: 403,
    title: "Pages of other sites may not ask this",
    remedy: "Ask from a program, not from a page of another site",
    visitorAdvice: forPrograms,
  },
  tunnel_not_found: {
    status: 404,
    title: "No tunnel has this host",
    remedy: "Compare the host with what agent printed",
    visitorAdvice: "Check the address, or ask whoever gave it to you whether it is still in use.",
  },
  node_not_found: {
    status: 404,
    title: "There is no such node",
    remedy: "See edge node list",
    visitorAdvice: forPrograms,
  },
  token_not_found: {
    status: 404,
    title: "There is no such token",
    remedy: "See edge token list",
    visitorAdvice: forPrograms,
  },
  project_not_found: {
    status: 404,
    title: "There is no such project",
    remedy: "Compare the name with the project of the file",
    visitorAdvice: forPrograms,
  },
  revision_not_found: {
    status: 404,
    title: "The revision is not kept",
    remedy: "Name the revision that an edge apply has printed",
    visitorAdvice: forPrograms,
  },
  not_found: {
    status: 404,
    title: "The edge has nothing here",
    remedy: "Ask a tunnel's host instead",
    visitorAdvice: "Check the address: there is nothing here.",
  },
  method_not_allowed: {
    status: 405,
    title: "The method is not allowed",
    remedy: "Use another method",
    visitorAdvice: "Go back, and tell whoever runs the site what led you here.",
  },
  not_acceptable: {
    status: 406,
    title: "None of the accepted formats can be had",
    remedy: "Accept one of the formats that the detail names",
    visitorAdvice: forPrograms,
  },
  request_timeout: {
    status: 408,
    title: "The request took too long to arrive",
    wire: "REQUEST_TIMEOUT",
    remedy: "Check the visitor's connection",
    visitorAdvice: "Check your connection, and try again.",
  },
  name_taken: {
    status: 409,
    title: "The name is taken",
    remedy: "Use --force, or choose another --name",
    visitorAdvice: forPrograms,
  },
  hostname_taken: {
    status: 409,
    title: "The hostname is taken",
    remedy: "Choose another hostname, or remove it from the tunnel that has it",
    visitorAdvice: forPrograms,
  },
  port_taken: {
    status: 409,
    title: "The port is taken",
    remedy: "Choose another port",
    visitorAdvice: forPrograms,
  },
  session_replaced: {
    status: 409,
    title: "Another agent took the tunnel of the session",
    remedy: "Stop one of the two agents, give each a --name of its own, or start both with --share",
    visitorAdvice: forPrograms,
  },
  stale_epoch: {
    status: 409,
    title: "The session was resumed by a later dial",
    remedy: "Raise Runnel-Epoch and dial again",
    visitorAdvice: forPrograms,
  },
  unknown_version: {
    status: 409,
    title: "The config has no such version",
    remedy: "Read the config again, and acknowledge its version",
    visitorAdvice: forPrograms,
  },
  conflict: {
    status: 409,
    title: "Someone else changed it meanwhile",
    remedy: "Try again",
    visitorAdvice: forPrograms,
  },
  too_many: {
    status: 409,
    title: "There are as many as the edge takes",
    remedy: "Remove some that nobody needs",
    visitorAdvice: forPrograms,
  },
  precondition_failed: {
    status: 412,
    title: "The record is not as the request expects",
    remedy: "Read it again, and send its ETag as If-Match",
    visitorAdvice: forPrograms,
  },
  body_too_large: {
    status: 413,
    title: "The request's body is too large",
    remedy: "Raise --body-limit or --json-body-limit at the edge, or use --protocol v2",
    visitorAdvice: "Send something smaller, or tell whoever runs the site that it takes no more.",
  },
  uri_too_long: {
    status: 414,
    title: "The request target is too long",
    remedy: "Move what is long into the request's body",
    visitorAdvice: "Use a shorter address.",
  },
  expectation_failed: {
    status: 417,
    title: "The expectation cannot be met",
    remedy: "Fix the client",
    visitorAdvice: "Try another browser.",
  },
  unsupported_media_type: {
    status: 415,
    title: "The body's media type is not understood",
    remedy: "Send application/json",
    visitorAdvice: forPrograms,
  },
  misdirected_request: {
    status: 421,
    title: "The connection is not for this host",
    remedy: "Ask on a connection whose TLS handshake named this host",
    visitorAdvice: "Reload the page; if it stays so, close the browser and try again.",
  },
  upgrade_required: {
    status: 426,
    title: "This needs an upgrade",
    remedy: "Connect with agent",
    visitorAdvice: forPrograms,
  },
  too_many_attempts: {
    status: 429,
    title: "Too many refused attempts",
    retryAfter: 1,
    remedy: "Try again in a moment, and check the token",
    visitorAdvice: forPrograms,
  },
  too_many_requests: {
    status: 429,
    title: "The visitor sends too many requests",
    remedy: "Send fewer requests, or raise --visitor-rate, --visitor-concurrency or --visitor-websockets at the edge",
    visitorAdvice: "Wait a few seconds, and try again.",
  },
  head_too_large: {
    status: 431,
    title: "The request's head is too large",
    remedy: "Send fewer or smaller fields, such as cookies",
    visitorAdvice: "Clear this site's cookies, and try again.",
  },
  internal: {
    status: 500,
    title: "The edge failed",
    remedy: "Please report it, with the edge's log",
    visitorAdvice: "Try again; if it happens again, tell whoever runs the site.",
  },
  not_implemented: {
    status: 501,
    title: "The edge does not implement this",
    remedy: "Use another method",
    visitorAdvice: "Go back, and tell whoever runs the site what led you here.",
  },
  upgrade_not_supported: {
    status: 501,
    title: "The tunnel's agent cannot carry an upgrade",
    remedy: "Use --protocol v2",
    visitorAdvice: "Tell whoever runs the site that this part of it cannot be reached.",
  },
  upstream_refused: {
    status: 502,
    title: "The upstream refused the connection",
    wire: "UPSTREAM_REFUSED",
    remedy: "Start the service, or check TARGET",
    visitorAdvice: "Try again in a moment; if it stays so, tell whoever runs the site that its service does not run.",
  },
  upstream_not_allowed: {
    status: 502,
    title: "The agent may not dial this upstream",
    wire: "UPSTREAM_NOT_ALLOWED",
    remedy: "Add the upstream's address to --allow-upstream of the agent, or check where its name leads",
    visitorAdvice: "Tell whoever runs the site that its agent may not reach the service behind it.",
  },
  upstream_closed: {
    status: 502,
    title: "The upstream closed before it answered",
    wire: "UPSTREAM_CLOSED",
    remedy: "Look at the service's log",
    visitorAdvice: "Try again in a moment; if it stays so, tell whoever runs the site that it gives no answer.",
  },
  upstream_invalid: {
    status: 502,
    title: "The upstream's answer is malformed",
    wire: "UPSTREAM_INVALID",
    remedy: "Look at what the service sends",
    visitorAdvice: "Tell whoever runs the site that its answers cannot be read.",
  },
  upstream_failed: {
    status: 502,
    title: "The upstream could not be asked",
    wire: "UPSTREAM_CLOSED",
    isGeneral: true,
    remedy: "Look at the agent's log",
    visitorAdvice: "Try again in a moment; if it stays so, tell whoever runs the site that it cannot be reached.",
  },
  agent_lost: {
    status: 502,
    title: "The agent was lost before the answer",
    remedy: "Wait: it comes back by itself",
    visitorAdvice: "Try again in a moment: the connection usually comes back by itself.",
  },
  tunnel_offline: {
    status: 503,
    title: "The tunnel's agent is not connected",
    retryAfter: 5,
    remedy: "Start the agent; Retry-After tells when to try again",
    visitorAdvice: "Try again in a moment; if it stays so, ask whoever runs the site to start it.",
  },
  overloaded: {
    status: 503,
    title: "Too much is waiting already",
    retryAfter: 1,
    wire: "REFUSED_STREAM",
    remedy: "Try again; see the limits in the README",
    visitorAdvice: "Wait a few seconds, and try again.",
  },
  tunnel_busy: {
    status: 503,
    title: "The tunnel gets too many requests",
    remedy: "Raise --tunnel-rate, --tunnel-concurrency or --tunnel-websockets at the edge",
    visitorAdvice: "Many others are here now. Wait a few seconds, and try again.",
  },
  store_unavailable: {
    status: 503,
    title: "The edge cannot write to its store",
    retryAfter: 5,
    remedy: "Look at the disk of the edge's --data; the detail says what failed",
    visitorAdvice: forPrograms,
  },
  too_many_tunnels: {
    status: 503,
    title: "The edge has as many tunnels as it takes",
    retryAfter: 60,
    remedy: "Stop tunnels that nobody needs, or raise --names-per-token at the edge",
    visitorAdvice: forPrograms,
  },
  too_many_sessions: {
    status: 503,
    title: "The token has as many sessions as it may have",
    retryAfter: 5,
    remedy: "Stop agents that nobody needs, or raise --sessions-per-token at the edge",
    visitorAdvice: forPrograms,
  },
  upstream_timeout: {
    status: 504,
    title: "The upstream did not answer in time",
    wire: "UPSTREAM_TIMEOUT",
    isGeneral: true,
    remedy: "Raise --first-byte-timeout, or look at the service",
    visitorAdvice: "Try again later, or tell whoever runs the site that it takes too long to answer.",
  },
  version_not_supported: {
    status: 505,
    title: "The HTTP version is not supported",
    remedy: "Use a client that speaks HTTP/1.1",
    visitorAdvice: "Use a newer browser.",
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;

/** In the table's order. */
export const problemCodes = Object.keys(problemKinds) as readonly ProblemCode[];

export function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === "string" && Object.hasOwn(problemKinds, code);
}

const noFields: Fields = [];

/** An exchange ended without the upstream's answer, or in the middle of it. `code` is one of `problemKinds`. */
export class ExchangeError extends RunnelError {
  static {
    nameErrorClass(this, "ExchangeError");
  }

  declare readonly code: ProblemCode;
  /** What else its answer says. */
  readonly fields: Fields;

  /** @param options `initiator`: default `remote`; `fields`: default none */
  constructor(
    code: ProblemCode,
    reason: string,
    options: { initiator?: Initiator; cause?: unknown; fields?: Fields } = {},
  ) {
    super({
      code,
      reason,
      initiator: options.initiator ?? "remote",
      retryable: problemKinds[code].status >= 502,
      cause: options.cause,
    });
    this.fields = options.fields ?? noFields;
  }
}
