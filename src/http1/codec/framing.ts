/** How a message's body is delimited (RFC 9112 §6.3). */
export type Framing =
  /** There is no body. */
  | { readonly kind: "none" }
  /** Exactly `length` bytes, 0 to 2^53 - 1. */
  | { readonly kind: "length"; readonly length: number }
  /** Chunks, and then maybe trailer fields. */
  | { readonly kind: "chunked" }
  /** All bytes until the peer's FIN: answers alone. */
  | { readonly kind: "close" };

export const noBody: Framing = Object.freeze({ kind: "none" });
export const chunkedBody: Framing = Object.freeze({ kind: "chunked" });
export const closeDelimitedBody: Framing = Object.freeze({ kind: "close" });
