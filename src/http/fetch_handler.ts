/** Functions like `fetch`, from `Request` to `Response`, as handlers: for Runnel's own routes. */
import { abortSignalOf, type CancelSignal } from "../base/mod.ts";
import { disown } from "../memory/mod.ts";
import { cancelBody, observeBody } from "./body/mod.ts";
import { endToEndFields, equalsLower, isFieldValue, listedProtocols, withoutHost } from "./fields.ts";
import type { Answer, Body, Handler, RequestHead } from "./message.ts";
import { problemAnswer } from "./problem_answer.ts";
import type { ProblemCode } from "./problems.ts";
import { unusualReason } from "./reason_phrases.ts";
import { contentOf } from "./upgrade.ts";

/** `head` has what a `Request` cannot express: the client's address, the exchange's id, the target as received. */
export type FetchApp = (request: Request, head: RequestHead) => Response | Promise<Response>;

/**
 * Serves exchanges by `app`. Bodies are streamed in both directions; an answer without a Date gets one, since an origin
 * server must send it (RFC 9110 §6.6.1). What a `Request` cannot express is left out: an upgrade is ignored, the
 * body of a GET or HEAD is canceled, and a method that `Request` refuses is answered with 501 `not_implemented`. A target
 * that is no path is answered with 400 `bad_request`: a multiplexed stream may bring one.
 *
 * @param origin scheme and authority of every request's URL, such as `http://edge.internal`
 */
export function fetchHandler(app: FetchApp, origin: string): Handler {
  return async (head, body, signal) => {
    if (!/^[/*]/.test(head.target)) {
      cancelBody(body, new TypeError("The target of the request is no path"));
      return refused("bad_request", "The target of the request is no path");
    }
    // The app may store a chunk, or send it twice, and knows no references.
    const request = requestOf(origin, head, observeBody(contentOf(head, body), { onChunk: disown }, true), signal);
    if (request === null) {
      cancelBody(body, new TypeError(`A Request cannot have the method ${head.method}`));
      return refused("not_implemented", `The method ${head.method} is not served`);
    }
    return answerOf(await app(request, head));
  };
}

/** Nothing reaches the app, whose answers have a Date in every case. */
function refused(code: ProblemCode, detail: string): Answer {
  return problemAnswer(code, detail, ["Date", currentDate()]);
}

function requestOf(origin: string, head: RequestHead, body: Body, cancel: CancelSignal): Request | null {
  const { method, target } = head;
  if (!usualMethods.has(method) && !canHaveMethod(method)) return null;
  const url = origin + (target === "*" ? "/*" : escapeBytes(target));
  const headers = headersOf(head);
  const signal = abortSignalOf(cancel);
  if (method === "GET" || method === "HEAD") {
    cancelBody(body, new TypeError(`A ${method} request has no body`));
    return new Request(url, { method, headers, signal });
  }
  // `duplex` is required with streams (Fetch §5.4) and missing in some type libraries.
  const init: RequestInit & { duplex: "half" } = { method, headers, signal, body: body as BodyInit, duplex: "half" };
  return new Request(url, init);
}

const usualMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** True where a `Request` keeps the method: it makes GET of `get`, and Bun's makes GET of any that it does not know. */
function canHaveMethod(method: string): boolean {
  try {
    return new Request("http://a/", { method }).method === method && !/^(?:CONNECT|TRACE|TRACK)$/i.test(method);
  } catch {
    return false;
  }
}

/** The target's bytes from 0x80 as `%XX`: a URL would encode each as a character in UTF-8, which has two bytes. */
function escapeBytes(target: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(target)) return target;
  return target.replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

function headersOf({ authority, fields }: RequestHead): Headers {
  const headers = new Headers();
  if (authority !== "") headers.set("host", authority);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    // A `Response` has no trailers.
    if (equalsLower(name, "te")) continue;
    const previous = name.length === 6 && name.toLowerCase() === "cookie" ? headers.get(name) : null;
    // Values of one name are joined: of Cookie with "; " (RFC 9113 §8.2.3), of all others with ", ".
    if (previous === null) headers.append(name, fields[i + 1]);
    else headers.set(name, `${previous}; ${fields[i + 1]}`);
  }
  return headers;
}

function answerOf(response: Response): Answer {
  const { status, statusText, headers, body } = response;
  const isDecoded = response.url !== "" && headers.has("content-encoding");
  const fields: string[] = [];
  for (const [name, value] of headers) {
    // The runtime's `fetch` has undone the coding, and has left the fields that describe it.
    if (!isDecoded || (name !== "content-encoding" && name !== "content-length")) fields.push(name, value);
  }
  if (!headers.has("date")) fields.push("date", currentDate());
  return {
    status,
    reason: reasonOf(status, statusText),
    fields: withoutHost(endToEndFields(fields)),
    body,
    upgrade: status === 426 ? listedProtocols(headers.get("upgrade") ?? "") : undefined,
  };
}

/** A `Response` that was given no text has an empty one. Not every runtime checks what it is given. */
function reasonOf(status: number, statusText: string): string | undefined {
  return statusText === "" || !isFieldValue(statusText) ? undefined : unusualReason(status, statusText);
}

let dateSecond = -1;
let dateText = "";

/** The time in the format of a Date field, formatted once a second. */
function currentDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}
