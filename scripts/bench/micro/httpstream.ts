/** Cases of `src/httpstream`. The table of streams is in processes.ts: what matters there is the collector. */
import { setImmediate } from "node:timers";
import { bufferBytes, type Case, elsewhere, held, inProcess } from "./harness.ts";
import { answerFields, checksum, namePattern, patternBytes, valuePattern } from "./samples.ts";
import {
  Connection,
  decodeHeaderBlock,
  encodeHeaderBlock,
  type Fields,
  FrameKind,
  GrowthPool,
  Inflight,
  type Link,
  type LinkHandlers,
  RateEstimator,
  ReceiveBuffer,
  ReceiveHalf,
  type Stream,
} from "./subjects.ts";

const WINDOW_BYTES = 64 * 1024;
/** A slow reader's window, filled by frames of 1 KiB that each came in another read. */
const SMALL_CHUNK_BYTES = 1024;
const SMALL_READ_BYTES = 64 * 1024;
const FRAMES_PER_ACK = 8;
const FRAME_BYTES = 1200;
const FRAME_COST = 128;
const kinds = [FrameKind.DATA, FrameKind.HEADERS, FrameKind.CONTROL] as const;
/** Exchanges that are under way at the same time. */
const CONCURRENT = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A header block by the runtime's own encoder, checked by regular expressions. Right for ASCII alone. */
function encodeBlockPlainly(fields: Fields): Uint8Array {
  let length = 2;
  for (let i = 0; i < fields.length; i += 2) length += 6 + fields[i].length + fields[i + 1].length;
  const block = new Uint8Array(length);
  const view = new DataView(block.buffer);
  view.setUint16(0, fields.length >> 1);
  let at = 2;
  for (let i = 0; i < fields.length; i += 2) {
    const [name, value] = [fields[i], fields[i + 1]];
    if (!namePattern.test(name) || refusedName.test(name) || !valuePattern.test(value)) {
      throw new Error(`No field ${name}`);
    }
    view.setUint16(at, name.length);
    at += 2 + encoder.encodeInto(name, block.subarray(at + 2)).written;
    view.setUint32(at, value.length);
    at += 4 + encoder.encodeInto(value, block.subarray(at + 4)).written;
  }
  return block;
}

const refusedName = /^(?:host|upgrade|connection|transfer-encoding)$/i;

/** The fields of a block by the runtime's own decoder. */
function decodeBlockPlainly(block: Uint8Array): string[] {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const fields: string[] = [];
  let at = 2;
  for (let left = view.getUint16(0); left > 0; left--) {
    const nameAt = at + 2;
    const nameEnd = nameAt + view.getUint16(at);
    const valueAt = nameEnd + 4;
    at = valueAt + view.getUint32(nameEnd);
    const name = decoder.decode(block.subarray(nameAt, nameEnd));
    const value = decoder.decode(block.subarray(valueAt, at));
    if (!namePattern.test(name) || refusedName.test(name) || !valuePattern.test(value)) {
      throw new Error(`No field ${name}`);
    }
    fields.push(name, value);
  }
  return fields;
}

function encodeBlocks(count: number, encode: (fields: Fields) => Uint8Array): [number, number] {
  let length = 0;
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) length += (last = encode(answerFields) as Uint8Array<ArrayBuffer>).length;
  return [length, checksum(last)];
}

interface SentFrame {
  readonly kind: number;
  readonly cost: number;
  readonly sentAt: number;
  readonly ackedAtSend: number;
  readonly hasBacklog: boolean;
  readonly isProbe: boolean;
}

/** What `Inflight` does, with an object for each frame in a queue. */
class ObjectInflight {
  readonly estimator = new RateEstimator();
  readonly #underWay = [0, 0, 0];
  readonly #frames: SentFrame[] = [];
  #acked = 0;
  #ackedBytes = 0;

  bytes(kind: number): number {
    return this.#underWay[kind];
  }

  sent(kind: number, payloadBytes: number, now: number, hasBacklog: boolean): void {
    const cost = payloadBytes + FRAME_COST;
    this.#underWay[kind] += cost;
    const { isProbing, limitBytes } = this.estimator;
    const isProbe = isProbing && this.#underWay[FrameKind.DATA] <= limitBytes;
    this.#frames.push({ kind, cost, sentAt: now, ackedAtSend: this.#ackedBytes, hasBacklog, isProbe });
  }

  acknowledge(count: number, now: number): boolean {
    const before = this.#ackedBytes;
    let newest: SentFrame | undefined;
    for (; this.#acked < count; this.#acked++) {
      newest = this.#frames.shift();
      if (newest === undefined) return false;
      this.#underWay[newest.kind] -= newest.cost;
      this.#ackedBytes += newest.cost;
    }
    if (newest === undefined) return true;
    this.estimator.sample({
      now,
      rttMs: now - newest.sentAt,
      bytes: this.#ackedBytes - newest.ackedAtSend,
      newBytes: this.#ackedBytes - before,
      hasBacklog: newest.hasBacklog,
      isProbe: newest.isProbe,
    });
    return true;
  }
}

/** Frames that are sent and acknowledged, with 64 of them under way. Returns what is under way, and the limit. */
function sendFrames(count: number, inflight: Pick<Inflight, "sent" | "acknowledge" | "bytes" | "estimator">): number[] {
  let now = 0;
  for (let i = 1; i <= count; i++) {
    inflight.sent(kinds[i % 3], FRAME_BYTES, now, true);
    now += 0.01;
    if (i % FRAMES_PER_ACK === 0 && i > 64 && !inflight.acknowledge(i - 64, now)) {
      throw new Error(`No ACK of ${i - 64}`);
    }
  }
  return [inflight.bytes(0), inflight.bytes(1), inflight.bytes(2), Math.round(inflight.estimator.limitBytes)];
}

/** A window of small chunks that wait, each a view of another read. Returns KiB, and their bytes. */
function waitingChunks(isCompacted: boolean): { held: number; content: number } {
  const buffer = new ReceiveBuffer();
  const chunks: Uint8Array[] = [];
  for (let left = WINDOW_BYTES; left > 0; left -= SMALL_CHUNK_BYTES) {
    const read = patternBytes(SMALL_READ_BYTES);
    const chunk = read.subarray(left - SMALL_CHUNK_BYTES, left);
    if (!isCompacted) chunks.push(chunk);
    else {
      buffer.push(chunk, left - SMALL_CHUNK_BYTES);
      buffer.compact(left - SMALL_CHUNK_BYTES);
    }
  }
  for (let chunk = buffer.shift(); chunk !== null; chunk = buffer.shift()) chunks.push(chunk);
  const content = chunks.reduce((sum, chunk) => sum + chunk.reduce((bytes, byte) => bytes + byte, 0), 0);
  return { held: bufferBytes(chunks) / 1024, content };
}

/** One end of a link within the process; a message arrives in the next tick. */
class LocalLink implements Link {
  readonly localAddress = null;
  handlers: LinkHandlers = { onMessage() {}, onDrain() {}, onClose() {} };
  readonly bufferedBytes = 0;
  peer: LocalLink | null = null;

  send(parts: readonly Uint8Array[]): boolean {
    const message = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      message.set(part, at);
      at += part.length;
    }
    setImmediate(() => {
      this.peer?.handlers.onBytes?.();
      this.peer?.handlers.onMessage(message);
    });
    return true;
  }

  flush(): void {}

  close(code: number, reason: string): void {
    const ends = [this, this.peer];
    this.peer = null;
    for (const end of ends) setImmediate(() => end?.handlers.onClose({ code, reason, clean: true }));
  }

  abort(): void {
    this.close(1006, "");
  }
}

const requestBlock: Fields = [":method", "GET", ":path", "/", ":scheme", "http", ":authority", "demo.example.com"];
const answerBlock: Fields = [":status", "200", ...answerFields];
const answerBody = patternBytes(1024);

/** Edge and agent, joined. The agent answers each stream by `answer`. */
function connect(answer: (stream: Stream) => void): { edge: Connection; close(): void } {
  const links = [new LocalLink(), new LocalLink()];
  links[0].peer = links[1];
  links[1].peer = links[0];
  const agent = new Connection(links[1], { role: "agent", onStream: answer });
  const edge = new Connection(links[0], { role: "edge" });
  return {
    edge,
    close() {
      edge.close();
      agent.close();
    },
  };
}

/** `count` exchanges, 32 at a time. Returns how many bytes the answers had. */
async function exchangeAll(count: number, exchange: () => Promise<number>): Promise<number> {
  let left = count;
  let bytes = 0;
  const work = async () => {
    while (left-- > 0) bytes += await exchange();
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  return bytes;
}

/** By whole chunks and calls. */
function leanExchange(edge: Connection): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = edge.createStream(requestBlock, { endStream: true });
    let bytes = 0;
    stream.handlers = {
      onReadable() {
        const whole = stream.takeWhole();
        if (whole !== null) bytes += whole.length;
      },
      onClose: (error) => error === null ? resolve(bytes) : reject(error),
    };
  });
}

/** By promises and Web Streams. */
async function webExchange(edge: Connection): Promise<number> {
  const stream = edge.createStream(requestBlock, { endStream: true });
  await stream.response;
  const reader = stream.readable.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
  }
  const error = await stream.closed;
  if (error !== null) throw error;
  return bytes;
}

async function answerByWeb(stream: Stream): Promise<void> {
  stream.respond(answerBlock);
  const writer = stream.writable.getWriter();
  await writer.write(answerBody);
  await writer.close();
}

const nobody = () => {
  throw new Error("A pool's timer rang");
};

export const httpstreamCases: readonly Case[] = [
  /** A block is checked while it is written: a loop beats the runtimes' writers at the lengths of fields. */
  inProcess({
    name: "header-block",
    source: "httpstream/wire/header_block.ts",
    with: "a block written byte by byte, and checked so",
    without: "checked by regular expressions, written by Buffer",
    operation: "block",
    perRequest: 2,
    setUp: () => ({
      with: (count) => encodeBlocks(count, encodeHeaderBlock),
      without: (count) => encodeBlocks(count, encodeBlockPlainly),
    }),
  }),

  /** Fields are checked as bytes, and become strings that were made before. */
  inProcess({
    name: "header-block-decoding",
    source: "httpstream/wire/header_block.ts",
    with: "a block checked in bytes",
    without: "decoded, and checked by regular expressions",
    operation: "block",
    perRequest: 2,
    setUp: () => {
      const block = encodeHeaderBlock(answerFields);
      const decode = (count: number, read: (block: Uint8Array) => string[]): [number, string] => {
        let length = 0;
        let last: string[] = [];
        for (let i = 0; i < count; i++) length += (last = read(block)).length;
        return [length, last.join("\n")];
      };
      return {
        with: (count) => decode(count, decodeHeaderBlock),
        without: (count) => decode(count, decodeBlockPlainly),
      };
    },
  }),

  /** Frames under way are rows of typed arrays, used as a ring: each costs no object and leaves no garbage. */
  inProcess({
    name: "inflight-columns",
    source: "httpstream/flow/inflight.ts",
    with: "frames under way in columns",
    without: "an object for each in a queue",
    operation: "frame",
    perRequest: 6,
    setUp: () => ({
      with: (count) => sendFrames(count, new Inflight()),
      without: (count) => sendFrames(count, new ObjectInflight() as unknown as Inflight),
    }),
  }),

  /** Most streams of small requests get no bytes: until they do, all share an empty buffer. */
  inProcess({
    name: "shared-empty-buffer",
    source: "httpstream/receive_half.ts",
    with: "a stream's receiving half",
    without: "the same with a buffer of its own",
    operation: "stream",
    perRequest: 2,
    setUp: () => {
      const clock = { now: () => 0, after: nobody };
      const pool = new GrowthPool({ clock, poolBytes: 8 * WINDOW_BYTES, maxWindowBytes: 4 * WINDOW_BYTES });
      /** The streams of a busy connection, with what they hold. */
      const open = (count: number, make: () => { half: ReceiveHalf; buffer: ReceiveBuffer | null }): number => {
        const live = new Array<ReturnType<typeof make> | null>(CONCURRENT).fill(null);
        for (let i = 0; i < count; i++) live[i % CONCURRENT] = make();
        return live.reduce((sum, one) => sum + (one?.half.heldBytes ?? 0) + (one?.buffer?.heldBytes ?? 0), 0);
      };
      return {
        with: (count) => open(count, () => ({ half: new ReceiveHalf(WINDOW_BYTES, pool), buffer: null })),
        without: (count) =>
          open(count, () => ({ half: new ReceiveHalf(WINDOW_BYTES, pool), buffer: new ReceiveBuffer() })),
      };
    },
  }),

  /** Small chunks that wait for a slow reader are copied together, because each would hold the read that brought it. */
  held({
    name: "compacted-chunks",
    source: "httpstream/receive_buffer.ts",
    with: "a window of chunks of 1 KiB copied together",
    without: "views of 64 reads",
    unit: "KiB a stream",
    measureWith: () => waitingChunks(true),
    measureWithout: () => waitingChunks(false),
  }),

  /** Promises, signals and Web Streams of a stream are made when somebody asks, which edge and agent never do. */
  inProcess({
    name: "lean-streams",
    source: "httpstream/stream.ts",
    with: "an exchange by whole chunks and calls",
    without: "by promises and Web Streams",
    operation: "exchange",
    perRequest: 1,
    setUp: () => {
      const lean = connect((stream) => stream.respond(answerBlock, { body: answerBody, endStream: true }));
      const web = connect((stream) => void answerByWeb(stream));
      return {
        with: (count) => exchangeAll(count, () => leanExchange(lean.edge)),
        without: (count) => exchangeAll(count, () => webExchange(web.edge)),
        close() {
          lean.close();
          web.close();
        },
      };
    },
  }),

  /** The first streams of a busy tick leave before its end, so that edge and agent work at the same time. */
  elsewhere({
    name: "early-messages",
    source: "httpstream/outgoing.ts",
    with: "the first 8 streams of a tick go ahead",
    without: "all leave at its end",
  }, "scripts/bench/pairs.mjs, requests, against a checkout with FIRST_AHEAD = Infinity"),

  /** A small body leaves in the message of its head, so that its receiver has all of it at once. */
  elsewhere({
    name: "body-behind-head",
    source: "httpstream/scheduler.ts",
    with: "a small body in its head's message, whatever waits",
    without: "in its turn among all DATA",
  }, "scripts/bench/isolation.mjs, against a checkout where ridingBytes() returns 0"),

  /** An ACK waits up to 50 ms for a message that leaves anyway. */
  elsewhere({
    name: "riding-acks",
    source: "httpstream/flow/ack_tracker.ts",
    with: "an ACK rides with other frames",
    without: "a message for each ACK",
  }, "scripts/bench/pairs.mjs, requests, against a checkout where Receipts.due is Receipts.pending"),
];
