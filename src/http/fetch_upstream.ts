/** A function of the shape of `fetch` in the place of an upstream: a program exposes itself without a socket. */
import { fetchHandler } from "./fetch_handler.ts";
import { UpstreamError } from "./upstream_error.ts";
import { cancelBody } from "./body/mod.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";

/** Serves one request; what it throws is a 502 for the public client. */
export type FetchFunction = (request: Request) => Response | Promise<Response>;

/**
 * Serves exchanges by `fetch`, within what a `Request` can express (see `fetchHandler`): no interim answers, no
 * trailers, no body of a GET, and an upgrade is answered as if it had not been asked for (RFC 9110 §7.8). The answer
 * is taken as it is: the runtime's own `fetch` must be told `redirect: "manual"`, and asked for no content coding.
 *
 * Rejects with `UpstreamError`: `upstream_failed` where the function throws, `canceled` where the signal aborts.
 *
 * @param base scheme and authority of every request's URL, `http://app.internal`; default what the client asked for.
 */
export function fetchUpstream(fetch: FetchFunction, base?: string): Handler {
  const fixed = base === undefined ? null : fetchHandler(fetch, base);
  return async (head, body, signal) => {
    if (signal.aborted) {
      cancelBody(body, signal.reason);
      throw UpstreamError.ofCancel(signal.reason);
    }
    const handler = fixed ?? fetchHandler(fetch, `${head.scheme}://${head.authority || "localhost"}`);
    try {
      return withoutForbiddenBody(head, await handler(head, sendableBody(head, body), signal));
    } catch (cause) {
      cancelBody(body, cause);
      if (signal.aborted) throw UpstreamError.ofCancel(cause);
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new UpstreamError("upstream_failed", `the upstream's function failed: ${detail}`, cause);
    }
  };
}

/** The raw bytes behind the head of an upgrade are no body, and nobody will read them. */
function sendableBody(head: RequestHead, body: Body): Body {
  if (head.upgrade === undefined) return body;
  cancelBody(body, new UpstreamError("canceled", "a function cannot switch protocols"));
  return null;
}

/** Functions answer a HEAD as they answer a GET. */
function withoutForbiddenBody(head: RequestHead, answer: Answer): Answer {
  if (head.method !== "HEAD" || answer.body === null) return answer;
  cancelBody(answer.body, new UpstreamError("canceled", "an answer to HEAD has no body"));
  return { ...answer, body: null };
}
