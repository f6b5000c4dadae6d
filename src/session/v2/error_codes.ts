/** Between the problems of an exchange and the numbers that RST_STREAM carries. */
import { ConnectionError, ErrorCode, StreamError } from "../../httpstream/mod.ts";
import { ExchangeError, type ProblemCode, problemCodeOf } from "../../http/mod.ts";

const problems: Readonly<Partial<Record<number, { code: ProblemCode; reason: string }>>> = {
  [ErrorCode.UPSTREAM_REFUSED]: { code: "upstream_refused", reason: "the upstream refused the connection" },
  [ErrorCode.UPSTREAM_TIMEOUT]: { code: "upstream_timeout", reason: "the upstream did not answer in time" },
  [ErrorCode.UPSTREAM_INVALID]: { code: "upstream_invalid", reason: "the upstream's answer is malformed" },
  [ErrorCode.UPSTREAM_CLOSED]: { code: "upstream_closed", reason: "the upstream closed before its answer was whole" },
  [ErrorCode.REFUSED_STREAM]: { code: "overloaded", reason: "the agent takes no more requests now" },
  [ErrorCode.ENHANCE_YOUR_CALM]: { code: "overloaded", reason: "the agent takes no more requests now" },
  [ErrorCode.MEMORY_PRESSURE]: { code: "overloaded", reason: "the connection held too many bytes" },
};

/** Why a stream gave no answer, or not all of it, in the words of the exchange. */
export function exchangeErrorOf(error: unknown): ExchangeError {
  if (error instanceof ExchangeError) return error;
  if (error instanceof ConnectionError && error.code === "draining") {
    return new ExchangeError("tunnel_offline", "the agent is leaving and takes no new requests", { cause: error });
  }
  if (error instanceof ConnectionError || (error instanceof StreamError && error.code === "connection_lost")) {
    return new ExchangeError("agent_lost", "the connection to the agent was lost", { cause: error });
  }
  if (!(error instanceof StreamError)) {
    return new ExchangeError("upstream_failed", "the exchange failed", { cause: error });
  }
  if (error.code === "invalid_headers") return new ExchangeError("bad_request", error.reason, { cause: error });
  const problem = problems[error.errorCode];
  if (problem === undefined) return new ExchangeError("upstream_failed", error.reason, { cause: error });
  return new ExchangeError(problem.code, problem.reason, { cause: error });
}

/** The number for an exchange that failed with `error`. */
export function errorCodeOf(error: unknown): number {
  switch (problemCodeOf(error)) {
    case "upstream_refused":
      return ErrorCode.UPSTREAM_REFUSED;
    case "upstream_timeout":
      return ErrorCode.UPSTREAM_TIMEOUT;
    case "upstream_invalid":
      return ErrorCode.UPSTREAM_INVALID;
    case "upstream_closed":
    case "upstream_failed":
      return ErrorCode.UPSTREAM_CLOSED;
    case "overloaded":
      return ErrorCode.REFUSED_STREAM;
    default:
      return ErrorCode.INTERNAL_ERROR;
  }
}
