/** The frame of a request: as a text where it is short, and otherwise made part by part while it is sent. */
import { type Fields, fieldValue, type RequestHead, withoutFields } from "../../http/mod.ts";
import type { MessageSource } from "../../websocket/mod.ts";
import { base64Length, encodeBase64 } from "./base64.ts";
import { type HTTPRequest, TypeHTTPRequest } from "./frames.ts";
import type { HeadText } from "./head_text.ts";
import { fieldsToHeaders, noLineFields } from "./headers.ts";
import type { RequestBody } from "./request_body.ts";

const teField: ReadonlySet<string> = new Set(["te"]);
const encoder = new TextEncoder();
const frameEnd = '"}';

/** The whole frame. @param body is not released */
export function requestText(head: RequestHead, body: Uint8Array, text: HeadText): string {
  return JSON.stringify(requestFrame(head, body.length, encodeBase64(body), text));
}

/** About how many bytes a head takes, in memory and in its frame. */
export function headLength({ method, target, authority, fields }: RequestHead): number {
  let length = method.length + target.length + authority.length;
  for (const text of fields) length += text.length;
  return length;
}

/** The frame of a request with a long body, which is freed as it is sent. */
export class RequestMessage implements MessageSource {
  readonly byteLength: number;
  readonly #body: RequestBody;
  #begin: Uint8Array | null;

  constructor(head: RequestHead, body: RequestBody, text: HeadText) {
    // The body's text is the last value of the object.
    const empty = JSON.stringify(requestFrame(head, body.length, "", text));
    this.#begin = encoder.encode(empty.slice(0, -frameEnd.length));
    this.#body = body;
    this.byteLength = this.#begin.length + base64Length(body.length) + frameEnd.length;
  }

  next(): Uint8Array {
    const begin = this.#begin;
    if (begin === null) return this.#body.encodeNext() ?? encoder.encode(frameEnd);
    this.#begin = null;
    return begin;
  }

  onOver(): void {
    this.#body.drop();
  }
}

/** `body_b64` is its last key. */
function requestFrame(head: RequestHead, length: number, base64: string, text: HeadText): HTTPRequest {
  const mark = head.target.indexOf("?");
  // The `?` of an empty query stays in the path, since an empty `query` stands for no query at all.
  const split = mark < 0 || mark === head.target.length - 1 ? head.target.length : mark;
  // The answer's frames cannot carry trailers, so the upstream is not told that the client takes them.
  const passed: Fields = withoutFields(head.fields, teField);
  const fields = head.authority === "" ? [...passed] : ["Host", head.authority, ...passed];
  const hasLength = fieldValue(head.fields, "content-length") !== undefined;
  if (length > 0 && !hasLength) fields.push("Content-Length", String(length));
  return {
    type: TypeHTTPRequest,
    request_id: head.id,
    method: head.method,
    path: text.write(head.target.slice(0, split)),
    query: text.write(head.target.slice(split + 1)),
    headers: fieldsToHeaders(fields, text, noLineFields),
    body_b64: base64,
  };
}
