/**
 * The encrypted side of a TLS connection: what the runtime's TLS reads and writes in place of a socket of its own. It
 * passes everything on at once, because the runtimes differ in which of their streams respects backpressure:
 * `TlsSocket` pauses the socket itself.
 */
import { Duplex } from "node:stream";
import { count, disown, release } from "../../memory/mod.ts";
import type { Socket } from "../socket.ts";

/** Deno's TLS cuts a frame of 57 KiB into 48 and 9. What is shorter is left to the collector: small requests. */
const LEAST_COUNTED_BYTES = 4 * 1024;
/** Never reached, so that the stream itself never applies backpressure. */
const HIGH_WATER_BYTES = 2 ** 30;

export class CipherStream extends Duplex {
  readonly #socket: Socket;
  #hasSent = false;

  constructor(socket: Socket) {
    // The end of this stream is not the end of the socket: `TlsSocket` ends or resets that.
    super({
      allowHalfOpen: true,
      emitClose: false,
      readableHighWaterMark: HIGH_WATER_BYTES,
      writableHighWaterMark: HIGH_WATER_BYTES,
    });
    this.#socket = socket;
  }

  /** Whether the runtime's TLS has sent anything: the hello of its end, or an alert. */
  get hasSent(): boolean {
    return this.#hasSent;
  }

  /** Takes bytes that arrived from the peer, and their reference. */
  receive(bytes: Uint8Array): void {
    this.push(bytes);
    // The runtime's TLS copies what it is given, as soon as it is. What waits in this stream, it has not got yet.
    if (this.readableLength === 0) release(bytes);
    else disown(bytes);
  }

  override _read(): void {}

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    this.#hasSent = true;
    // Made for this call, so that nobody else has the buffer.
    this.#socket.write(count(bytes, false, LEAST_COUNTED_BYTES));
    done();
  }
}
