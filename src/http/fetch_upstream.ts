/** A function like `fetch` as an upstream: a program exposes itself without a socket. */
import { type CancelSignal, messageOf, RunnelError, showText } from "../base/mod.ts";
import { type BodyObserver, cancelBody, observeBody } from "./body/mod.ts";
import { fetchHandler } from "./fetch_handler.ts";
import { fieldValue, parseLength } from "./fields.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Serves one request. Where it throws, the public client gets a 502. */
export type FetchFunction = (request: Request) => Response | Promise<Response>;

export interface FetchUpstreamOptions {
  /** Scheme and authority of every request's URL, such as `http://app.internal`. Default: the client's own. */
  base?: string;
  /**
   * The function threw, returned no `Response`, or the body of its answer failed or was not as long as its
   * Content-Length. Not called for what a client that leaves makes fail. Default: does nothing.
   */
  onError?(error: unknown, request: Request): void;
}

/**
 * Serves exchanges by `fetch`, within what a `Request` can express (see `fetchHandler`): without interim answers,
 * trailers and bodies of GET; an upgrade is answered as if it had not been asked for (RFC 9110 §7.8). The answer is
 * passed on unchanged: a function that calls the runtime's own `fetch` must set `redirect: "manual"`. A content coding
 * that `fetch` has undone is left out.
 *
 * Rejects with `UpstreamError`: `upstream_failed` where the function throws, `canceled` where the signal aborts.
 */
export function fetchUpstream(fetch: FetchFunction, options: FetchUpstreamOptions = {}): Handler {
  return async (head, body, signal) => {
    if (signal.aborted) {
      cancelBody(body, signal.reason);
      throw UpstreamError.ofCancel(signal.reason);
    }
    let request: Request | null = null;
    const report = (error: unknown) => {
      if (request !== null && !isOfLeaving(error, request, signal)) options.onError?.(error, request);
    };
    // The request alone: Hono, for one, takes a second argument for the environment.
    const call = async (asked: Request) => checkResponse(await fetch(request = asked));
    const base = options.base ?? `${head.scheme}://${head.authority || "localhost"}`;
    try {
      const answer = await fetchHandler(call, base)(head, body, signal);
      return { ...answer, body: sentBody(head, answer, report) };
    } catch (cause) {
      cancelBody(body, cause);
      report(cause);
      if (signal.aborted) throw UpstreamError.ofCancel(cause);
      throw new UpstreamError("upstream_failed", `The upstream's function failed: ${messageOf(cause)}`, cause);
    }
  };
}

/** True for what fails because the client has left: the signal aborts, and so does the request's body. */
function isOfLeaving(error: unknown, request: Request, signal: CancelSignal): boolean {
  if (!signal.aborted) return false;
  return error === request.signal.reason || error instanceof RunnelError ||
    (error instanceof Error && error.name === "AbortError");
}

function checkResponse(response: Response): Response {
  if (typeof response?.status !== "number") throw new TypeError(`The function returned ${response}, and no Response`);
  if (response.status === 0) throw new TypeError("The function returned Response.error()");
  if (response.bodyUsed || response.body?.locked) {
    throw new TypeError("The body of the function's Response has a reader");
  }
  return response;
}

/**
 * None for HEAD: most functions answer it as a GET, with a body.
 *
 * @throws {TypeError} for a Content-Length that is no number, or without a body
 */
function sentBody({ method }: RequestHead, { status, fields, body }: Answer, report: (error: unknown) => void): Body {
  if (method === "HEAD") {
    cancelBody(body, new UpstreamError("canceled", "An answer to HEAD has no body"));
    return null;
  }
  // Of a 304 it is the length of another answer.
  const announced = status === 304 ? undefined : fieldValue(fields, "content-length");
  const length = announced === undefined ? null : parseLength(announced);
  if (length === -1) {
    throw new TypeError(`The Content-Length of the function's Response is ${showText(announced!)}, and no number`);
  }
  if (length !== null && body === null) checkLength(0, length);
  return observeBody(body, new SentBody(length, report));
}

/** @throws {TypeError} where the body is not as long as its Content-Length */
function checkLength(bytes: number, length: number): void {
  if (bytes > length) throw new TypeError(`The answer's body is longer than its Content-Length, ${length}`);
  if (bytes < length) throw new TypeError(`The answer's body has ${bytes} bytes, and its Content-Length is ${length}`);
}

/** Tells of what is wrong with the body of an answer. The edge breaks the answer off where the body is too short. */
class SentBody implements BodyObserver {
  readonly #length: number | null;
  readonly #report: (error: unknown) => void;
  #bytes = 0;

  /** @param length the Content-Length; null where there is none */
  constructor(length: number | null, report: (error: unknown) => void) {
    this.#length = length;
    this.#report = report;
  }

  onChunk(chunk: Uint8Array): void {
    checkChunk(chunk);
    this.#bytes += chunk.length;
    if (this.#length !== null && this.#bytes > this.#length) checkLength(this.#bytes, this.#length);
  }

  onOver(error?: unknown, isCanceled?: boolean): void {
    if (error === undefined && this.#length !== null) checkLength(this.#bytes, this.#length);
    if (error !== undefined && isCanceled !== true) this.#report(error);
  }
}

/** A function's stream may give anything. */
function checkChunk(chunk: unknown): void {
  if (chunk instanceof Uint8Array) return;
  throw new TypeError(
    `A chunk of the answer's body is of type ${typeof chunk}, and no Uint8Array: use a TextEncoder for text`,
  );
}
