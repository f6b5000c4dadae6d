/** What workers do for the cases of processes.ts: work whose cost shows in the memory and time of a whole process. */
import { Buffer } from "node:buffer";
import * as net from "node:net";
import process from "node:process";
import { clearInterval, setImmediate, setInterval } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMicroseconds } from "./harness.ts";
import { checksum, patternBytes } from "./samples.ts";
import {
  decodeChunkFrame,
  dial,
  disown,
  encodeChunkFrame,
  IdTable,
  listen,
  type Socket,
  tuneRuntime,
  writeText,
} from "./subjects.ts";

/** What a workload cost, and what came of it. */
export interface Cost {
  /** Processor time of the process in µs. */
  readonly cpu: number;
  /** MiB by which its memory grew at most, since the process began. */
  readonly grownMiB: number;
  /** To be compared with the other side's. */
  readonly result: number;
}

const SAMPLE_MS = 5;
const MIB = 1024 * 1024;
const host = "127.0.0.1";
const memoryAtStart = process.memoryUsage().rss;

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function measured(work: () => number | Promise<number>): Promise<Cost> {
  let peak = 0;
  const sample = () => void (peak = Math.max(peak, process.memoryUsage().rss));
  const sampler = setInterval(sample, SAMPLE_MS);
  const begun = cpuMicroseconds();
  const result = await work();
  const cpu = cpuMicroseconds() - begun;
  sample();
  clearInterval(sampler);
  return { cpu, grownMiB: (peak - memoryAtStart) / MIB, result };
}

/** Sets the process up as the programs do. */
function tune(): null {
  tuneRuntime();
  return null;
}

export type RelayWay =
  /** Between sockets of src/net, each read freed when it was sent. */
  | "counted"
  /** The same, each read left to the collector. */
  | "uncounted"
  /** From a socket of src/net to code that counts no references. */
  | "foreign"
  /** Between sockets of node:net. */
  | "plain";

/** Carries all that comes from one port to another. Returns how many bytes that were. */
async function relay(way: RelayWay, fromPort: number, toPort: number): Promise<number> {
  if (way === "plain") return await relayPlainly(net.connect(fromPort, host), net.connect(toPort, host));
  const from = await dial({ kind: "tcp", host, port: fromPort });
  if (way === "foreign") return await relayToForeign(from, net.connect(toPort, host));
  const to = await dial({ kind: "tcp", host, port: toPort });
  let bytes = 0;
  return await new Promise((resolve, reject) => {
    from.handlers = {
      onData(chunk) {
        bytes += chunk.length;
        if (way === "uncounted") disown(chunk);
        if (!to.write(chunk)) from.pause();
      },
      onEnd: () => to.end(),
      onDrain() {},
      onClose() {},
    };
    to.handlers = {
      onData() {},
      onEnd: () => from.end(),
      onDrain: () => from.resume(),
      onClose: (error) => error === null ? resolve(bytes) : reject(error),
    };
    from.resume();
    to.resume();
  });
}

function relayToForeign(from: Socket, to: net.Socket): Promise<number> {
  let bytes = 0;
  return new Promise((resolve, reject) => {
    from.handlers = {
      onData(chunk) {
        bytes += chunk.length;
        if (!to.write(disown(chunk))) from.pause();
      },
      onEnd: () => void to.end(),
      onDrain() {},
      onClose() {},
    };
    to.on("drain", () => from.resume());
    to.once("end", () => from.end());
    to.once("close", () => resolve(bytes));
    to.once("error", reject);
    to.resume();
    from.resume();
  });
}

function relayPlainly(from: net.Socket, to: net.Socket): Promise<number> {
  let bytes = 0;
  return new Promise((resolve, reject) => {
    from.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (!to.write(chunk)) from.pause();
    });
    from.once("end", () => to.end());
    to.on("drain", () => from.resume());
    to.once("close", () => resolve(bytes));
    for (const socket of [from, to]) socket.once("error", reject);
    to.resume();
  });
}

/** Gives back what comes. Returns the port. */
async function echo(isPlain: boolean): Promise<number> {
  if (!isPlain) {
    const listener = await listen({ kind: "tcp", host, port: 0 }, (socket) => {
      socket.handlers = {
        onData: (chunk) => void socket.write(chunk),
        onEnd: () => socket.end(),
        onDrain() {},
        onClose() {},
      };
      socket.resume();
    });
    return listener.address.port;
  }
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on("data", (chunk: Uint8Array) => void socket.write(chunk));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as net.AddressInfo).port;
}

/** Connects often to a port that sends without end, and stops reading after the first bytes. */
async function stall(isPlain: boolean, port: number, count: number): Promise<number> {
  let stalled = 0;
  const close: (() => void)[] = [];
  for (let i = 0; i < count; i++) {
    if (isPlain) {
      const socket = net.connect(port, host);
      socket.on("data", () => {
        if (!socket.isPaused()) stalled++;
        socket.pause();
      });
      socket.on("error", () => {});
      close.push(() => socket.destroy());
      continue;
    }
    const socket = await dial({ kind: "tcp", host, port });
    let isPaused = false;
    socket.handlers = {
      onData() {
        if (!isPaused) stalled++;
        isPaused = true;
        socket.pause();
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    };
    socket.resume();
    close.push(() => socket.reset());
  }
  while (stalled < count) await sleep(SAMPLE_MS);
  // What comes although nobody reads comes soon.
  await sleep(100);
  for (const end of close) end();
  return stalled;
}

const WATCH_MS = 400;
type Handle = { getpeername?(out: object): number } | null | undefined;

/** Holds paused connections, each of them watched: all by one timer, or each by its own. Returns how many there are. */
async function hold(isPlain: boolean, port: number, count: number): Promise<number> {
  for (let i = 0; i < count; i++) {
    // A socket that was dialed is paused until it is resumed, and watched.
    if (!isPlain) await dial({ kind: "tcp", host, port });
    else {
      const socket = net.connect(port, host);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.pause();
      setInterval(() => {
        const handle = (socket as unknown as { _handle?: Handle })._handle;
        if (handle?.getpeername !== undefined && handle.getpeername({}) !== 0) socket.destroy();
      }, WATCH_MS);
    }
  }
  return count;
}

const LINES_PER_TICK = 20;
const line = `2026-11-30T12:00:00.000Z INF agent: GET /account/orders 200 1024 B 12 ms\n`;

/** Log lines on standard error, as many a tick as a busy agent writes. */
async function writeLines(isPlain: boolean, count: number): Promise<number> {
  let written = 0;
  while (written < count) {
    for (let i = 0; i < LINES_PER_TICK; i++, written++) {
      if (isPlain) process.stderr.write(line);
      else writeText("stderr", line);
    }
    await nextTick();
    while (process.stderr.writableNeedDrain) await nextTick();
  }
  return written;
}

/** A stream, as far as the collector sees it: it holds others, and something holds it for the time of an exchange. */
class StreamLike {
  readonly id: number;
  readonly fields = ["content-type", "text/plain"];
  readonly send = { state: 0, chunks: [] as Uint8Array[], window: { size: 65_536, used: 0 } };
  readonly receive = { state: 0, chunks: [] as Uint8Array[], window: { size: 65_536, used: 0 } };
  readonly onClose = () => this.id;

  constructor(id: number) {
    this.id = id;
  }
}

const LIVE_STREAMS = 32;
const LOOKS_PER_STREAM = 6;
const table = new IdTable<StreamLike>();
const map = new Map<number, StreamLike>();
let lastId = 0;

/** Streams come and go, and are looked up for each of their frames. Returns a sum of what was found. */
async function comeAndGo(isPlain: boolean, count: number): Promise<number> {
  let found = 0;
  const first = lastId + 2;
  for (let i = 0; i < count; i++) {
    const stream = new StreamLike(lastId += 2);
    if (isPlain) map.set(stream.id, stream);
    else table.add(stream);
    for (let look = 0; look < LOOKS_PER_STREAM; look++) {
      const id = stream.id - 2 * ((i * 7 + look * 5) % LIVE_STREAMS);
      const other = isPlain ? map.get(id) : table.get(id);
      found = (found + (other?.send.window.size ?? 0) + (other?.onClose() ?? first) - first) % 0x4000_0000;
    }
    const oldest = stream.id - 2 * LIVE_STREAMS;
    if (isPlain) map.delete(oldest);
    else table.delete(oldest);
    if (i % 256 === 0) await nextTick();
  }
  return found;
}

const CHUNK_BYTES = 64 * 1024;

/** What a link sends: each frame is copied here, to be masked, and read from here. */
const wire = new Uint8Array(2 * CHUNK_BYTES);

function overTheWire(frame: Uint8Array): Uint8Array {
  wire.set(frame);
  return wire.subarray(0, frame.length);
}

/** Chunks that become frames of the JSON protocol, and chunks again. Returns a sum of some of their bytes. */
async function carryChunks(isPlain: boolean, count: number): Promise<number> {
  const chunk = patternBytes(CHUNK_BYTES);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const data = isPlain ? carryPlainly("7f3a-19", chunk) : carryAsBytes("7f3a-19", chunk);
    const at = (i * 16) & 0xffff;
    sum = (sum * 31 + checksum(data.subarray(at, at + 16)) + data.length) | 0;
    if (i % 8 === 0) await nextTick();
  }
  return sum;
}

function carryAsBytes(id: string, chunk: Uint8Array): Uint8Array {
  const frame = decodeChunkFrame(overTheWire(encodeChunkFrame(id, chunk)));
  if (frame === null || frame.id !== id) throw new Error("The frame came back as another one");
  return frame.data;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function carryPlainly(id: string, chunk: Uint8Array): Uint8Array {
  const base64 = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("base64");
  const text = JSON.stringify({ type: "http_response_chunk", request_id: id, data_b64: base64 });
  const frame = JSON.parse(decoder.decode(overTheWire(encoder.encode(text))));
  if (frame.request_id !== id) throw new Error("The frame came back as another one");
  return Buffer.from(frame.data_b64, "base64");
}

// deno-lint-ignore no-explicit-any -- each workload has its own options, which its case in processes.ts gives
export const workloads: Record<string, (options: any) => unknown> = {
  tune,
  relay: ({ way, fromPort, toPort }) => measured(() => relay(way, fromPort, toPort)),
  echo: ({ isPlain }) => echo(isPlain),
  stall: ({ isPlain, port, count }) => measured(() => stall(isPlain, port, count)),
  hold: ({ isPlain, port, count }) => hold(isPlain, port, count),
  cpu: () => cpuMicroseconds(),
  lines: ({ isPlain, count }) => measured(() => writeLines(isPlain, count)),
  streams: ({ isPlain, count }) => measured(() => comeAndGo(isPlain, count)),
  chunks: ({ isPlain, count }) => measured(() => carryChunks(isPlain, count)),
};
