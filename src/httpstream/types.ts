/**
 * The public types of the multiplexer, but for `Connection` (connection.ts) and `Link` (link.ts). A stream is one
 * bidirectional byte stream with headers. What the headers mean is the business of its two owners.
 *
 * A stream can be used in two ways, with the same effect on the wire. Each direction should be used in one of them:
 *
 *     handlers        read(), take(), consume(), send(), and calls of `StreamHandlers`. Nothing is copied, and no promise
 *                     is made.
 *     Web Streams     `readable`, `writable`, `response`, `trailers`, `closed`, `signal`. Each is made when it is first
 *                     asked for.
 */
import type { WaitTime } from "../base/mod.ts";
import type { ConnectionError, StreamError } from "./errors.ts";

/**
 * Header or trailer fields: name, value, name, value, and so on. Order, repeats and the case of names are kept; a
 * value is a string of bytes (code points up to 0xFF). Pseudo-fields (`:path`) come first.
 */
export type Fields = readonly string[];

/** An end of a connection. Streams opened by an edge have even ids, by an agent odd ones. */
export type Role = "edge" | "agent";

/** What may leave together with a head, in the same message. */
export interface HeadOptions {
  /** Bytes that follow the head. They belong to the stream from now on. Default: none. */
  body?: Uint8Array;
  /** True: nothing follows the head, and the body if there is one. Default false. */
  endStream?: boolean;
}

/** How a connection ended. */
export interface CloseInfo {
  /** The wire's error code (`ErrorCode`); `NO_ERROR` after `drain()` and `close()` of either side. */
  readonly code: number;
  readonly reason: string;
  /** What went wrong; null after an orderly end. */
  readonly error: ConnectionError | null;
}

/**
 * Called once for each stream that the peer opens, after everything of the message that opened it was taken in.
 * Throwing refuses the stream (`REFUSED_STREAM`): the peer may try it elsewhere.
 *
 * @param replySent resolves when the head given to `respond()` has left for the link, or the stream closed before.
 */
export type NewStreamHandler = (stream: Stream, replySent: Promise<void>) => void;

/** Refuses every stream. */
export const noOpNewStreamHandler: NewStreamHandler = () => {
  throw new Error("This side takes no streams");
};

/** What a stream tells its owner. No call is made from within a call of the stream's methods. */
export interface StreamHandlers {
  /** The peer's head (only where this side opened the stream). */
  onResponse?(fields: Fields): void;
  /** An interim head, which the peer's `inform()` sent before its head. Lost where this handler is not set. */
  onInform?(fields: Fields): void;
  /** Bytes, the end or a reset came in: `read()`, `takeWhole()`, `readEnded` or `readError` have changed. */
  onReadable?(): void;
  /** After a `send()` that returned false: everything given so far has left. */
  onWritable?(): void;
  /** The peer takes no more bytes of this side's. This direction is over, the other one goes on. */
  onStop?(code: number): void;
  /** Both directions are over and everything was consumed, or the stream broke. Exactly once, the last call. */
  onClose?(error: StreamError | null): void;
}

/** One bidirectional byte stream with headers on a connection. */
export interface Stream {
  /** Unique on the connection, never used again. */
  readonly id: number;
  /** The fields that opened the stream, whichever side did. */
  readonly headers: Fields;
  /** True where the peer opened it: it then waits for `respond()`. */
  readonly accepted: boolean;
  /** Set by the owner, and replaced at any time. Default: none. */
  handlers: StreamHandlers;
  /** Why the stream broke; null while it has not. */
  readonly error: StreamError | null;
  /** What the peer takes beyond the first version of the protocol (`Feature`); 0 until its SETTINGS are here. */
  readonly peerFeatures: number;
  /** Bytes held for this stream; see `Connection.bufferedBytes`. */
  readonly bufferedBytes: number;

  /**
   * Sends the head of the answer (only where the peer opened the stream, once).
   *
   * @throws {StreamError} `invalid_state` where there is nothing to answer, `invalid_headers`, `headers_too_large`.
   */
  respond(fields: Fields, options?: HeadOptions): void;
  /**
   * Sends an interim head (RFC 9110 §15.2), any number before `respond()`. Dropped where `maxHeldHeaderBytes` wait.
   *
   * @throws {StreamError} `invalid_state` where this side opened the stream, and after `respond()`; `invalid_headers`,
   *   `headers_too_large`.
   */
  inform(fields: Fields): void;
  /**
   * Sends bytes without a copy. They belong to the stream from now on. `end` ends this direction; `bytes` may be empty
   * then. Returns false when the sender should wait for `onWritable`: more than the window, or 64 KiB, waits. Ignored
   * after the peer's `stopSending()`, a reset, or the connection's end.
   *
   * @throws {StreamError} `invalid_state` before the head and after the end.
   */
  send(bytes: Uint8Array, end: boolean): boolean;
  /**
   * Ends this direction with trailers, behind all bytes given before.
   *
   * @throws {StreamError} `invalid_state` before the head and after the end, `invalid_headers`, `headers_too_large`.
   */
  sendTrailers(fields: Fields): void;
  /** Bytes given to `send()` that have not left for the link. */
  readonly unsentBytes: number;
  /** Counts for how long bytes given to `send()` wait for credit alone. Set before them. Default null: nobody counts. */
  creditWait: WaitTime | null;
  /** True once this direction was ended, by `send()` or trailers, or broke. */
  readonly sendEnded: boolean;

  /**
   * The next waiting chunk, or null where none waits. It may be a view of a larger buffer and must not be changed. Its
   * credit stays with the reader until `consume()`.
   */
  read(): Uint8Array | null;
  /**
   * As `read()`, for a chunk that is passed on once, to another stream's `send()`: its memory is freed as soon as it
   * has left. It must not be used afterwards.
   */
  take(): Uint8Array | null;
  /**
   * The whole body at once where its end is already here, else null. To be passed on once, as with `take()`. Its credit
   * goes back by itself.
   */
  takeWhole(): Uint8Array | null;
  /**
   * Gives credit back for bytes of `read()` and `take()`, once their receiver has taken them.
   *
   * @throws {StreamError} `invalid_state` for more bytes than were read.
   */
  consume(bytes: number): void;
  /** Bytes that `read()` would give. */
  readonly readableBytes: number;
  /** True once the peer ended its direction cleanly and everything before was read. */
  readonly readEnded: boolean;
  /** Why the peer's direction broke; null while it has not. This side's may go on, unless `error` is set, too. */
  readonly readError: StreamError | null;
  /** The peer's trailers; empty until its end is here, and where there are none. */
  readonly trailerFields: Fields;

  /** The peer's bytes, read as they are pulled (high-water mark 0). Chunks own their buffer. Errors when it breaks. */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Bytes for the peer. Chunks are copied, so that the writer may use its buffer again. A write resolves once the
   * bytes have left or wait in the stream's bounded queue. Aborting resets this direction alone.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** The peer's head. Rejects with the StreamError where the stream breaks before. Only where this side opened it. */
  readonly response: Promise<Fields>;
  /** The peer's trailers, once it ended; empty where it sent none. Rejects where the stream breaks before. */
  readonly trailers: Promise<Fields>;
  /** Aborts, with the StreamError as its reason, on a reset, `stopSending()` of the peer, and the connection's end. */
  readonly signal: AbortSignal;
  /** Resolves, never rejects, when nothing of the stream is left: null after a clean end of both directions. */
  readonly closed: Promise<StreamError | null>;

  /** Asks the peer to send no more bytes, and drops those that still come. `code` defaults to `CANCEL`. */
  stopSending(code?: number): void;
  /** Breaks both directions at once. Unsent and unread bytes are dropped. `code` defaults to `CANCEL`. */
  reset(code?: number): void;
  /** Breaks this side's sending alone; reading goes on. `code` defaults to `CANCEL`. */
  resetSending(code?: number): void;

  /**
   * Keeps the stream's slot in `maxConcurrentStreams`, even past its end, until `release()`. An acceptor calls it while
   * resources that the stream caused (an upstream's socket) are not closed yet. Otherwise a peer could have more of
   * them than streams, by opening and resetting.
   */
  hold(): void;
  release(): void;
}

/** What the owner of a connection learns of its link. Called after the connection has changed its state. */
export interface SuspensionHandlers {
  /** The link is lost, and `Connection.resume()` is waited for. */
  onSuspended(reason: string): void;
  /** @param suspendedMs for how long there was no link */
  onResumed(suspendedMs: number): void;
}

export const noSuspensionHandlers: SuspensionHandlers = { onSuspended() {}, onResumed() {} };
