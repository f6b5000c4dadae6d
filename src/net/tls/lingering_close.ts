/**
 * The end of a connection whose last bytes the peer should still read. To close while bytes of the peer are unread is to
 * reset, and a reset can overtake what was sent (RFC 9112 §9.6).
 */
import { type Clock, Timeout } from "../../base/mod.ts";
import { release } from "../../memory/mod.ts";
import type { Socket, SocketHandlers } from "../socket.ts";

const LINGER_MS = 1_000;
const LINGER_BYTES = 64 * 1024;

/**
 * Ends `socket` behind what was written, and discards what the peer sends, until it ends, too: for a second, and 64 KiB.
 * Then `socket` is reset. `onClosed` is called once, at the close.
 */
export function closeLingering(socket: Socket, clock: Clock, onClosed: () => void): void {
  if (socket.closed) return onClosed();
  socket.handlers = new Lingering(socket, clock, onClosed);
  socket.end();
  socket.resume();
}

class Lingering implements SocketHandlers {
  readonly #socket: Socket;
  readonly #timeout: Timeout;
  readonly #onClosed: () => void;
  #bytes = 0;

  constructor(socket: Socket, clock: Clock, onClosed: () => void) {
    this.#socket = socket;
    this.#onClosed = onClosed;
    this.#timeout = new Timeout(clock, () => socket.reset());
    this.#timeout.start(LINGER_MS);
  }

  onData(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    release(chunk);
    if (this.#bytes > LINGER_BYTES) this.#socket.reset();
  }

  onEnd(): void {}
  onDrain(): void {}

  onClose(): void {
    this.#timeout.close();
    this.#onClosed();
  }
}
