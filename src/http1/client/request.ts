/** How a request goes out: its head as bytes, and how its body will stand behind it. */
import type { ClientSettings } from "./options.ts";
import { type Body, fieldValue, hasToken, parseLength, type RequestHead, UpstreamError } from "../../http/mod.ts";
import { chunkedBody, encodeRequestHead, type Framing, HttpWriteError, noBody } from "../codec/mod.ts";
import { showText } from "../../base/mod.ts";

export interface RequestPlan {
  /** From the request line to the empty line. */
  readonly head: Uint8Array;
  readonly framing: Framing;
  /** True where nothing is lost or done twice if the same bytes are sent again (RFC 9110 §9.2.2, and no body). */
  readonly isReplayable: boolean;
}

/**
 * A body with a Content-Length keeps it, other streams, and what has trailers, become chunks (RFC 9112 §6.1); without a body there is no
 * framing, but a Content-Length of 0 stays where the client sent one. `TE: trailers` in the fields is made anew.
 *
 * @throws {UpstreamError} `bad_request` for a head that cannot be written, a Content-Length that is not the body's.
 */
export function planRequest(head: RequestHead, body: Body, settings: ClientSettings): RequestPlan {
  const { method, target, authority, fields, upgrade } = head;
  // What follows the head of an upgrade belongs to the other protocol, and is sent once that was agreed.
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
    // Trailers need chunks to stand behind.
    return (head.trailers?.() ?? []).length > 0 ? chunkedBody : { kind: "length", length: body.length };
  }
  if (body.locked) throw new UpstreamError("bad_request", "the body's stream is being read already");
  const value = fieldValue(head.fields, "content-length");
  if (value === undefined) return chunkedBody;
  const length = parseLength(value);
  if (length >= 0) return { kind: "length", length };
  throw new UpstreamError("bad_request", `Content-Length ${showText(value)} is no number of bytes`);
}

/** PUT and DELETE are idempotent too, but a second DELETE is answered otherwise than the first. */
function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}
