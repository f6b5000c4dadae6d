/**
 * The encrypted side of a TLS connection: what the runtime's TLS reads and writes instead of a socket of its own.
 * Everything passes at once and nothing is held back here, because the runtimes differ in which of the two ends heeds
 * backpressure; `TlsSocket` pauses the socket itself.
 */
import { Duplex } from "node:stream";
import type { Socket } from "../socket.ts";

/** No stream's own bookkeeping comes into play below this. */
const NEVER_FULL_BYTES = 2 ** 30;

export class CipherStream extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    // Whoever closes this stream has closed nothing yet: the socket is `TlsSocket`'s to end or to reset.
    super({
      allowHalfOpen: true,
      emitClose: false,
      readableHighWaterMark: NEVER_FULL_BYTES,
      writableHighWaterMark: NEVER_FULL_BYTES,
    });
    this.#socket = socket;
  }

  /** What came from the peer. */
  receive(bytes: Uint8Array): void {
    this.push(bytes);
  }

  override _read(): void {}

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    this.#socket.write(bytes);
    done();
  }
}
