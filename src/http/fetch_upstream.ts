/** A function like `fetch` as an upstream: a program exposes itself without a socket. */
import { messageOf } from "../base/mod.ts";
import { cancelBody } from "./body/mod.ts";
import { fetchHandler } from "./fetch_handler.ts";
import type { Answer, Handler, RequestHead } from "./message.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Serves one request. Where it throws, the public client gets a 502. */
export type FetchFunction = (request: Request) => Response | Promise<Response>;

/**
 * Serves exchanges by `fetch`, within what a `Request` can express (see `fetchHandler`): without interim answers,
 * trailers and bodies of GET; an upgrade is answered as if it had not been asked for (RFC 9110 §7.8). The answer is
 * passed on unchanged: a function that calls the runtime's own `fetch` must set `redirect: "manual"`, and ask for no
 * content coding.
 *
 * Rejects with `UpstreamError`: `upstream_failed` where the function throws, `canceled` where the signal aborts.
 *
 * @param base scheme and authority of every request's URL, such as `http://app.internal`. Default: the client's own.
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
      return withoutForbiddenBody(head, await handler(head, body, signal));
    } catch (cause) {
      cancelBody(body, cause);
      if (signal.aborted) throw UpstreamError.ofCancel(cause);
      throw new UpstreamError("upstream_failed", `The upstream's function failed: ${messageOf(cause)}`, cause);
    }
  };
}

/** Most functions answer a HEAD as a GET, with a body. */
function withoutForbiddenBody(head: RequestHead, answer: Answer): Answer {
  if (head.method !== "HEAD" || answer.body === null) return answer;
  cancelBody(answer.body, new UpstreamError("canceled", "An answer to HEAD has no body"));
  return { ...answer, body: null };
}
