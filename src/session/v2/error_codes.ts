/** Between the problems of an exchange and the error codes with which its stream is reset. */
import { ConnectionError, ErrorCode, errorCodeName, StreamError } from "../../httpstream/mod.ts";
import {
  ExchangeError,
  type ProblemCode,
  problemCodeOf,
  problemCodes,
  problemKinds,
  UpstreamError,
} from "../../http/mod.ts";
import { givenUp, problemBehind } from "../given_up.ts";

type WireName = keyof typeof ErrorCode;

/** The type checker refuses a `wire` that is no name of `ErrorCode`. */
const kinds: Readonly<Record<ProblemCode, { readonly title: string; readonly wire?: WireName }>> = problemKinds;

/** The error code to reset a stream with whose exchange failed with `error`. */
export function errorCodeOf(error: unknown): number {
  return ErrorCode[kinds[problemCodeOf(error)].wire ?? "INTERNAL_ERROR"];
}

/** The error code to reset a stream with that the edge gives up because of `reason`. */
export function giveUpCodeOf(reason: unknown): number {
  const problem = problemBehind(reason);
  return ErrorCode[(problem === null ? undefined : kinds[problem].wire) ?? "CLIENT_GONE"];
}

interface Meaning {
  readonly code: ProblemCode;
  readonly reason: string;
}

/**
 * What a reset says where that is not the title of the first problem with this error code: several causes have the same
 * one, and the multiplexer itself resets streams, too.
 */
const meanings: Readonly<Partial<Record<WireName, Meaning>>> = {
  UPSTREAM_CLOSED: { code: "upstream_closed", reason: "The upstream closed before its answer was whole" },
  REFUSED_STREAM: { code: "overloaded", reason: "The agent takes no more requests now" },
  ENHANCE_YOUR_CALM: { code: "overloaded", reason: "The agent takes no more requests now" },
  MEMORY_PRESSURE: { code: "overloaded", reason: "The connection held too many bytes" },
};

const meaningOf = new Map<number, Meaning>();
for (const code of problemCodes) {
  const { wire, title } = kinds[code];
  if (wire !== undefined && !meaningOf.has(ErrorCode[wire])) meaningOf.set(ErrorCode[wire], { code, reason: title });
}
for (const [name, meaning] of Object.entries(meanings)) meaningOf.set(ErrorCode[name as WireName], meaning);

/** For the public, which must not see the error's own reason: it may quote the agent's bytes. */
const unknownMeaning: Meaning = { code: "upstream_failed", reason: kinds.upstream_failed.title };

/** Why a stream gave no answer, or not all of it, as a problem of its exchange. */
export function exchangeErrorOf(error: unknown): ExchangeError {
  if (error instanceof ExchangeError) return error;
  if (error instanceof ConnectionError && error.code === "draining") {
    return new ExchangeError("tunnel_offline", "The agent is leaving and takes no new requests", { cause: error });
  }
  if (error instanceof ConnectionError || (error instanceof StreamError && error.code === "connection_lost")) {
    return new ExchangeError("agent_lost", "The connection to the agent was lost", { cause: error });
  }
  if (!(error instanceof StreamError)) {
    return new ExchangeError("upstream_failed", "The exchange failed", { cause: error });
  }
  if (error.code === "headers_too_large") {
    return new ExchangeError("head_too_large", `The tunnel's agent takes no such head: ${error.reason}`, {
      cause: error,
    });
  }
  if (error.code === "invalid_headers") return new ExchangeError("bad_request", error.reason, { cause: error });
  const { code, reason } = meaningOf.get(error.errorCode) ?? unknownMeaning;
  return new ExchangeError(code, reason, { cause: error });
}

/**
 * Why the stream of a served exchange is over early, as the agent reports it.
 *
 * @param isAnswered the answer's head was sent
 */
export function givenUpBecause(error: StreamError, isAnswered: boolean): ExchangeError | UpstreamError {
  if (error.code === "connection_lost") {
    return new ExchangeError("agent_lost", `The connection to the edge was lost: ${error.reason}`, { cause: error });
  }
  switch (error.errorCode) {
    case ErrorCode.NO_ERROR:
    case ErrorCode.CANCEL:
    case ErrorCode.CLIENT_GONE:
      return givenUp("canceled", isAnswered, error);
    case ErrorCode.PROTOCOL_ERROR:
      if (error.initiator === "remote") return givenUp("upstream_invalid", isAnswered, error);
      break;
    case ErrorCode.MEMORY_PRESSURE:
      if (error.initiator === "remote") return givenUp("overloaded", isAnswered, error);
      return new ExchangeError("overloaded", "The agent held too many bytes, and this exchange stalled longest", {
        cause: error,
      });
  }
  const code = meaningOf.get(error.errorCode)?.code;
  if (code !== undefined) return givenUp(code, isAnswered, error);
  const name = errorCodeName(error.errorCode);
  return new ExchangeError("upstream_failed", `The edge could not pass the answer on (${name})`, { cause: error });
}
