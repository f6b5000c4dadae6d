/** How the end of a message's body is recognized (RFC 9112 §6.3). */
export type Framing =
  /** There is no body. */
  | { readonly kind: "none" }
  /** Exactly `length` bytes, 0 to 2^53 - 1. */
  | { readonly kind: "length"; readonly length: number }
  /** Chunks, which trailer fields may follow. Those that the head's Connection `nominated` end at this hop. */
  | { readonly kind: "chunked"; readonly nominated?: ReadonlySet<string> }
  /** All bytes until the peer's FIN: in responses only. */
  | { readonly kind: "close" };

export const noBody: Framing = Object.freeze({ kind: "none" });
export const chunkedBody: Framing = Object.freeze({ kind: "chunked" });
export const closeDelimitedBody: Framing = Object.freeze({ kind: "close" });

/** @param nominated the names that Connection nominates, in lower case; null where there are none */
export function chunkedFraming(nominated: ReadonlySet<string> | null): Framing {
  return nominated === null ? chunkedBody : { kind: "chunked", nominated };
}

/** True for the statuses of responses that never have a body (RFC 9110 §15.2, §15.3.5, §15.4.5). */
export function isBodyless(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
