/**
 * An HTTP upstream that does exactly what a test tells it, byte for byte, the wrong things included. It stands on
 * `node:net` alone, so that what it proves does not lean on the code under test.
 *
 *     const server = await ScriptedServer.start(async (peer) => {
 *       assert.equal(await peer.readHead(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
 *       peer.send("HTTP/1.1 204 No Content\r\n\r\n");
 *     });
 */
import * as net from "node:net";
import type { DialTarget } from "../../src/net/mod.ts";

/** What a peer's reads reject with when the connection is over: the usual end of a script that reads in a loop. */
export class PeerGone extends Error {}

/** Serves one connection. Its errors (but `PeerGone`) come out of `ScriptedServer.close()`. */
export type Script = (peer: ScriptedPeer) => void | Promise<void>;

/** The upstream's end of one connection. Bytes are shown as Latin-1 strings. */
export class ScriptedPeer {
  /** Everything that came on this connection, also what was read already. */
  received = "";
  /** True once the other side's FIN came; `reset` once its RST did. */
  ended = false;
  reset = false;
  closed = false;
  /** Bytes that `send()` was given and the system has taken. */
  sentBytes = 0;
  /** Bytes that came, kept or not. */
  receivedBytes = 0;
  /** 0 for the server's first connection. */
  readonly index: number;

  readonly #socket: net.Socket;
  #readAt = 0;
  #discards = false;
  #wakers: (() => void)[] = [];

  constructor(socket: net.Socket, index: number) {
    this.#socket = socket;
    this.index = index;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.receivedBytes += chunk.length;
      if (!this.#discards) this.received += Buffer.from(chunk).toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error & { code?: string }) => {
      this.reset ||= error.code === "ECONNRESET" || error.code === "EPIPE";
      this.#wake();
    });
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Up to and with the next empty line. */
  readHead(): Promise<string> {
    return this.readUntil("\r\n\r\n");
  }

  async readUntil(text: string): Promise<string> {
    await this.waitFor(() => this.received.indexOf(text, this.#readAt) >= 0);
    return this.#take(this.received.indexOf(text, this.#readAt) + text.length);
  }

  async read(byteCount: number): Promise<string> {
    await this.waitFor(() => this.received.length - this.#readAt >= byteCount);
    return this.#take(this.#readAt + byteCount);
  }

  /** Resolves once `condition` holds, which is looked at whenever something happens here. */
  async waitFor(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed || this.reset || this.ended) throw new PeerGone(`gone after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Resolves when the other side has sent FIN or RST, or the connection is closed altogether. */
  async gone(): Promise<void> {
    while (!(this.closed || this.reset || this.ended)) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Resolves when the connection is closed in both directions. */
  async whenClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wakers.push(resolve));
  }

  /** Sends now; resolves when the system has taken the bytes. Strings are Latin-1. */
  send(bytes: string | Uint8Array): Promise<void> {
    const buffer = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    return new Promise((resolve) => {
      this.#socket.write(buffer, (error) => {
        if (!error) this.sentBytes += buffer.length;
        resolve();
      });
    });
  }

  /** Bytes that `send()` was given and the system has not taken: grows while the other side does not read. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** FIN. */
  end(): void {
    this.#socket.end();
  }

  /** RST. */
  abort(): void {
    this.#socket.resetAndDestroy();
  }

  /** Counts what comes from now on, and keeps none of it. */
  discard(): void {
    this.#discards = true;
  }

  /** Stops reading, so that the other side's window fills. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #take(end: number): string {
    const text = this.received.slice(this.#readAt, end);
    this.#readAt = end;
    return text;
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

export class ScriptedServer {
  /** 0 for one on a unix socket. */
  readonly port: number;
  readonly target: DialTarget;
  /** Every connection so far, the oldest first. */
  readonly peers: ScriptedPeer[] = [];

  readonly #server: net.Server;
  readonly #script: Script;
  readonly #errors: unknown[] = [];
  #wakers: (() => void)[] = [];

  private constructor(server: net.Server, script: Script) {
    this.#server = server;
    this.#script = script;
    const address = server.address() as net.AddressInfo | string;
    this.port = typeof address === "string" ? 0 : address.port;
    this.target = typeof address === "string"
      ? { kind: "unix", path: address }
      : { kind: "tcp", host: "127.0.0.1", port: this.port };
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Listens on a free port of 127.0.0.1, or on a unix socket, and runs `script` for each connection. */
  static start(script: Script, unixPath?: string): Promise<ScriptedServer> {
    const server = net.createServer({ allowHalfOpen: true });
    return new Promise((resolve, reject) => {
      const onListening = () => resolve(new ScriptedServer(server, script));
      server.once("error", reject);
      if (unixPath === undefined) server.listen(0, "127.0.0.1", onListening);
      else server.listen(unixPath, onListening);
    });
  }

  /** One that answers every request on every connection with the same bytes. */
  static answering(answer: string): Promise<ScriptedServer> {
    return ScriptedServer.start(async (peer) => {
      for (;;) {
        await peer.readHead();
        peer.send(answer);
      }
    });
  }

  /** The connections that are not closed yet. */
  get open(): number {
    return this.peers.filter((peer) => !peer.closed).length;
  }

  /** The connection number `index` (from 0), once it is there. */
  async peer(index: number): Promise<ScriptedPeer> {
    while (this.peers.length <= index) await new Promise<void>((resolve) => this.#wakers.push(resolve));
    return this.peers[index];
  }

  /** Resets what is open and stops listening. Rejects with the first error of a script. */
  async close(): Promise<void> {
    for (const peer of this.peers) if (!peer.closed) peer.abort();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (this.#errors.length > 0) throw this.#errors[0];
  }

  #accept(socket: net.Socket): void {
    const peer = new ScriptedPeer(socket, this.peers.length);
    this.peers.push(peer);
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
    this.#run(peer);
  }

  async #run(peer: ScriptedPeer): Promise<void> {
    try {
      await this.#script(peer);
    } catch (error) {
      if (error instanceof PeerGone) return;
      this.#errors.push(error);
      peer.abort();
    }
  }
}
