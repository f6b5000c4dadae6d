/** Cases of `src/net` that show within one process: what a socket's writer saves. Both ends are in it, and are counted. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import { setImmediate } from "node:timers";
import * as tls from "node:tls";
import { type Case, elsewhere, inProcess } from "./harness.ts";
import { answerFields, patternBytes } from "./samples.ts";
import {
  chunkEnd,
  chunkHeader,
  CipherStream,
  dial,
  disown,
  encodeFrame,
  encodeResponseHead,
  Opcode,
  type Socket,
  writeChunk,
  writeFrame,
} from "./subjects.ts";

const PIECE_BYTES = 64;
const PIECES_PER_TICK = 16;
const BODY_BYTES = 1024;
/** DATA of bulk, with the heads of its frame and its message. */
const DATA_BYTES = 57 * 1024;
const LARGEST_DATA_BYTES = 64 * 1024;
const HEAD_BYTES = 23;

const host = "127.0.0.1";

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A server that takes what comes. */
class Sink {
  bytes = 0;
  /** A sum of one byte of each `PIECE_BYTES` that came on a socket. */
  sum = 0;
  readonly #server: net.Server;
  /** The sockets, and how many bytes came on each. */
  readonly #sockets = new Map<net.Socket, { bytes: number }>();

  constructor(server: net.Server) {
    this.#server = server;
    server.on(server instanceof tls.Server ? "secureConnection" : "connection", (socket: net.Socket) => {
      const came = { bytes: 0 };
      this.#sockets.set(socket, came);
      socket.on("data", (chunk: Uint8Array) => this.#take(chunk, came));
      // Its client resets it at the end.
      socket.on("error", () => {});
    });
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  static async open(server: net.Server = net.createServer()): Promise<Sink> {
    const sink = new Sink(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return sink;
  }

  /** Begins to count anew. Nothing may be under way. */
  begin(): void {
    this.bytes = this.sum = 0;
    for (const came of this.#sockets.values()) came.bytes = 0;
  }

  async until(bytes: number): Promise<void> {
    while (this.bytes < bytes) await nextTick();
  }

  close(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.#server.close();
  }

  #take(chunk: Uint8Array, came: { bytes: number }): void {
    const first = (PIECE_BYTES - came.bytes % PIECE_BYTES) % PIECE_BYTES;
    for (let at = first; at < chunk.length; at += PIECE_BYTES) this.sum = (this.sum + chunk[at]) | 0;
    came.bytes += chunk.length;
    this.bytes += chunk.length;
  }
}

/** What both kinds of socket have in common here. */
interface Writer {
  write(bytes: Uint8Array): boolean;
  /** Resolves where a write may follow one that returned false. */
  drained(): Promise<void>;
}

class OwnWriter implements Writer {
  readonly socket: Socket;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.handlers = { onData() {}, onEnd() {}, onDrain: () => this.#wake?.(), onClose() {} };
    socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    return this.socket.write(bytes);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}

class PlainWriter implements Writer {
  readonly socket: net.Socket;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    return this.socket.write(bytes);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => void this.socket.once("drain", resolve));
  }
}

async function ownWriter(port: number, isTls = false): Promise<OwnWriter> {
  const options = isTls ? { tls: { insecure: true } } : {};
  return new OwnWriter(await dial({ kind: "tcp", host, port, ...options }));
}

async function plainWriter(port: number): Promise<PlainWriter> {
  const socket = net.connect({ host, port, noDelay: true });
  await once(socket, "connect");
  return new PlainWriter(socket);
}

/** The runtime's TLS on a socket of ours, as `TlsSocket` has it under itself. */
async function engineWriter(port: number): Promise<PlainWriter> {
  const raw = await dial({ kind: "tcp", host, port });
  const cipher = new CipherStream(raw);
  raw.handlers = { onData: (bytes) => cipher.receive(disown(bytes)), onEnd() {}, onDrain() {}, onClose() {} };
  raw.resume();
  // The types know no other stream than a socket here; the runtimes do.
  const engine = tls.connect({ socket: cipher as unknown as net.Socket, rejectUnauthorized: false });
  await once(engine, "secureConnect");
  return new PlainWriter(engine);
}

/** Calls `send` `count` times, 16 times a tick, and waits for all of it. Returns the bytes that came, and their sum. */
async function sendAll(
  count: number,
  sink: Sink,
  writer: Writer,
  send: (i: number) => boolean,
  bytes: number,
): Promise<[number, number]> {
  sink.begin();
  for (let i = 0; i < count;) {
    let isReady = true;
    for (const end = Math.min(count, i + PIECES_PER_TICK); i < end && isReady; i++) isReady = send(i);
    await (isReady ? nextTick() : writer.drained());
  }
  await sink.until(count * bytes);
  return [sink.bytes, sink.sum];
}

const pieces = Array.from({ length: PIECES_PER_TICK }, (_, i) => patternBytes(PIECE_BYTES).fill(i + 1));

/** Small pieces, written one by one. */
async function twoWriters(server: net.Server, open: (port: number) => Promise<[OwnWriter, PlainWriter]>) {
  const sink = await Sink.open(server);
  const [own, plain] = await open(sink.port);
  const sendBy = (writer: Writer) => (count: number) =>
    sendAll(count, sink, writer, (i) => writer.write(pieces[i % PIECES_PER_TICK]), PIECE_BYTES);
  return {
    with: sendBy(own),
    without: sendBy(plain),
    close() {
      own.socket.reset();
      plain.socket.destroy();
      sink.close();
    },
  };
}

/** The tests' own certificate. */
function certificate(): { key: string; cert: string } {
  const read = (name: string) =>
    readFileSync(new URL(`../../../tests/support/certificates/${name}`, import.meta.url), "utf8");
  return { key: read("server.key"), cert: read("server.pem") };
}

type Send = (socket: Socket) => boolean;

/** Two ways to write the same on our sockets. `bytes`: what one operation sends; `sockets`: each gets one in turn. */
async function twoWays(bytes: number, sockets: number, withTrick: Send, without: Send) {
  const sink = await Sink.open();
  const writers = await Promise.all(Array.from({ length: sockets }, () => ownWriter(sink.port)));
  const sendBy = (send: Send) => (count: number) =>
    sendAll(count, sink, writers[0], (i) => send(writers[i % sockets].socket), bytes);
  return {
    with: sendBy(withTrick),
    without: sendBy(without),
    close() {
      for (const writer of writers) writer.socket.reset();
      sink.close();
    },
  };
}

/** The same payload in messages of one size and of another. */
async function twoSizes(dataBytes: number, otherDataBytes: number) {
  const sink = await Sink.open();
  const writer = await ownWriter(sink.port);
  const block = patternBytes(Math.max(dataBytes, otherDataBytes) + HEAD_BYTES);
  const sendBy = (payloadBytes: number, messages: number) => async (count: number) => {
    const message = block.subarray(0, payloadBytes + HEAD_BYTES);
    const [bytes] = await sendAll(count * messages, sink, writer, () => writer.write(message), message.length);
    return bytes - count * messages * HEAD_BYTES;
  };
  return {
    with: sendBy(dataBytes, otherDataBytes / 1024),
    without: sendBy(otherDataBytes, dataBytes / 1024),
    close() {
      writer.socket.reset();
      sink.close();
    },
  };
}

export const netCases: readonly Case[] = [
  /** What is written in a tick leaves in one system call at its end. */
  inProcess({
    name: "gathered-writes",
    source: "net/node_socket.ts",
    with: "16 small pieces a tick written to a socket of src/net",
    without: "to one of node:net, which sends each by itself",
    operation: "piece",
    checkedCount: 320,
    setUp: () => twoWriters(net.createServer(), async (port) => [await ownWriter(port), await plainWriter(port)]),
  }),

  /** With TLS a tick's pieces become one record, which is encrypted and sent as one. */
  inProcess({
    name: "tls-records",
    source: "net/tls/tls_socket.ts",
    with: "16 small pieces a tick in one record",
    without: "a record for each",
    operation: "piece",
    checkedCount: 320,
    setUp: () =>
      twoWriters(tls.createServer(certificate()), async (port) => [
        await ownWriter(port, true),
        await engineWriter(port),
      ]),
  }),

  /** A small chunk is copied between its size and its CRLF: a copy costs less than three writes. */
  inProcess({
    name: "write-chunk",
    source: "http1/write_chunk.ts",
    with: "a chunk of 1 KiB on each of 16 sockets, written with its framing",
    without: "size, content and CRLF written each",
    operation: "chunk",
    checkedCount: 320,
    setUp: () => {
      const content = patternBytes(BODY_BYTES);
      // Framed, it has a length that pieces of 64 bytes fit into.
      const chunk = content.subarray(0, BODY_BYTES - 7);
      return twoWays(
        BODY_BYTES,
        PIECES_PER_TICK,
        (socket) => writeChunk(socket, chunk),
        (socket) => {
          socket.write(chunkHeader(chunk.length));
          socket.write(chunk);
          return socket.write(chunkEnd);
        },
      );
    },
  }),

  /** A small body is written behind its head, into the same bytes. */
  inProcess({
    name: "joined-body",
    source: "http1/codec/writer.ts",
    with: "an answer of 1 KiB on each of 16 sockets, head and body in one buffer",
    without: "head and body written each",
    operation: "answer",
    perRequest: 1,
    checkedCount: 320,
    setUp: () => {
      const body = patternBytes(BODY_BYTES);
      const head = { status: 200, fields: answerFields, framing: { kind: "length", length: BODY_BYTES } } as const;
      return twoWays(
        encodeResponseHead(head, body).length,
        PIECES_PER_TICK,
        (socket) => socket.write(encodeResponseHead(head, body)),
        (socket) => {
          socket.write(encodeResponseHead(head));
          return socket.write(body);
        },
      );
    },
  }),

  /** A server's large parts go to the socket as they are, behind the head of their frame. */
  inProcess({
    name: "uncopied-parts",
    source: "websocket/writer.ts",
    with: "57 KiB written behind the head of their frame",
    without: "copied behind it",
    bytes: DATA_BYTES,
    checkedCount: 100,
    setUp: () => {
      const parts = [patternBytes(DATA_BYTES)];
      return twoWays(
        encodeFrame(Opcode.binary, parts, null).length,
        1,
        (socket) => {
          let isReady = true;
          writeFrame(Opcode.binary, parts, (bytes) => isReady = socket.write(bytes));
          return isReady;
        },
        (socket) => socket.write(encodeFrame(Opcode.binary, parts, null)),
      );
    },
  }),

  /** DATA has 57 KiB, so that its message fits the 64 KiB that a kernel handles in one piece. */
  inProcess({
    name: "data-of-57-kib",
    source: "httpstream/outgoing_message.ts",
    with: "messages with 57 KiB of DATA",
    without: "with 64 KiB",
    bytes: DATA_BYTES * LARGEST_DATA_BYTES / 1024,
    checkedCount: 2,
    setUp: () => twoSizes(DATA_BYTES, LARGEST_DATA_BYTES),
  }),

  /** Bulk leaves as it comes, and not at the end of the tick, so that its receiver begins at once. */
  elsewhere({
    name: "bulk-at-once",
    source: "net/node_socket.ts",
    with: "32 KiB and more leave at once",
    without: "at the end of the tick",
  }, "scripts/bench/pairs.mjs, bulk, against a checkout with BULK_BYTES = Infinity"),

  /** What listeners of a tick's end write to sockets leaves in the same tick. */
  elsewhere({
    name: "same-tick",
    source: "base/tick.ts",
    with: "sockets that the multiplexer wrote to send in the same tick",
    without: "in the next one",
  }, "scripts/bench/pairs.mjs, requests, against a checkout where endTick() calls callUpTo() once"),

  /** The agents' link is flushed before the sockets that the tick wrote to: its peer has the longest way to go. */
  elsewhere({
    name: "link-first",
    source: "httpstream/outgoing.ts",
    with: "the link flushed before other sockets",
    without: "in its turn",
  }, "scripts/bench/pairs.mjs, requests, against a checkout where Outgoing does not flush its link"),
];
