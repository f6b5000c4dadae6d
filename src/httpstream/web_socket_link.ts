/** A WebSocket as a link: binary messages alone, each of at most 256 KiB (docs/protocol.md). */
import type { Socket } from "../net/mod.ts";
import {
  type WebSocketClose,
  WebSocketConnection,
  type WebSocketOptions,
  WebSocketProtocolError,
} from "../websocket/mod.ts";
import type { Link, LinkCloseInfo, LinkHandlers, SentMessage } from "./link.ts";
import { MAX_MESSAGE_BYTES } from "./wire/mod.ts";

const noHandlers: LinkHandlers = { onMessage() {}, onDrain() {}, onClose() {} };

export class WebSocketLink implements Link {
  handlers: LinkHandlers = noHandlers;
  readonly localAddress: string | null;
  readonly #webSocket: WebSocketConnection;

  /** Takes over a socket whose handshake is done. `handlers` must be set at once: see `Link`. */
  constructor(socket: Socket, options: Pick<WebSocketOptions, "role" | "rest" | "clock">) {
    this.localAddress = socket.local.kind === "tcp" ? socket.local.host : null;
    this.#webSocket = new WebSocketConnection(socket, {
      ...options,
      accept: "binary",
      maxMessageBytes: MAX_MESSAGE_BYTES,
      handlers: {
        onMessage: (data) => this.handlers.onMessage(data as Uint8Array),
        onBytes: () => this.handlers.onBytes?.(),
        onDrain: () => this.handlers.onDrain(),
        onEnd: (close) => this.handlers.onEnd?.(infoOf(close)),
        onClose: (close) => this.handlers.onClose(infoOf(close)),
      },
    });
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedBytes;
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#webSocket.sendBinary(parts);
  }

  sendKept(parts: readonly Uint8Array[]): SentMessage | null {
    return this.#webSocket.sendKept(parts);
  }

  flush(): void {
    this.#webSocket.flush();
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
  }

  abort(): void {
    this.#webSocket.abort();
  }
}

/** Where the peer broke a rule of WebSocket, the reason says which. */
function infoOf({ code, reason, clean, error }: WebSocketClose): LinkCloseInfo {
  if (!(error instanceof WebSocketProtocolError)) return { code, reason, clean };
  return { code, reason: error.reason, clean, isViolation: true };
}
