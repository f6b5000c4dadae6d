/**
 * What can go wrong with one exchange, as the public client is told it. The table is the contract that scripts and
 * dashboards match on: codes are only added, never renamed.
 */
import { type Initiator, RunnelError } from "../base/mod.ts";

export interface ProblemKind {
  readonly status: number;
  /** RFC 9457 `title`: the same for every occurrence. */
  readonly title: string;
  /** Seconds for Retry-After, where waiting may help. */
  readonly retryAfter?: number;
}

export const problemKinds = {
  bad_request: { status: 400, title: "The request is malformed" },
  bad_name: { status: 400, title: "The name cannot be used" },
  version_mismatch: { status: 400, title: "Edge and agent are of versions that do not work together" },
  unauthorized: { status: 401, title: "The credentials were refused" },
  session_required: { status: 403, title: "This is asked on an agent's session" },
  tunnel_not_found: { status: 404, title: "No tunnel has this host" },
  not_found: { status: 404, title: "The edge has nothing here" },
  method_not_allowed: { status: 405, title: "The method is not allowed" },
  request_timeout: { status: 408, title: "The request took too long to arrive" },
  name_taken: { status: 409, title: "The name is taken" },
  body_too_large: { status: 413, title: "The request's body is too large" },
  uri_too_long: { status: 414, title: "The request target is too long" },
  expectation_failed: { status: 417, title: "The expectation cannot be met" },
  upgrade_required: { status: 426, title: "This needs an upgrade" },
  too_many_attempts: { status: 429, title: "Too many refused attempts", retryAfter: 60 },
  head_too_large: { status: 431, title: "The request's head is too large" },
  internal: { status: 500, title: "The edge failed" },
  not_implemented: { status: 501, title: "The edge does not implement this" },
  upgrade_not_supported: { status: 501, title: "The tunnel's agent cannot carry an upgrade" },
  upstream_refused: { status: 502, title: "The upstream refused the connection" },
  upstream_closed: { status: 502, title: "The upstream closed before it answered" },
  upstream_invalid: { status: 502, title: "The upstream's answer is malformed" },
  upstream_failed: { status: 502, title: "The upstream could not be asked" },
  agent_lost: { status: 502, title: "The agent was lost before the answer" },
  tunnel_offline: { status: 503, title: "The tunnel's agent is not connected", retryAfter: 5 },
  overloaded: { status: 503, title: "Too much is waiting already", retryAfter: 1 },
  too_many_tunnels: { status: 503, title: "The edge has as many tunnels as it takes", retryAfter: 60 },
  upstream_timeout: { status: 504, title: "The upstream did not answer in time" },
  version_not_supported: { status: 505, title: "The HTTP version is not supported" },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problemKinds;

export function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === "string" && Object.hasOwn(problemKinds, code);
}

/** An exchange ended without the upstream's answer, or in the middle of it. `code` is one of `problemKinds`. */
export class ExchangeError extends RunnelError {
  declare readonly code: ProblemCode;

  constructor(code: ProblemCode, reason: string, options: { initiator?: Initiator; cause?: unknown } = {}) {
    super({
      code,
      reason,
      initiator: options.initiator ?? "remote",
      retryable: problemKinds[code].status >= 502,
      cause: options.cause,
    });
  }
}
