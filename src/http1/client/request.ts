/** Prepares a request: its head as bytes, and the framing of its body. */
import { showText } from "../../base/mod.ts";
import { type Body, fieldValue, hasToken, parseLength, type RequestHead, UpstreamError } from "../../http/mod.ts";
import { chunkedBody, encodeRequestHead, type Framing, HttpWriteError, noBody } from "../codec/mod.ts";
import type { ClientSettings } from "./options.ts";

export interface RequestPlan {
  /** From the request line to the empty line. */
  readonly head: Uint8Array;
  readonly framing: Framing;
  /** True where the request may be sent again (RFC 9110 §9.2.2): it is safe and has no body. */
  readonly isReplayable: boolean;
}

/**
 * A body with a Content-Length is sent with it. Other streams, and bodies with trailers, are sent in chunks (RFC 9112
 * §6.1). Without a body there is no framing, but a Content-Length of 0 is passed on. `TE: trailers` is made for this
 * hop.
 *
 * @throws {UpstreamError} `bad_request` for a head that cannot be written, a malformed Content-Length, and a body that
 *   has a reader already
 */
export function planRequest(head: RequestHead, body: Body, settings: ClientSettings): RequestPlan {
  const { method, target, authority, fields, upgrade } = head;
  // The body of an upgrade belongs to the new protocol, and is sent after the 101.
  const framing = body === null || upgrade !== undefined ? noBody : framingOf(head, body);
  try {
    return {
      head: encodeRequestHead({
        method,
        target,
        authority: settings.host ?? (authority === "" ? settings.targetHost : authority),
        fields,
        framing,
        upgrade,
        acceptsTrailers: hasToken(fields, "te", "trailers"),
      }),
      framing,
      isReplayable: framing === noBody && isSafe(method),
    };
  } catch (cause) {
    if (!(cause instanceof HttpWriteError)) throw cause;
    throw new UpstreamError("bad_request", cause.reason, cause);
  }
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
