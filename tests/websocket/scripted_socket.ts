/** A socket without a network: the test says what comes in and sees what goes out. */
import type { Socket, SocketAddress, SocketError, SocketHandlers } from "../../src/net/mod.ts";
import { WebSocketConnection, type WebSocketOptions } from "../../src/websocket/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { joinBytes, Recorder } from "./support.ts";

const ADDRESS: SocketAddress = { kind: "unix", host: "scripted", port: 0 };

export class ScriptedSocket implements Socket {
  handlers: SocketHandlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  readonly local = ADDRESS;
  readonly remote = ADDRESS;
  /** What was written, write by write. */
  readonly written: Uint8Array[] = [];
  /** What `write()` returns. */
  writable = true;
  paused = true;
  ended = false;
  wasReset = false;
  closed = false;
  readonly unreadBytes = 0;

  get bufferedBytes(): number {
    return this.writable ? 0 : this.output.length;
  }

  get output(): Uint8Array {
    return joinBytes(this.written);
  }

  write(bytes: Uint8Array): boolean {
    if (this.ended || this.closed) return true;
    this.written.push(bytes.slice());
    return this.writable;
  }

  flush(): void {}

  end(): void {
    this.ended = true;
  }

  reset(): void {
    if (this.closed) return;
    this.wasReset = true;
    this.closed = true;
    queueMicrotask(() => this.handlers.onClose(null));
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The peer's bytes. */
  feed(bytes: Uint8Array): void {
    if (this.paused) throw new Error("the socket is paused: nothing would be read");
    if (!this.closed) this.handlers.onData(bytes);
  }

  /** The peer's FIN. */
  feedEnd(): void {
    this.handlers.onEnd();
  }

  drain(): void {
    this.writable = true;
    this.handlers.onDrain();
  }

  /** Both directions are over. */
  close(error: SocketError | null = null): void {
    this.closed = true;
    this.handlers.onClose(error);
  }
}

/** A connection on a scripted socket that reads already. */
export async function scripted(options: Partial<WebSocketOptions> = {}) {
  const socket = new ScriptedSocket();
  const recorder = new Recorder();
  const clock = new FakeClock();
  const connection = new WebSocketConnection(socket, { role: "server", handlers: recorder, clock, ...options });
  await eventually(() => !socket.paused);
  return { socket, recorder, clock, connection };
}

/** Runs what was scheduled as a microtask. */
export async function nextMicrotask(): Promise<void> {
  await new Promise<void>((resolve) => queueMicrotask(resolve));
}
