/** Cases of `src/websocket` and of the frames that it carries: masking, framing, parsing. */
import { type Case, inProcess } from "./harness.ts";
import { checksum, patternBytes } from "./samples.ts";
import {
  allocateMaskMemory,
  applyMask,
  concat,
  encodeFrame,
  encodeTextFrame,
  MaskBuffer,
  MessageBuilder,
  MessageParser,
  nextMaskKey,
  Opcode,
  PayloadBuffer,
  release,
} from "./subjects.ts";

/** DATA of bulk, and the message around it. */
const DATA_BYTES = 57 * 1024;
const MESSAGE_BYTES = DATA_BYTES + 9;
/** Where a client's payload begins in its frame. */
const PAYLOAD_AT = 8;
const SHORT_BYTES = 32;
const MID_PAGE = 2 * 1024;
/** What a socket gives at once, at most. */
const READ_BYTES = 512 * 1024;
const STREAM_BYTES = 8 * 1024 * 1024;
/** One byte of so many is looked at, to tell that the right ones came. */
const SAMPLE_STEP = 4 * 1024;
const KEY = 0x7f3a19c5;

function maskByBytes(bytes: Uint8Array, from: number, to: number, key: number): void {
  const parts = [key >>> 24, (key >>> 16) & 0xff, (key >>> 8) & 0xff, key & 0xff];
  for (let at = from; at < to; at++) bytes[at] ^= parts[(at - from) & 3];
}

/** Words at every length, as `applyMask` does it for long ones. `from` is aligned. */
function maskByWords(bytes: Uint8Array, from: number, to: number, key: number): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) >>> 2);
  const word = (key << 24) | ((key & 0xff00) << 8) | ((key >>> 8) & 0xff00) | (key >>> 24);
  for (let i = 0; i < words.length; i++) words[i] ^= word;
  maskByBytes(bytes, from + (words.length << 2), to, key);
}

function maskAgain(length: number, count: number, mask: typeof applyMask): number {
  const bytes = patternBytes(PAYLOAD_AT + length);
  for (let i = 0; i < count; i++) mask(bytes, PAYLOAD_AT, PAYLOAD_AT + length, KEY + i);
  return checksum(bytes);
}

/** Frames of a client, each sent before the next is made. */
function maskFrames(
  count: number,
  take: (length: number) => Uint8Array,
  message: Uint8Array = patternBytes(MESSAGE_BYTES),
): [number, number] {
  let length = 0;
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) {
    last = encodeFrame(Opcode.binary, [message], KEY + i, take) as Uint8Array<ArrayBuffer>;
    length += last.length;
    release(last);
  }
  return [length, checksum(last)];
}

function countKeys(count: number, next: () => number): number {
  let valid = 0;
  for (let i = 0; i < count; i++) {
    const key = next();
    if (key >>> 0 === key) valid++;
  }
  return valid;
}

/** Messages as a server sends them, one behind the other, as a socket reads them. */
function readsOf(content: Uint8Array, messageBytes: number, opcode: 0x1 | 0x2): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += messageBytes) {
    frames.push(encodeFrame(opcode, [content.slice(at, at + messageBytes)], null));
  }
  const stream = concat(frames, frames.reduce((sum, { length }) => sum + length, 0));
  const reads: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += READ_BYTES) reads.push(stream.slice(at, at + READ_BYTES));
  return reads;
}

type Data = Uint8Array | string;

/** Parses the reads `count` times. Returns the bytes of payload, and the sum of some that all messages have. */
function parseReads(
  count: number,
  reads: readonly Uint8Array[],
  text: "string" | "bytes" = "bytes",
  take: (data: Data) => Data = (data) => data,
): [number, number] {
  let length = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const parser = new MessageParser({ role: "client", text });
    for (const read of reads) {
      parser.push(read);
      for (let incoming = parser.next(); incoming !== null; incoming = parser.next()) {
        if (incoming.kind !== "message") throw new Error(`A ${incoming.kind} came where messages were sent`);
        const data = take(incoming.data);
        length += data.length;
        for (let at = 0; at < data.length; at += SAMPLE_STEP) {
          sum += typeof data === "string" ? data.charCodeAt(at) : data[at];
        }
      }
    }
  }
  return [length, sum];
}

/** A message of 64 KiB that comes in reads of 4 KiB, as over a slow path. */
function assemble(count: number, join: (pieces: readonly Uint8Array[], total: number) => Uint8Array): [number, number] {
  const whole = patternBytes(64 * 1024);
  const pieces = Array.from({ length: 16 }, (_, i) => whole.subarray(i * 4096, (i + 1) * 4096));
  let length = 0;
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) {
    last = join(pieces, whole.length) as Uint8Array<ArrayBuffer>;
    length += last.length;
  }
  return [length, checksum(last)];
}

const text = JSON.stringify({ type: "http_response_start", request_id: "7f3a-19", status: 200, headers: {} });

function frameTexts(count: number, make: (text: string, key: number) => Uint8Array): [number, number] {
  let length = 0;
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) {
    last = make(text, KEY + i) as Uint8Array<ArrayBuffer>;
    length += last.length;
  }
  return [length, checksum(last)];
}

/** Bytes in letters and digits. */
const textBytes = (length: number): Uint8Array => patternBytes(length).map((byte) => 0x30 + (byte & 0x3f));

export const websocketCases: readonly Case[] = [
  /** A client masks what it sends (RFC 6455 §5.3): a word at a time, four words in a step. */
  inProcess({
    name: "mask-words",
    source: "websocket/mask.ts",
    with: "57 KiB masked word by word",
    without: "byte by byte",
    bytes: DATA_BYTES,
    checkedCount: 50,
    setUp: () => ({
      with: (count) => maskAgain(DATA_BYTES, count, applyMask),
      without: (count) => maskAgain(DATA_BYTES, count, maskByBytes),
    }),
  }),

  /** Short frames are masked byte by byte, because a view of words costs more than it saves. */
  inProcess({
    name: "mask-short",
    source: "websocket/mask.ts",
    with: "32 bytes masked byte by byte",
    without: "word by word",
    operation: "frame",
    perRequest: 2,
    setUp: () => ({
      with: (count) => maskAgain(SHORT_BYTES, count, applyMask),
      without: (count) => maskAgain(SHORT_BYTES, count, maskByWords),
    }),
  }),

  /** Masking keys are drawn from the system a thousand at a time. */
  inProcess({
    name: "mask-keys",
    source: "websocket/mask.ts",
    with: "keys drawn a thousand at a time",
    without: "one at a time",
    operation: "key",
    perRequest: 1,
    setUp: () => {
      const one = new Uint32Array(1);
      return {
        with: (count) => countKeys(count, nextMaskKey),
        without: (count) => countKeys(count, () => crypto.getRandomValues(one)[0]),
      };
    },
  }),

  /** Large frames are masked in one block, used again once it was sent: new memory takes a page fault every 4 KiB. */
  inProcess({
    name: "mask-buffer",
    source: "websocket/mask_buffer.ts",
    with: "frames of 57 KiB made in the same block",
    without: "each in new memory",
    bytes: MESSAGE_BYTES,
    checkedCount: 50,
    setUp: () => {
      const buffer = new MaskBuffer();
      return {
        with: (count) => maskFrames(count, (length) => buffer.take(length, true)),
        without: (count) => maskFrames(count, (length) => new Uint8Array(length)),
      };
    },
  }),

  /** In memory of WebAssembly vector instructions mask. */
  inProcess({
    name: "mask-vectors",
    source: "websocket/mask_memory.ts",
    with: "frames of 57 KiB masked 16 bytes at a time, in memory of WebAssembly",
    without: "word by word, in common memory",
    bytes: MESSAGE_BYTES,
    checkedCount: 50,
    setUp: () => {
      const vectors = allocateMaskMemory(2 * MESSAGE_BYTES);
      const words = new Uint8Array(2 * MESSAGE_BYTES);
      return {
        with: (count) => maskFrames(count, (length) => vectors.subarray(MID_PAGE, MID_PAGE + length)),
        without: (count) => maskFrames(count, (length) => words.subarray(MID_PAGE, MID_PAGE + length)),
      };
    },
  }),

  /** A copy from where a page begins to a few bytes behind where another does stalls the processor (4K aliasing). */
  inProcess({
    name: "mid-page-frames",
    source: "websocket/mask_buffer.ts",
    with: "frames of 57 KiB that begin in the middle of a page",
    without: "where a page begins, as does what is copied there",
    bytes: MESSAGE_BYTES,
    checkedCount: 50,
    setUp: () => {
      const block = allocateMaskMemory(2 * MESSAGE_BYTES);
      const message = allocateMaskMemory(MESSAGE_BYTES).subarray(0, MESSAGE_BYTES);
      message.set(patternBytes(MESSAGE_BYTES));
      return {
        with: (count) => maskFrames(count, (length) => block.subarray(MID_PAGE, MID_PAGE + length), message),
        without: (count) => maskFrames(count, (length) => block.subarray(0, length), message),
      };
    },
  }),

  /** A short text is encoded where its frame will be, and the head is put in front of it. */
  inProcess({
    name: "text-frame",
    source: "websocket/writer.ts",
    with: "a text encoded into its frame",
    without: "encoded by itself and copied",
    operation: "message",
    setUp: () => ({
      with: (count) => frameTexts(count, encodeTextFrame),
      without: (count) => {
        const encoder = new TextEncoder();
        return frameTexts(count, (text, key) => encodeFrame(Opcode.text, [encoder.encode(text)], key));
      },
    }),
  }),

  /** DATA stays where it is until its WebSocket frame is made, which copies it once. */
  inProcess({
    name: "referenced-data",
    source: "httpstream/wire/encode.ts",
    with: "DATA of 57 KiB copied once, into its masked frame",
    without: "copied into its message before",
    bytes: DATA_BYTES,
    checkedCount: 50,
    setUp: () => {
      const payload = patternBytes(DATA_BYTES);
      const builder = new MessageBuilder();
      const buffer = new MaskBuffer();
      const send = (count: number, parts: () => Uint8Array[]): [number, number] => {
        let length = 0;
        let last = new Uint8Array(0);
        for (let i = 0; i < count; i++) {
          builder.data(1, payload, false);
          const take = (length: number) => buffer.take(length, true);
          last = encodeFrame(Opcode.binary, parts(), KEY, take) as Uint8Array<ArrayBuffer>;
          length += last.length;
          release(last);
        }
        return [length, checksum(last)];
      };
      return {
        with: (count) => send(count, () => builder.take()),
        without: (count) => send(count, () => [concat(builder.take(), MESSAGE_BYTES)]),
      };
    },
  }),

  /** A message that lies whole in a read is handed over as a view of the read. */
  inProcess({
    name: "payload-views",
    source: "websocket/parser.ts",
    with: "payloads as views of the read",
    without: "copied out",
    bytes: STREAM_BYTES,
    checkedCount: 2,
    setUp: () => {
      const reads = readsOf(patternBytes(STREAM_BYTES), 64 * 1024, Opcode.binary);
      return {
        with: (count) => parseReads(count, reads),
        without: (count) => parseReads(count, reads, "bytes", (data) => (data as Uint8Array).slice()),
      };
    },
  }),

  /** Messages of bulk are small: a read cuts through one at its end, which must then be copied together. */
  inProcess({
    name: "bulk-messages",
    source: "httpstream/outgoing_message.ts",
    with: "reads of 512 KiB in messages of 64 KiB",
    without: "in messages of 256 KiB",
    bytes: STREAM_BYTES,
    checkedCount: 2,
    setUp: () => {
      const content = patternBytes(STREAM_BYTES);
      const small = readsOf(content, 64 * 1024, Opcode.binary);
      const large = readsOf(content, 256 * 1024, Opcode.binary);
      return { with: (count) => parseReads(count, small), without: (count) => parseReads(count, large) };
    },
  }),

  /** A message that comes in pieces is joined as they come, in a buffer of its announced length. */
  inProcess({
    name: "payload-buffer",
    source: "websocket/payload_buffer.ts",
    with: "16 pieces of 4 KiB joined as they come",
    without: "listed, and joined at the end",
    bytes: 64 * 1024,
    checkedCount: 50,
    setUp: () => {
      const assembly = new PayloadBuffer();
      return {
        with: (count) =>
          assemble(count, (pieces, total) => {
            for (const piece of pieces) assembly.append(piece, 0, piece.length, total, total);
            return assembly.take();
          }),
        without: (count) =>
          assemble(count, (pieces, total) => {
            const list: Uint8Array[] = [];
            for (const piece of pieces) list.push(piece);
            return concat(list, total);
          }),
      };
    },
  }),

  /** Text of the JSON protocol stays bytes where nobody needs a string of it; that it is UTF-8 is checked either way. */
  inProcess({
    name: "text-as-bytes",
    source: "websocket/parser.ts",
    with: "text messages of 64 KiB checked and left as bytes",
    without: "decoded into strings",
    bytes: STREAM_BYTES,
    checkedCount: 2,
    setUp: () => {
      const reads = readsOf(textBytes(STREAM_BYTES), 64 * 1024, Opcode.text);
      return { with: (count) => parseReads(count, reads), without: (count) => parseReads(count, reads, "string") };
    },
  }),
];
