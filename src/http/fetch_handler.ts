/** Apps of the shape of `fetch`, such as Hono's, as handlers of this server: for Runnel's own routes. */
import { abortSignalOf, type CancelSignal } from "../base/mod.ts";
import { equalsLower } from "./fields.ts";
import type { Answer, Body, Fields, Handler, RequestHead } from "./message.ts";
import { cancelBody, tap } from "./body/mod.ts";
import { disown } from "../memory/mod.ts";

/** `head` is what a `Request` cannot tell: the client's address, the exchange's id, the target as received. */
export type FetchApp = (request: Request, head: RequestHead) => Response | Promise<Response>;

/**
 * Serves exchanges by `app`. Request bodies are streamed, as are answers; repeated fields stay repeated; an answer
 * without a Date gets one, since an origin server must send it (RFC 9110 §6.6.1). What is left of an exchange that a
 * `Request` cannot express: the body of a GET or HEAD is dropped, and a method that `Request` refuses is a 501.
 *
 * @param origin scheme and authority of every request's URL, such as `http://edge.internal`
 */
export function fetchHandler(app: FetchApp, origin: string): Handler {
  return async (head, body, signal) => {
    // What the app gets is its own: it may keep a chunk, or send it twice.
    const request = requestOf(origin, head, tap(body, { onChunk: disown }, true), signal);
    if (request === null) {
      cancelBody(body, new TypeError(`Request refuses the method ${head.method}`));
      return { status: 501, fields: ["Date", currentDate()], body: null };
    }
    return answerOf(await app(request, head));
  };
}

function requestOf(origin: string, head: RequestHead, body: Body, cancel: CancelSignal): Request | null {
  const { method, target } = head;
  if (/^(?:CONNECT|TRACE|TRACK)$/i.test(method)) return null;
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

/** The target's bytes from 0x80 as `%XX`: a URL would take each for a character and encode that. */
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
    const before = name.length === 6 && name.toLowerCase() === "cookie" ? headers.get(name) : null;
    // Cookies are joined with "; " where there must be one field of them (RFC 9113 §8.2.3), everything else with ", ".
    if (before === null) headers.append(name, fields[i + 1]);
    else headers.set(name, `${before}; ${fields[i + 1]}`);
  }
  return headers;
}

function answerOf(response: Response): Answer {
  const fields: string[] = [];
  for (const [name, value] of response.headers) fields.push(name, value);
  if (!response.headers.has("date")) fields.push("date", currentDate());
  return { status: response.status, fields: fields as Fields, body: response.body };
}

let dateSecond = -1;
let dateText = "";

/** The time in the format of a Date field, made once a second. */
function currentDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}
