import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { dial, type DialTarget, type Socket } from "../../src/net/mod.ts";
import { eventually, fillUntilStalled, programCommand, SocketReader, startTcpServer } from "../support/net.ts";
import { startTlsServer, transports } from "../support/tls.ts";

const MB = 1 << 20;
const soak = process.env.RUNNEL_SOAK === "1";

for (const transport of transports) {
  describe(`Socket.pause (${transport.name})`, () => {
    for (const side of ["dialed", "accepted"]) {
      it(`leaves the bytes in the kernel, so that the sender stops (${side} end reads)`, async () => {
        const pair = await transport.pair();
        const [reading, writing] = side === "dialed" ? pair : pair.toReversed();
        const reader = new SocketReader(reading, { paused: true });
        const filler = new Filler(writing);
        /** What neither the kernel nor the reader has: this process holds it. */
        const held = () =>
          filler.takenBytes - reader.receivedBytes - (kernelBytes(reading, writing) ?? filler.takenBytes);
        for (let round = 0; round < 3; round++) {
          await filler.stalled();
          await eventually(() => held() <= READ_BYTES, { message: `${held()} bytes were read while paused` });
          const received = reader.receivedBytes;
          assert.ok(round > 0 || received === 0, "data came before resume()");
          reading.resume();
          await eventually(() => reader.receivedBytes > received + MB);
          reading.pause();
          const paused = reader.receivedBytes;
          await filler.stalled();
          assert.ok(reader.receivedBytes <= paused + READ_BYTES, "data came after pause()");
        }
        reading.reset();
        writing.reset();
      });
    }

    it("loses and doubles nothing over many pauses", async () => {
      const [writing, reading] = await transport.pair();
      const size = 8 * MB;
      const reader = new PausingReader(reading);
      let written = 0;
      const chunk = new Uint8Array(50_000);
      const fill = () => {
        while (written < size) {
          for (let i = 0; i < chunk.length; i += 4) new DataView(chunk.buffer).setUint32(i, written + i);
          written += chunk.length;
          if (!writing.write(chunk.slice())) return;
        }
        writing.end();
      };
      writing.handlers = { onData() {}, onEnd() {}, onDrain: fill, onClose() {} };
      fill();
      await eventually(() => reader.ended);
      assert.equal(reader.bytes, written);
      assert.equal(reader.pauses, 8);
      writing.reset();
      reading.reset();
    });
  });
}

/** One read of the runtime, 512 KiB on Bun, which may be under way when the socket is paused, and what TLS has of it. */
const READ_BYTES = (512 + 64) * 1024;

/** Writes without end, as the socket asks for it. */
class Filler {
  readonly #socket: Socket;
  readonly #chunk = new Uint8Array(64 * 1024);
  #written = 0;
  #drains = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.handlers = { onData() {}, onEnd() {}, onDrain: () => this.#fill(), onClose() {} };
    this.#fill();
  }

  /** What the kernel has taken, sent or not. */
  get takenBytes(): number {
    return this.#written - this.#socket.bufferedBytes;
  }

  /** Resolves when the kernel has taken nothing through 50 looks in a row. */
  async stalled(): Promise<void> {
    let drains = -1;
    let quietLooks = 0;
    await eventually(() => {
      quietLooks = drains === this.#drains ? quietLooks + 1 : 0;
      drains = this.#drains;
      return quietLooks > 50;
    });
  }

  #fill(): void {
    this.#drains++;
    for (let more = true; more; this.#written += this.#chunk.length) more = this.#socket.write(this.#chunk);
  }
}

/** What the kernel holds on the way from `writing` to `reading`; null where it does not tell. */
function kernelBytes(reading: Socket, writing: Socket): number | null {
  const [from, to] = [portOf(writing), portOf(reading)];
  let table: string;
  try {
    table = readFileSync("/proc/net/tcp", "latin1");
  } catch {
    return null;
  }
  let bytes = 0;
  for (const row of table.split("\n")) {
    // sl, local address, remote address, state, tx_queue:rx_queue
    const [, local, remote, , queues] = row.trim().split(/\s+/);
    if (local === undefined || queues === undefined) continue;
    const [sent, received] = queues.split(":").map((hex) => parseInt(hex, 16));
    if (local.endsWith(from) && remote.endsWith(to)) bytes += sent;
    else if (local.endsWith(to) && remote.endsWith(from)) bytes += received;
  }
  return bytes;
}

function portOf({ local }: Socket): string {
  return `:${local.port.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Pauses for a moment after each megabyte, and checks the count that stands in every fourth byte. */
class PausingReader {
  bytes = 0;
  pauses = 0;
  ended = false;
  readonly #socket: Socket;
  #word = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.handlers = this;
    socket.resume();
  }

  onData(chunk: Uint8Array): void {
    const before = this.bytes;
    for (const byte of chunk) {
      this.#word = (this.#word << 8 | byte) >>> 0;
      if (++this.bytes % 4 === 0 && this.#word !== this.bytes - 4) {
        throw new Error(`found ${this.#word} at ${this.bytes - 4}`);
      }
    }
    if (Math.floor(before / MB) === Math.floor(this.bytes / MB)) return;
    this.pauses++;
    this.#socket.pause();
    setImmediate(() => this.#socket.resume());
  }

  onEnd(): void {
    this.ended = true;
  }

  onDrain(): void {}
  onClose(): void {}
}

for (const { name, isSecure } of [{ name: "TCP", isSecure: false }, { name: "TLS", isSecure: true }]) {
  describe(`A process that forwards (${name})`, () => {
    // Where the reader pauses, loopback drops small records of a full queue and sends them again after a timeout: with
    // TLS the same bytes can take ten times as long.
    const total = (soak ? 4096 : isSecure ? 128 : 512) * MB;

    it(`grows by less than 64 MB while ${total / MB} MB pass through it`, async () => {
      const forwarder = await Forwarder.start(total, isSecure);
      const reader = new CountingReader(await dial(forwarder.target));
      await eventually(() => reader.ended, { deadlineMs: 120_000 });
      assert.equal(reader.bytes, total);
      const grown = await forwarder.stop(reader.socket);
      assert.ok(grown < 64, `it grew by ${grown} MB`);
    });

    it(`grows by less than 64 MB while its client takes nothing of ${total / MB} MB`, async () => {
      const forwarder = await Forwarder.start(total, isSecure);
      const client = await dial(forwarder.target);
      const taken = await forwarder.stalled();
      assert.ok(taken < total, "all of it was taken for a client that never read");
      const grown = await forwarder.stop(client);
      assert.ok(grown < 64, `it grew by ${grown} MB`);
    });
  });
}

/** Counts and forgets. */
class CountingReader {
  bytes = 0;
  ended = false;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.handlers = this;
    socket.resume();
  }

  onData(chunk: Uint8Array): void {
    this.bytes += chunk.length;
  }

  onEnd(): void {
    this.ended = true;
  }

  onDrain(): void {}
  onClose(): void {}
}

interface Source {
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/** Sends `total` bytes as the socket asks for them, and ends. */
function feed(socket: Socket, total: number): void {
  const chunk = new Uint8Array(64 * 1024);
  let left = total;
  const fill = () => {
    for (let more = true; more && left > 0; left -= chunk.length) more = socket.write(chunk);
    if (left === 0) socket.end();
  };
  socket.handlers = { onData() {}, onEnd() {}, onDrain: fill, onClose() {} };
  socket.resume();
  fill();
}

/** `programs/forward.ts` between this process's source of `total` bytes and the client that a test brings. */
class Forwarder {
  readonly target: DialTarget;
  readonly #child: ChildProcess;
  readonly #source: Source;
  readonly #output: { text: string };
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, source: Source, output: { text: string }) {
    this.#child = child;
    this.#source = source;
    this.#output = output;
    this.#exited = new Promise((resolve) => child.once("close", resolve));
    this.target = { kind: "tcp", host: "127.0.0.1", port: this.#told("port")! };
  }

  static async start(total: number, isSecure: boolean): Promise<Forwarder> {
    const sockets: Socket[] = [];
    const onSocket = (socket: Socket) => {
      sockets.push(socket);
      feed(socket, total);
    };
    const server = isSecure ? await startTlsServer(onSocket) : await startTcpServer(onSocket);
    const args = [String(server.port), ...(isSecure ? ["tls"] : [])];
    const child = spawn(...programCommand("tests/net/programs/forward.ts", ...args), {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const output = { text: "" };
    child.stdout!.on("data", (data) => output.text += data);
    await eventually(() => output.text.includes("\n"), { deadlineMs: 20_000 });
    return new Forwarder(child, { sockets, close: () => server.close() }, output);
  }

  /** Resolves with the bytes that were taken from the source, once no more are. */
  async stalled(): Promise<number> {
    await eventually(() => this.#source.sockets.length === 1);
    const [socket] = this.#source.sockets;
    return await fillUntilStalled(socket);
  }

  /** Ends the client and everything behind it, and gives the growth of the forwarder's memory in MB. */
  async stop(client: Socket): Promise<number> {
    client.reset();
    await this.#source.close();
    await this.#exited;
    assert.equal(this.#child.exitCode, 0);
    return this.#told("grown")!;
  }

  #told(word: string): number {
    const line = new RegExp(`^${word} (\\d+)`, "m").exec(this.#output.text);
    assert.ok(line, `no "${word}" in ${JSON.stringify(this.#output.text)}`);
    return Number(line[1]);
  }
}
