/**
 * One HTTP exchange, whatever carries it: the head and body of a request, the answer, and the `Handler` that gives one
 * for the other. The public server calls a handler; a session (`EdgeSession.open`) is one, and so is an upstream. They can
 * be put together in any way, as tests do.
 */
import type { CancelSignal } from "../base/mod.ts";
import type { Socket } from "../net/mod.ts";
import type { ExchangeMeter } from "./traffic.ts";

/**
 * Header or trailer fields as on the wire: name, value, name, value, and so on. Order, repeated fields and the case of
 * names are preserved. Each character of a value is one byte (Latin-1), without white space around the value.
 */
export type Fields = readonly string[];

/**
 * A message's body. `null`: none. Bytes: a whole small body, owned by the receiver. A stream: the receiver reads it to
 * its end or cancels it, and an error means that the message broke off. Streams have a high-water mark of 0: nothing is
 * read before the reader asks.
 */
export type Body = null | Uint8Array | ReadableStream<Uint8Array>;

/** An interim answer (RFC 9110 §15.2): 100 to 199 without 101. */
export type InformationalHandler = (status: number, fields: Fields) => void;

export interface RequestHead {
  readonly method: string;
  /** The request target's bytes as received, never decoded, split or normalized: `/a/../b?x=%41`, or `*`. */
  readonly target: string;
  /** The scheme that the public client used, as far as is known. */
  readonly scheme: "http" | "https";
  /** The Host field's value (RFC 9110 §7.2); `""` only where an HTTP/1.0 client sent none. */
  readonly authority: string;
  /** Every field but Host, Connection, Keep-Alive, Transfer-Encoding, Upgrade and those that Connection nominated. */
  readonly fields: Fields;
  /**
   * The protocols of `Upgrade`, where the client asks for an upgrade: joined by commas without white space, never `h2c`.
   * The body is then a stream: of the content, as many bytes as Content-Length says, and of the client's bytes in the
   * new protocol behind it, which come after a 101. `contentOf` takes the content for a handler that upgrades nothing.
   */
  readonly upgrade?: string;
  /** The public client's IP address, without a port; `""` where it is unknown. */
  readonly client: string;
  /** Identifies this exchange in frames, and in logs unless it has a `requestId`; unique on an edge. */
  readonly id: string;
  /** By which logs, events and the upstream call this exchange in place of `id`: the name that a trusted proxy gave it. */
  readonly requestId?: string;
  /** True where a trusted proxy sent the request: what its fields said of the client was believed. */
  readonly isProxied?: boolean;
  /**
   * Names the connection on which the client sent this request; no other one ever has that name. Undefined where the
   * connection may be that of several clients, as a proxy's is.
   */
  readonly visitorConnection?: string;
  /** The tunnel that is asked, where the session that takes the request has opened several. */
  readonly tunnel?: string;
  /** Called for each interim answer, in order, before the final one. */
  readonly onInformational?: InformationalHandler;
  /** The trailer fields, once the body has ended; empty until then and where there are none. */
  readonly trailers?: () => Fields;
  /** Counts the exchange. Undefined where nobody does. */
  readonly meter?: ExchangeMeter;
}

/** A request target without its query, which may be secret. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  return end < 0 ? target : target.slice(0, end);
}

/**
 * A copy of `head` with other fields. To name the members one by one takes half the time of an object spread.
 *
 * @param tunnel see `RequestHead`. Default: that of `head`.
 */
export function withFields(head: RequestHead, fields: Fields, tunnel: string | undefined = head.tunnel): RequestHead {
  return {
    method: head.method,
    target: head.target,
    scheme: head.scheme,
    authority: head.authority,
    fields,
    upgrade: head.upgrade,
    client: head.client,
    id: head.id,
    requestId: head.requestId,
    isProxied: head.isProxied,
    visitorConnection: head.visitorConnection,
    tunnel,
    onInformational: head.onInformational,
    trailers: head.trailers,
    meter: head.meter,
  } satisfies Record<keyof RequestHead, unknown>;
}

/** A response. `Response` is the name of the runtime's own class, which cannot express all of one. */
export interface Answer {
  readonly status: number;
  /** The reason phrase (RFC 9112 §4), which may be empty. Undefined: the standard one of the status. */
  readonly reason?: string;
  /** Every field but Host, Connection, Keep-Alive, Transfer-Encoding and Upgrade. */
  readonly fields: Fields;
  /** With status 101: the bytes of the new protocol towards the client. Its end is a half-close. */
  readonly body: Body;
  /**
   * With status 101: the one protocol that was agreed, among those that were asked for. With 426: the list of those
   * that are asked for (RFC 9110 §15.5.22).
   */
  readonly upgrade?: string;
  readonly trailers?: () => Fields;
  /**
   * With status 101, where this process itself speaks the new protocol: the server writes the head, then gives its
   * socket away, with the bytes that it has read behind the request. `body` is null.
   */
  readonly takeSocket?: (socket: Socket, rest: Uint8Array) => void;
}

/**
 * Serves one exchange. Rejects where there is no answer: the caller makes one of the error. An answer whose body fails
 * is broken off, never ended in order. `signal` aborts when the caller no longer wants the answer: the handler must
 * then release everything that it holds for the exchange.
 */
export type Handler = (head: RequestHead, body: Body, signal: CancelSignal) => Promise<Answer>;
