/** How an edge tells why it gave an exchange up, and what its agent makes of that, whichever protocol is between them. */
import { RunnelError } from "../base/mod.ts";
import { ExchangeError, isProblemCode, type ProblemCode, problemKinds, UpstreamError } from "../http/mod.ts";

/** The problem for which an exchange was given up with `reason`; null where the visitor left. */
export function problemBehind(reason: unknown): ProblemCode | null {
  if (!(reason instanceof RunnelError)) return null;
  // An answer that broke off has its own reason as the cause.
  return isProblemCode(reason.code) ? reason.code : problemBehind(reason.cause);
}

/**
 * @param code of the problem that the edge told; `canceled` where the visitor left
 * @param isAnswered the answer's head was sent
 */
export function givenUp(
  code: ProblemCode | "canceled",
  isAnswered: boolean,
  cause?: unknown,
): ExchangeError | UpstreamError {
  if (code === "canceled") return new UpstreamError("canceled", "The visitor left", cause);
  return new ExchangeError(code, reasonOf(code, isAnswered), { cause });
}

function reasonOf(code: ProblemCode, isAnswered: boolean): string {
  switch (code) {
    case "upstream_timeout":
      return isAnswered
        ? "Nothing moved for the edge's idle timeout, and the edge broke the answer off; " +
          "let the service send something meanwhile, or raise --idle-timeout at the edge"
        : "The service did not begin its answer within the edge's first-byte timeout; raise it with " +
          "the agent's --first-byte-timeout, and with the edge's --max-first-byte-timeout where that is less";
    case "request_timeout":
      return "The visitor sent nothing of its request, or took nothing of the answer, for too long";
    case "overloaded":
      return "The edge held too many bytes, and this exchange stalled longest";
    default:
      return `The edge gave the exchange up: ${problemKinds[code].title}`;
  }
}
