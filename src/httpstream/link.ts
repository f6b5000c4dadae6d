/**
 * What the multiplexer asks of whatever carries it: whole binary messages, in order, both ways. A WebSocket is one
 * (`WebSocketLink`); a pair of queues in a test is another.
 *
 * Buffers have one owner at a time. A message belongs to its receiver once `onMessage` is called, and the parts of a
 * message belong to the link once `send` is.
 */
import { release } from "../memory/mod.ts";

/** How a link ended. */
export interface LinkCloseInfo {
  /** The WebSocket close code (RFC 6455 §7.4); 1006 where the link broke without a closing handshake. */
  readonly code: number;
  /** The peer's, or the rule of WebSockets that the peer broke. */
  readonly reason: string;
  /** True after a closing handshake. */
  readonly clean: boolean;
  /** True where the peer broke a rule of the link, so that no further link will do better. Default false. */
  readonly isViolation?: boolean;
}

/** What a link tells its one owner. No call is made from within a call of the link's own methods. */
export interface LinkHandlers {
  /**
   * One whole message, which belongs to the receiver: the link neither changes nor reuses its bytes, however long the
   * receiver keeps them. The receiver may write into the message. It must not transfer or resize the buffer: the message
   * may be a view of a larger one, whose other bytes are other messages.
   *
   * Messages of a `WebSocketLink` may be reference-counted (src/memory). A receiver that counts, as a `Connection`
   * does, releases each message once, and the memory is freed when all parts are released. A receiver that does not
   * leaves it to the garbage collector.
   */
  onMessage(message: Uint8Array): void;
  /** After a `send()` that returned false: the link takes more. */
  onDrain(): void;
  /**
   * The peer has closed, or broke a rule of the link: no message follows, and none can be sent. `onClose` follows when the
   * socket has closed, which the peer can delay. A link without a closing handshake need not call it.
   */
  onEnd?(info: LinkCloseInfo): void;
  /** Exactly once, the last call. */
  onClose(info: LinkCloseInfo): void;
  /** Any byte came in, also of a message that is not whole yet: the peer lives. */
  onBytes?(): void;
}

/** Of a link that was given up: nothing that it still brings is taken. */
export const deafHandlers: LinkHandlers = { onMessage: (message) => void release(message), onDrain() {}, onClose() {} };

/** A message that has left, until it is released: a link that is lost may have taken it along. */
export interface KeptMessage {
  /** The message, in memory of its own. */
  read(): Uint8Array;
  /** It is not needed any more. Once. */
  release(): void;
}

/** One that a link keeps. */
export interface SentMessage extends KeptMessage {
  /** False where the sender should wait for `onDrain` before it sends more. */
  readonly isReady: boolean;
}

/** A link. Reading is never paused: credit bounds what comes. */
export interface Link {
  /** To be set right after the link is made: calls may begin with the next microtask. */
  handlers: LinkHandlers;
  /** This end's IP address; null where there is none. */
  readonly localAddress: string | null;
  /** Bytes given to `send()` that have not left this process. */
  readonly bufferedBytes: number;
  /**
   * Sends the parts, one after the other, as one message. They belong to the link: the caller neither changes nor uses
   * them afterwards. The link reads them until they have left, and never changes their bytes. Where a part is
   * reference-counted (src/memory), the link releases it, and it may be empty then.
   *
   * Returns false when the sender should wait for `onDrain` before it sends more; the message is taken in either case.
   * After a close it is dropped.
   */
  send(parts: readonly Uint8Array[]): boolean;
  /**
   * Sends as `send()` does, and keeps the message: for a link that copies what it sends, and can keep the copy. Null where
   * it cannot: then nothing was sent, and the parts are still the caller's.
   */
  sendKept?(parts: readonly Uint8Array[]): SentMessage | null;
  /** Sends what was given to `send()` now, and not at the end of the event-loop tick. */
  flush(): void;
  /** Begins the closing handshake behind what was sent. A second call does nothing. */
  close(code: number, reason: string): void;
  /** Drops what waits and breaks the link at once. `onClose` follows, with 1006. */
  abort(): void;
}

/** A close frame takes 123 bytes of reason (RFC 6455 §5.5). */
const CLOSE_REASON_BYTES = 120;

/** What a close frame can hold of the reason. The GOAWAY has it whole. */
export function closeReason(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, "?").slice(0, CLOSE_REASON_BYTES);
}
