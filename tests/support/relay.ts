/** A relay between two ends: it passes the bytes of each connection on, until the test cuts or freezes it. */
import { dial, type DialTarget, type Socket } from "../../src/net/mod.ts";
import { startTcpServer, type TcpServer } from "./net.ts";

export class Relay {
  readonly #server: TcpServer;
  readonly #sockets = new Set<Socket>();
  #isBlocked = false;

  private constructor(server: TcpServer) {
    this.#server = server;
  }

  /** Listens on a free port of 127.0.0.1; each connection is passed on to `target`, and reset where that cannot be dialed. */
  static async start(target: DialTarget): Promise<Relay> {
    const server = await startTcpServer((socket) => void relay.#join(socket, target));
    const relay = new Relay(server);
    return relay;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Connections that are open at both ends. */
  get open(): number {
    return this.#sockets.size / 2;
  }

  /** Resets every connection at both ends. */
  cut(): void {
    for (const socket of this.#sockets) socket.reset();
    this.#sockets.clear();
  }

  /** Resets every connection, and refuses further ones until `unblock()`. */
  block(): void {
    this.#isBlocked = true;
    this.cut();
  }

  unblock(): void {
    this.#isBlocked = false;
  }

  /** Stops passing bytes on, in both directions; the connections stay open. */
  freeze(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  async close(): Promise<void> {
    this.cut();
    await this.#server.close();
  }

  async #join(near: Socket, target: DialTarget): Promise<void> {
    if (this.#isBlocked) return near.reset();
    let far: Socket;
    try {
      far = await dial(target);
    } catch {
      return near.reset();
    }
    if (this.#isBlocked) {
      far.reset();
      return near.reset();
    }
    this.#pass(near, far);
    this.#pass(far, near);
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.handlers = {
      onData: (chunk) => {
        if (!to.write(chunk)) from.pause();
      },
      onEnd: () => to.end(),
      onDrain: () => to.resume(),
      onClose: (error) => {
        this.#sockets.delete(from);
        if (error !== null) to.reset();
      },
    };
    from.resume();
  }
}
