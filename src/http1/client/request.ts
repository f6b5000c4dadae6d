/** Prepares a request: its head as bytes, and the framing of its body. */
import { showText } from "../../base/mod.ts";
import {
  type Body,
  equalsLower,
  type Fields,
  fieldValue,
  isConnectionCredentials,
  listHasToken,
  parseLength,
  type RequestHead,
  UpstreamError,
} from "../../http/mod.ts";
import { chunkedBody, encodeRequestHead, type Framing, HttpWriteError, noBody } from "../codec/mod.ts";
import type { ClientSettings } from "./options.ts";

export interface RequestPlan {
  /** From the request line to the empty line. */
  readonly head: Uint8Array;
  readonly framing: Framing;
  /** True where the request may be sent again (RFC 9110 §9.2.2): it is safe and has no body. */
  readonly isReplayable: boolean;
  /** True where the request's credentials authenticate the connection: NTLM, Negotiate. */
  readonly isConnectionAuth: boolean;
}

/**
 * `body` is the content alone. A body with a Content-Length is sent with it. Other streams, and bodies with trailers, are
 * sent in chunks (RFC 9112 §6.1). Without a body there is no framing, but a Content-Length of 0 is passed on.
 * `TE: trailers` is made for this hop.
 *
 * @throws {UpstreamError} `bad_request` for a target that is neither a path nor `*`, a head that cannot be written, a
 *   malformed Content-Length, and a body that has a reader already
 */
export function planRequest(head: RequestHead, body: Body, settings: ClientSettings): RequestPlan {
  const { method, target, authority, fields, upgrade } = head;
  // A proxy as upstream would go where a whole URL, or the host and port of a CONNECT, leads.
  if (target.charCodeAt(0) !== SLASH && target !== "*") {
    throw new UpstreamError("bad_request", `The request target ${showText(target)} is no path`);
  }
  const framing = body === null ? noBody : framingOf(head, body);
  const facts = hopFacts(fields);
  try {
    return {
      head: encodeRequestHead({
        method,
        target,
        authority: settings.host ?? (authority === "" ? settings.targetHost : authority),
        fields,
        framing,
        upgrade,
        acceptsTrailers: (facts & ACCEPTS_TRAILERS) !== 0,
      }),
      framing,
      isReplayable: framing === noBody && isSafe(method),
      isConnectionAuth: (facts & CONNECTION_AUTH) !== 0,
    };
  } catch (cause) {
    if (!(cause instanceof HttpWriteError)) throw cause;
    throw new UpstreamError("bad_request", cause.reason, cause);
  }
}

const SLASH = 0x2f;
const ACCEPTS_TRAILERS = 1;
const CONNECTION_AUTH = 2;

/** What the fields say about this hop, as bits: read in one pass. Proxy-Authorization is for an upstream that is a proxy. */
function hopFacts(fields: Fields): number {
  let facts = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    switch (name.length) {
      case 2:
        if (equalsLower(name, "te") && listHasToken(fields[i + 1], "trailers")) facts |= ACCEPTS_TRAILERS;
        break;
      case 13:
        if (equalsLower(name, "authorization") && isConnectionCredentials(fields[i + 1])) facts |= CONNECTION_AUTH;
        break;
      case 19:
        if (equalsLower(name, "proxy-authorization") && isConnectionCredentials(fields[i + 1])) {
          facts |= CONNECTION_AUTH;
        }
    }
  }
  return facts;
}

function framingOf(head: RequestHead, body: Uint8Array | ReadableStream): Framing {
  if (body instanceof Uint8Array) {
    // Trailers can only follow chunks.
    return (head.trailers?.() ?? []).length > 0 ? chunkedBody : { kind: "length", length: body.length };
  }
  if (body.locked) throw new UpstreamError("bad_request", "The body has a reader already");
  const value = fieldValue(head.fields, "content-length");
  if (value === undefined) return chunkedBody;
  const length = parseLength(value);
  if (length >= 0) return { kind: "length", length };
  throw new UpstreamError("bad_request", `Content-Length ${showText(value)} is no number of bytes`);
}

/** PUT and DELETE are idempotent, too, but a second DELETE gets another answer than the first. */
function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}
