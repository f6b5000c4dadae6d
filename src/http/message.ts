/**
 * The words in which every room of Runnel speaks about one HTTP exchange. The public server calls a `Handler`, a
 * session is one (`Session.open`), the upstream is one: so a test can put any of them in the place of any other.
 */

import type { CancelSignal } from "../base/mod.ts";
import type { Socket } from "../net/mod.ts";

/**
 * Header or trailer fields as on the wire: name, value, name, value, and so on. Order, repeats and the case of names
 * are kept; each value is a string of bytes (Latin-1: code points up to 0xFF), without surrounding white space.
 */
export type Fields = readonly string[];

/**
 * A message's body. `null`: none. Bytes: whole and small, known at once, owned by the receiver. A stream: read it to
 * its end or cancel it; its error means that the message broke off. Streams have a high-water mark of 0: nothing is
 * read ahead of the reader.
 */
export type Body = null | Uint8Array | ReadableStream<Uint8Array>;

/** An interim answer (RFC 9110 §15.2): 100 to 199 without 101. */
export type InformationalHandler = (status: number, fields: Fields) => void;

export interface RequestHead {
  readonly method: string;
  /** The request target's bytes as received, never decoded, split or normalised: `/a/../b?x=%41`, or `*`. */
  readonly target: string;
  /** `http` or `https`, as the public client used it. */
  readonly scheme: "http" | "https";
  /** The Host field's value (RFC 9110 §7.2); `""` only where an HTTP/1.0 client sent none. */
  readonly authority: string;
  /** Every field but Host, Connection, Keep-Alive, Transfer-Encoding, Upgrade and those that Connection nominated. */
  readonly fields: Fields;
  /** The one token of `Upgrade`, where the client asks for an upgrade (never `h2c`). The body is then the raw bytes. */
  readonly upgrade?: string;
  /** The public client's address, as believed. */
  readonly client: string;
  /** Names this exchange in logs and frames; unique on an edge. */
  readonly id: string;
  /** Called for each interim answer, in order, before the answer. */
  readonly onInformational?: InformationalHandler;
  /** The trailer fields, once the body has ended; empty until then and where there are none. */
  readonly trailers?: () => Fields;
}

/** A copy of `head` with other fields. Members are named one by one, which takes half the time of an object spread. */
export function withFields(head: RequestHead, fields: Fields): RequestHead {
  return {
    method: head.method,
    target: head.target,
    scheme: head.scheme,
    authority: head.authority,
    fields,
    upgrade: head.upgrade,
    client: head.client,
    id: head.id,
    onInformational: head.onInformational,
    trailers: head.trailers,
  } satisfies Record<keyof RequestHead, unknown>;
}

export interface Answer {
  readonly status: number;
  /** Every field but Connection, Keep-Alive, Transfer-Encoding, Upgrade; Content-Length stays if there is one. */
  readonly fields: Fields;
  /** For status 101, the raw bytes of the upgraded stream towards the client; its end is a half-close. */
  readonly body: Body;
  /** For status 101: the token that was agreed. */
  readonly upgrade?: string;
  readonly trailers?: () => Fields;
  /**
   * For a status 101 that is answered in this process (the agents' link): the server writes the head, then hands over
   * the socket with the bytes that it had read past the request. `body` is null.
   */
  readonly takeSocket?: (socket: Socket, rest: Uint8Array) => void;
}

/**
 * Serves one exchange. Rejects where there is no answer (the caller makes one of the error); an answer whose body
 * fails is broken off, never ended cleanly. `signal` aborts when the asking side has gone: everything the handler
 * holds for the exchange must then be released. For an upgrade, `body` is the stream of the client's raw bytes.
 */
export type Handler = (head: RequestHead, body: Body, signal: CancelSignal) => Promise<Answer>;
