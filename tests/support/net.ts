/** What tests of sockets and of everything on them share. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import {
  dial,
  listen,
  type Listener,
  runtimeName,
  type Socket,
  type SocketError,
  type SocketHandlers,
} from "../../src/net/mod.ts";
import type { TcpTarget } from "../../src/net/socket.ts";

/** The reason to skip a test that needs `::1`; false where the machine has it. */
export const missingIPv6: string | false = await listen({ kind: "tcp", host: "::1", port: 0 }, () => {}).then(
  (listener) => listener.close().then(() => false as const),
  () => "this machine has no IPv6",
);

export interface TcpServer {
  readonly listener: Listener;
  readonly port: number;
  readonly target: TcpTarget;
  /** Every socket accepted so far. */
  readonly sockets: readonly Socket[];
  /** Stops listening and resets every socket that is still open. */
  close(): Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function startTcpServer(onSocket: (socket: Socket) => void = () => {}): Promise<TcpServer> {
  const sockets: Socket[] = [];
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => {
    sockets.push(socket);
    onSocket(socket);
  });
  const port = listener.address.port;
  return {
    listener,
    port,
    target: { kind: "tcp", host: "127.0.0.1", port },
    sockets,
    async close() {
      await listener.close();
      for (const socket of sockets) socket.reset();
    },
  };
}

/** A port of 127.0.0.1 on which nobody listens just now, for a program that must be told one. */
export async function freePort(): Promise<number> {
  const server = await startTcpServer();
  await server.close();
  return server.port;
}

/** The two ends of one loopback connection, both paused: `[dialed, accepted]`. The test resets or ends them. */
export async function connectPair(): Promise<[Socket, Socket]> {
  let accept: (socket: Socket) => void = () => {};
  const accepted = new Promise<Socket>((resolve) => accept = resolve);
  const server = await startTcpServer((socket) => accept(socket));
  try {
    return [await dial(server.target), await accepted];
  } finally {
    await server.listener.close();
  }
}

/**
 * Takes a socket over and collects what it tells. Begins reading at once (`{ paused: true }` leaves that to
 * `socket.resume()`).
 */
export class SocketReader implements SocketHandlers {
  readonly socket: Socket;
  /** Resolves at the peer's FIN; rejects where the socket closes without one. */
  readonly ended: Promise<void>;
  /** Resolves with what `onClose` was called with. */
  readonly closed: Promise<SocketError | null>;
  /** How often `onDrain` was called, and the lengths of the chunks that came. */
  drains = 0;
  readonly chunkLengths: number[] = [];
  receivedBytes = 0;
  sawEnd = false;
  sawClose = false;

  #chunks: Uint8Array[] = [];
  #waiters: (() => void)[] = [];
  #resolveEnded!: () => void;
  #rejectEnded!: (error: Error) => void;
  #resolveClosed!: (error: SocketError | null) => void;

  constructor(socket: Socket, options: { paused?: boolean } = {}) {
    this.socket = socket;
    this.ended = new Promise((resolve, reject) => {
      this.#resolveEnded = resolve;
      this.#rejectEnded = reject;
    });
    // A test that never asks for the FIN is not failed by its absence.
    this.ended.catch(() => {});
    this.closed = new Promise((resolve) => this.#resolveClosed = resolve);
    socket.handlers = this;
    if (!options.paused) socket.resume();
  }

  /** The next `count` bytes; rejects where the socket ends before. */
  async read(count: number): Promise<Uint8Array> {
    await this.#until(() => this.#available() >= count, `${count} bytes`);
    return this.#take(count);
  }

  /** The bytes up to and with the first `text` (Latin-1), as a Latin-1 string. */
  async readUntil(text: string): Promise<string> {
    const end = () => {
      const at = latin1(this.#join()).indexOf(text);
      return at < 0 ? -1 : at + text.length;
    };
    await this.#until(() => end() >= 0, JSON.stringify(text));
    return latin1(this.#take(end()));
  }

  /** Everything up to the peer's FIN; rejects after a reset. */
  async readAll(): Promise<Uint8Array> {
    await this.ended;
    return this.#take(this.#available());
  }

  onData(chunk: Uint8Array): void {
    this.chunkLengths.push(chunk.length);
    this.receivedBytes += chunk.length;
    this.#chunks.push(chunk);
    this.#wake();
  }

  onEnd(): void {
    this.sawEnd = true;
    this.#resolveEnded();
    this.#wake();
  }

  onDrain(): void {
    this.drains++;
    this.#wake();
  }

  onClose(error: SocketError | null): void {
    this.sawClose = true;
    this.#rejectEnded(error ?? new Error("closed without a FIN"));
    this.#resolveClosed(error);
    this.#wake();
  }

  async #until(condition: () => boolean, wanted: string): Promise<void> {
    while (!condition()) {
      if (this.sawEnd || this.sawClose) {
        const got = JSON.stringify(latin1(this.#join()).slice(0, 200));
        throw new Error(`the socket ended before ${wanted} came, after ${got}`);
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #available(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  #join(): Uint8Array {
    if (this.#chunks.length !== 1) {
      const whole = new Uint8Array(this.#available());
      let at = 0;
      for (const chunk of this.#chunks) {
        whole.set(chunk, at);
        at += chunk.length;
      }
      this.#chunks = [whole];
    }
    return this.#chunks[0];
  }

  #take(count: number): Uint8Array {
    const whole = this.#join();
    this.#chunks = [whole.subarray(count)];
    return whole.subarray(0, count);
  }
}

export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The bytes of a string of code points up to 0xFF. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/**
 * Resolves once `condition()` holds; looks at it again every few milliseconds. Rejects after `deadlineMs` (30,000), which
 * only a failing test meets: a busy machine may take long for what takes milliseconds.
 */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  options: { deadlineMs?: number; message?: string } = {},
): Promise<void> {
  const { deadlineMs = 30_000, message = String(condition) } = options;
  const deadline = performance.now() + deadlineMs;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${message}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The value of `read()` once it has not changed for 200 ms. */
export async function steady(read: () => number): Promise<number> {
  let value = read();
  let since = performance.now();
  await eventually(() => {
    if (read() !== value) {
      value = read();
      since = performance.now();
    }
    return performance.now() - since > 200;
  });
  return value;
}

/** `length` bytes that repeat only after a long while, so that a lost, doubled or moved one shows. */
export function patternBytes(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed) & 0xff;
  return bytes;
}

/**
 * Writes chunks of 64 KiB as the socket asks for them, until it has asked for none through 50 looks in a row: the
 * peer reads no more and the kernel's buffers are full. Resolves with the bytes that the kernel took.
 */
export async function fillUntilStalled(socket: Socket, limitBytes = 1 << 30): Promise<number> {
  const chunk = new Uint8Array(64 * 1024);
  const { handlers } = socket;
  let written = 0;
  let quietLooks = 0;
  const fill = () => {
    quietLooks = 0;
    for (let more = true; more && written < limitBytes; written += chunk.length) more = socket.write(chunk);
  };
  socket.handlers = { ...delegating(handlers), onDrain: fill };
  fill();
  await eventually(() => socket.bufferedBytes > 0 && ++quietLooks > 50);
  socket.handlers = handlers;
  return written - socket.bufferedBytes;
}

function delegating(handlers: SocketHandlers): SocketHandlers {
  return {
    onData: (chunk) => handlers.onData(chunk),
    onEnd: () => handlers.onEnd(),
    onDrain: () => handlers.onDrain(),
    onClose: (error) => handlers.onClose(error),
  };
}

const temporaryFolders: string[] = [];

/**
 * A path for `name` in a new folder, with a file of `content` where that is given. The test file that asks removes the
 * folders in the end: `after(removeTemporaryFolders)`.
 */
export async function temporaryPath(name: string, content?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "net-"));
  temporaryFolders.push(folder);
  const path = join(folder, name);
  if (content !== undefined) await writeFile(path, content);
  return path;
}

export async function removeTemporaryFolders(): Promise<void> {
  for (const folder of temporaryFolders.splice(0)) await rm(folder, { recursive: true, force: true });
}

/** How `spawn` starts a program of the repository on the runtime of this test: command and arguments. */
export function programCommand(file: string, ...args: string[]): [string, string[]] {
  const path = new URL(`../../${file}`, import.meta.url).pathname;
  const run = runtimeName === "deno" ? ["run", "-A", "--no-check", path] : [path];
  return [process.execPath, [...run, ...args]];
}

/** How many descriptors this process has open; null where the system does not tell. */
export function openDescriptors(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}

/** The descriptor on which this process listens on `port` (IPv4); null where the system does not tell. */
export function listeningDescriptor(port: number): number | null {
  try {
    const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
    const rows = readFileSync("/proc/net/tcp", "latin1").split("\n").map((row) => row.trim().split(/\s+/));
    const inode = rows.find((row) => row[1]?.endsWith(`:${hexPort}`) && row[3] === "0A")?.[9];
    for (const fd of readdirSync("/proc/self/fd")) {
      if (descriptorTarget(fd) === `socket:[${inode}]`) return Number(fd);
    }
    return null;
  } catch {
    return null;
  }
}

/** Empty for the descriptor that listed the folder, which is gone by now. */
function descriptorTarget(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
