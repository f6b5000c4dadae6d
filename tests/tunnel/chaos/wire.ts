/** A plain socket of `node:net`, read and written step by step: what visitors and the upstream of a chaos run stand on. */
import { Buffer } from "node:buffer";
import * as net from "node:net";

/** Read ahead before the socket is paused. */
const HELD_BYTES = 256 * 1024;

export class Wire {
  readonly #socket: net.Socket;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #hasEnded = false;
  #error: Error | null = null;
  #wakers: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
      if (this.#held > HELD_BYTES) socket.pause();
      this.#wake();
    });
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    socket.on("error", (error) => {
      this.#error ??= error;
      this.#wake();
    });
    socket.on("close", () => {
      if (!this.#hasEnded) this.#error ??= new Error("the connection was closed without a FIN");
      this.#wake();
    });
    socket.on("drain", () => this.#wake());
  }

  static dial(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Wire(socket));
      });
    });
  }

  /** The next bytes, `most` at most; null behind the peer's FIN. Rejects where the connection broke. */
  async read(most = Infinity): Promise<Uint8Array | null> {
    while (this.#chunks.length === 0) {
      if (this.#error !== null) throw this.#error;
      if (this.#hasEnded) return null;
      await this.#event();
    }
    const first = this.#chunks[0]!;
    const taken = first.length <= most ? first : first.subarray(0, most);
    if (taken === first) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(most);
    this.#held -= taken.length;
    if (this.#held <= HELD_BYTES) this.#socket.resume();
    return taken;
  }

  /** The text up to and with `end`, in Latin-1. */
  async readUntil(end: string): Promise<string> {
    for (let text = "";;) {
      const chunk = await this.read();
      if (chunk === null) throw new Error(`the connection ended within ${JSON.stringify(text.slice(0, 200))}`);
      const before = text.length;
      text += Buffer.from(chunk).toString("latin1");
      const at = text.indexOf(end);
      if (at < 0) continue;
      const length = at + end.length;
      if (length < text.length) this.#putBack(chunk.subarray(length - before));
      return text.slice(0, length);
    }
  }

  /** A head with its empty line; null where the connection ends before it. */
  async readHead(): Promise<string | null> {
    const first = await this.read();
    if (first === null) return null;
    this.#putBack(first);
    return await this.readUntil("\r\n\r\n");
  }

  /** Calls `take` with the next `bytes`, piece by piece. */
  async readExactly(bytes: number, take: (piece: Uint8Array) => void = () => {}): Promise<void> {
    for (let left = bytes; left > 0;) {
      const piece = await this.read(left);
      if (piece === null) throw new Error(`the connection ended ${left} of ${bytes} bytes too early`);
      left -= piece.length;
      take(piece);
    }
  }

  /** Resolves when more can be written. Rejects where the connection broke. */
  async write(bytes: string | Uint8Array): Promise<void> {
    if (this.#error !== null) throw this.#error;
    this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    while (this.#socket.writableNeedDrain) {
      if (this.#error !== null) throw this.#error;
      await this.#event();
    }
  }

  /** FIN behind what was written. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #putBack(bytes: Uint8Array): void {
    this.#chunks.unshift(bytes);
    this.#held += bytes.length;
  }

  #event(): Promise<void> {
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
