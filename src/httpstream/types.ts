/**
 * The multiplexer's public face, in one file: a `Connection` on a link, and its `Stream`s. A stream is one
 * bidirectional byte stream with headers; what the headers mean is the business of whoever uses it.
 *
 * A stream has two faces. The comfortable one speaks Web Streams and promises, each made only when asked for. The
 * lean one (`ByteStream`) speaks of whole chunks and calls back, and moves a small exchange without any of them. Both
 * work on the same stream; each direction should be used through one of them.
 */
import type { ConnectionError, StreamError } from "./errors.ts";

/**
 * Header or trailer fields: name, value, name, value, and so on. Order, repeats and the case of names are kept; a
 * value is a string of bytes (code points up to 0xFF). Pseudo-fields (`:path`) come first.
 */
export type Fields = readonly string[];

/** Which end of the connection this is. Streams opened by an edge have even ids, by an agent odd ones. */
export type Role = "edge" | "agent";

/** What may leave together with a head, in the same message. */
export interface HeadOptions {
  /** Bytes that follow the head. The stream owns them from now on. Default: none. */
  body?: Uint8Array;
  /** True: nothing follows the head (and the body, if there is one). Default false. */
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
 * @param replySent settles when the head given to `respond()` has left for the link, or the stream closed before.
 */
export type NewStreamHandler = (stream: Stream, replySent: Promise<void>) => void;

/** One session of the multiplexer on one link (PROTOCOL: `runnel.v2`). */
export interface Connection {
  readonly role: Role;
  /** Resolves when the peer's settings are here. Streams may be created before; their frames wait for it. */
  readonly ready: Promise<void>;
  /** Resolves, never rejects, once the link is gone and every stream was ended. */
  readonly closed: Promise<CloseInfo>;
  /** Streams that are open, or hold bytes, or hold a slot (`Stream.hold`). */
  readonly streams: number;
  /** Those of them that the peer opened. */
  readonly acceptedStreams: number;
  /** Bytes held for all streams, both directions: unsent, unread, taken but not consumed, and header bytes. */
  readonly bufferedBytes: number;
  /** Bytes by which windows have grown out of the connection's budget, and that are not withdrawn. */
  readonly grownBytes: number;
  /** The last measured round trip in milliseconds; 0 before the first. */
  readonly rttMs: number;
  /** True once either side announced that it leaves; `createStream()` then throws. */
  readonly draining: boolean;

  /**
   * Opens a stream. With `{ endStream: true }`, and with a body, everything leaves in one message.
   *
   * @throws {StreamError} `refused` (retryable) above the peer's limit of streams or of waiting header bytes,
   *   `invalid_headers` where the fields cannot be sent.
   * @throws {ConnectionError} `draining` (retryable) after GOAWAY, `closed` after the end.
   */
  createStream(headers: Fields, options?: HeadOptions): Stream;
  /** Measures one round trip in milliseconds. Calls while one is under way share its answer. */
  ping(): Promise<number>;
  /** Closes the connection once it had no stream for `idleTimeoutMs`; 0 (the default) never does. */
  setIdleTimeout(idleTimeoutMs: number): void;
  /** Finish, then leave: no new streams, those open end in their own time, then the link closes with 1001. */
  drain(): Promise<CloseInfo>;
  /** Leave now: open streams are reset. `code` defaults to `NO_ERROR`. */
  close(code?: number, reason?: string): void;
}

/** Calls of the lean face, all outside any call of the stream's own methods. */
export interface StreamHandlers {
  /** The peer's head (only where this side opened the stream). */
  onResponse?(fields: Fields): void;
  /** A head before the head: the peer's `inform()`. Dropped where nobody listens. */
  onInform?(fields: Fields): void;
  /** Bytes or the end came in: `read()`, `takeWhole()` or `readEnded` have news. */
  onReadable?(): void;
  /** After a `send()` that returned false: everything given so far has left. */
  onWritable?(): void;
  /** The peer takes no more bytes of ours; this direction is over, the other one goes on. */
  onStop?(code: number): void;
  /** Both directions are over and everything was consumed, or the stream broke. Exactly once, the last call. */
  onClose?(error: StreamError | null): void;
}

/** The lean face: chunks without copies, credit by hand, calls instead of promises. */
export interface ByteStream {
  handlers: StreamHandlers;
  /** Why the stream broke; null while it has not. */
  readonly error: StreamError | null;

  /**
   * Sends bytes, which the stream owns from now on, without a copy. `end` ends this direction; `bytes` may be empty
   * then. Returns false when the sender should wait for `onWritable`: more than the window, or 64 KiB, waits. Ignored
   * after the peer's `stopSending()`, a reset, or the connection's end.
   *
   * @throws {StreamError} `invalid_state` before the head and after the end.
   */
  send(bytes: Uint8Array, end: boolean): boolean;
  /** Bytes given and not yet on the link. */
  readonly unsentBytes: number;
  /** True once this direction was ended, by `send()` or trailers, or broke. */
  readonly sendEnded: boolean;

  /**
   * The next waiting chunk, or null where none waits. It may be a view of a larger buffer and must not be altered. Its
   * credit stays with the reader until `consume()`.
   */
  read(): Uint8Array | null;
  /**
   * As `read()`, for a chunk that is passed on once, to another stream's `send()`: its memory is then freed as soon as
   * it has left. It must not be used afterwards.
   */
  take(): Uint8Array | null;
  /** Gives credit back for bytes of `read()` and `take()`, once their receiver has taken them. */
  consume(bytes: number): void;
  /**
   * The whole body at once where its end is already here, else null. To be passed on once, as with `take()`. Its credit
   * goes back by itself.
   */
  takeWhole(): Uint8Array | null;
  /** Bytes that `read()` would give. */
  readonly readableBytes: number;
  /** True once the peer ended its direction cleanly and everything before was read. */
  readonly readEnded: boolean;
  /** Why the peer's direction broke off; null while it has not. Ours may go on, unless `error` is set, too. */
  readonly readError: StreamError | null;
  /** The peer's trailers; empty until its end is here, and where there are none. */
  readonly trailerFields: Fields;
}

/** One bidirectional byte stream with headers on a connection. */
export interface Stream extends ByteStream {
  /** Unique on the connection, never used again. */
  readonly id: number;
  /** The fields that opened the stream, whichever side did. */
  readonly headers: Fields;
  /** True where the peer opened it: then it waits for `respond()`. */
  readonly accepted: boolean;
  /** Bytes held for this stream; see `Connection.bufferedBytes`. */
  readonly bufferedBytes: number;

  /** The peer's bytes, read as they are pulled (high-water mark 0). Chunks own their buffer. Errors when it breaks. */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * Bytes for the peer. Chunks are copied, so that the writer may use its buffer again. A write resolves once the
   * bytes are on their way or in the stream's bounded queue. Aborting resets this direction alone.
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

  /**
   * Sends the head of the answer (only where the peer opened the stream, once).
   *
   * @throws {StreamError} `invalid_state` where there is nothing to answer, `invalid_headers`.
   */
  respond(fields: Fields, options?: HeadOptions): void;
  /** Sends a head before the head; any number before `respond()`. Dropped where header bytes pile up. */
  inform(fields: Fields): void;
  /** Ends this direction with trailers, behind all bytes given before. */
  sendTrailers(fields: Fields): void;
  /** Asks the peer to send no more bytes, and throws away those that still come. This side's sending goes on. */
  stopSending(code?: number): void;
  /** Breaks both directions at once. Unsent and unread bytes are dropped. `code` defaults to `CANCEL`. */
  reset(code?: number): void;
  /** Breaks this side's sending alone; reading goes on. `code` defaults to `CANCEL`. */
  resetSending(code?: number): void;
  /**
   * Keeps the stream's slot, even past its end, until `release()`: an acceptor calls it while resources that the
   * stream caused (an upstream's socket) are not closed yet, so that open-and-reset never outruns them.
   */
  hold(): void;
  release(): void;
}
