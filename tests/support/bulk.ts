/** An upstream with more to say than a slow client takes at once, and that client. */
import { Buffer } from "node:buffer";
import process from "node:process";
import type { Socket, SocketError, SocketHandlers } from "../../src/net/mod.ts";
import { patternBytes } from "./net.ts";
import { getRequest, type PublicTunnel, send } from "./public_client.ts";
import { type ScriptedPeer, ScriptedServer } from "./scripted_server.ts";

export const megabyte = 1_000_000;
const isSoak = process.env.RUNNEL_SOAK === "1";
/** The promise is 1 MB/s, which takes a minute; a faster client shows the same in 4 s. */
const bytesPerSecond = isSoak ? megabyte : 16 * megabyte;

const block = patternBytes(64 * 1024);
const greatBytes = 64 * 1024 * 1024;
const endlessBytes = 512 * 1024 * 1024;

async function sendBlocks(peer: ScriptedPeer, total: number): Promise<void> {
  for (let sent = 0; sent < total && !peer.closed && !peer.reset; sent += block.length) await peer.send(block);
}

/** /great is 64 MB, /endless 512 MB of a pattern, as fast as they are taken; /open begins and says no more; the rest is "ok". */
export function startBulkUpstream(): Promise<ScriptedServer> {
  return ScriptedServer.start(serve);
}

async function serve(peer: ScriptedPeer): Promise<void> {
  void peer.gone().then(() => peer.end());
  for (;;) {
    const head = await peer.readHead();
    const size = head.includes(" /great ") ? greatBytes : head.includes(" /endless ") ? endlessBytes : 0;
    if (head.includes(" /open ")) peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    else if (size === 0) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else {
      peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      await sendBlocks(peer, size);
    }
  }
}

/** Reads at a rate, whatever the wire could give, and checks each byte against the pattern. */
class PacedReader implements SocketHandlers {
  receivedBytes = 0;
  readonly over: Promise<void>;
  readonly #socket: Socket;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  readonly #startedAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(socket: Socket, readonly wantedBytes: number) {
    this.#socket = socket;
    this.over = new Promise((resolve, reject) => this.#settle = { resolve, reject });
    socket.handlers = this;
    socket.resume();
  }

  onData(chunk: Uint8Array): void {
    this.#check(chunk);
    if (this.receivedBytes === this.wantedBytes) return this.#settle.resolve();
    const dueMs = this.#startedAt + (this.receivedBytes / bytesPerSecond) * 1_000 - performance.now();
    if (dueMs < 20) return;
    this.#socket.pause();
    this.#timer = setTimeout(() => this.#socket.resume(), dueMs);
  }

  onEnd(): void {
    this.#settle.reject(new Error(`ended after ${this.receivedBytes} bytes`));
  }

  onDrain(): void {}

  onClose(error: SocketError | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#settle.reject(error ?? new Error(`closed after ${this.receivedBytes} bytes`));
  }

  #check(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const from = this.receivedBytes % block.length;
      const count = Math.min(chunk.length - at, block.length - from);
      if (!equal(chunk.subarray(at, at + count), block.subarray(from, from + count))) {
        this.#settle.reject(new Error(`a wrong byte within ${count} of ${this.receivedBytes}`));
      }
      at += count;
      this.receivedBytes += count;
    }
  }
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** Reads /great at the slow client's rate; resolves when every byte has come, in order. */
export async function readGreatSlowly(tunnel: PublicTunnel): Promise<void> {
  const client = await send(tunnel, getRequest(tunnel, "/great"));
  const head = await client.readUntil("\r\n\r\n");
  const first = await client.read(client.receivedBytes - head.length);
  const reader = new PacedReader(client.socket, greatBytes);
  if (first.length > 0) reader.onData(first);
  try {
    await reader.over;
  } finally {
    client.socket.reset();
  }
}
