import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { dial, type DialTarget, type Socket } from "../../src/net/mod.ts";
import { eventually, fillUntilStalled, programCommand, SocketReader, startTcpServer } from "../support/net.ts";
import { startTlsServer, transports } from "../support/tls.ts";

const MB = 1 << 20;
const soak = process.env.RUNNEL_SOAK === "1";

for (const transport of transports) {
  describe(`Socket.pause (${transport.name})`, () => {
    for (const side of ["dialed", "accepted"]) {
      it(`closes the kernel's window, so that a sender of 512 MB stops under 16 MB (${side} end reads)`, async () => {
        const pair = await transport.pair();
        const [reading, writing] = side === "dialed" ? pair : pair.toReversed();
        const reader = new SocketReader(reading, { paused: true });
        const takenAtOnce = await fillUntilStalled(writing, 512 * MB);
        assert.ok(takenAtOnce < 16 * MB, `the kernel took ${takenAtOnce} bytes of a peer that never read`);
        assert.equal(reader.receivedBytes, 0);

        reading.resume();
        await eventually(() => reader.receivedBytes > MB, { deadlineMs: 30_000 });
        reading.pause();
        const before = reader.receivedBytes;
        const takenLater = await fillUntilStalled(writing, 512 * MB);
        assert.ok(reader.receivedBytes - before < MB, "data came after pause()");
        assert.ok(takenLater < 16 * MB, `the kernel took ${takenLater} bytes after pause()`);
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
      await eventually(() => reader.ended, { deadlineMs: 30_000 });
      assert.equal(reader.bytes, written);
      assert.equal(reader.pauses, 8);
      writing.reset();
      reading.reset();
    });
  });
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
      assert.ok(taken < 32 * MB, `${taken} bytes were taken for a client that never read`);
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
