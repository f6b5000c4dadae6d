/**
 * What the multiplexer asks of whatever carries it: whole binary messages, in order, both ways. A WebSocket is one; a
 * pair of queues in a test is another.
 */

/** How a link ended. */
export interface LinkCloseInfo {
  /** The WebSocket close code (RFC 6455 §7.4); 1006 where the link broke without a closing handshake. */
  readonly code: number;
  readonly reason: string;
  /** True after a closing handshake. */
  readonly clean: boolean;
}

/** What a link tells its one owner. No call is nested in a call of the link's own methods. */
export interface LinkHandlers {
  /**
   * One whole message. The buffer is the receiver's, to keep for as long as it likes: the link never touches it again.
   * (That of a `WebSocketLink` may have a reference, which a `Connection` releases: see src/memory.)
   */
  onMessage(message: Uint8Array): void;
  /** After a `send()` that returned false: the next message is welcome. */
  onDrain(): void;
  /** Exactly once, the last call. */
  onClose(info: LinkCloseInfo): void;
  /** Any byte came in, also of a message that is not whole yet: the peer lives. */
  onBytes?(): void;
}

/** One WebSocket, seen as messages. Reading is never paused: credit bounds what comes. */
export interface Link {
  handlers: LinkHandlers;
  /** Bytes given to `send()` that have not left this process. */
  readonly bufferedBytes: number;
  /**
   * Sends the parts, one after the other, as one message. The caller does not change or use them afterwards, and the
   * link never changes them. Returns false when the sender should wait for `onDrain` before it sends more bulk; the message is
   * taken in either case. After a close it is dropped.
   */
  send(parts: readonly Uint8Array[]): boolean;
  /** Lets what was sent leave now, and not at the end of the turn. */
  flush(): void;
  /** Begins the closing handshake behind what was sent. A second call does nothing. */
  close(code: number, reason: string): void;
  /** Drops everything and severs the link at once. */
  abort(): void;
}
