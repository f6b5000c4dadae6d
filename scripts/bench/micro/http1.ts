/** Cases of `src/http1/codec`: heads and chunked bodies as bytes. */
import { Buffer } from "node:buffer";
import { type Case, inProcess } from "./harness.ts";
import { answerFields, checksum, head, namePattern, patternBytes, requestFields, valuePattern } from "./samples.ts";
import {
  BodyDecoder,
  BodyPump,
  BodySource,
  chunkedBody,
  decodeRead,
  encodeResponseHead,
  endToEndFields,
  type Fields,
  fieldValue,
  gatherFacts,
  listHasToken,
  parseLength,
  RequestParser,
} from "./subjects.ts";

/** A body of small chunks, as a server that streams events or rows sends it. */
const RUN_BYTES = 512;
const RUNS = 128;

interface Head {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly keepAlive: boolean;
  readonly fields: Fields;
}

/** A head as text, cut into lines. Checks the same as far as a right head goes. */
function parsePlainly(bytes: Uint8Array): Head {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const [startLine, ...lines] = text.slice(0, end).split("\r\n");
  const [method, target, version] = startLine.split(" ");
  if (!namePattern.test(method) || version !== "HTTP/1.1") throw new Error(`No request line: ${startLine}`);
  const fields: string[] = [];
  let authority = "";
  let connection = "";
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (!namePattern.test(name) || !valuePattern.test(value)) throw new Error(`No field: ${line}`);
    const lowerName = name.toLowerCase();
    if (lowerName === "host") authority = value;
    else if (lowerName === "connection") connection = value.toLowerCase();
    else fields.push(name, value);
  }
  return { method, target, authority, keepAlive: connection !== "close", fields };
}

function parseHeads(count: number, parse: (bytes: Uint8Array) => Head): unknown {
  let length = 0;
  let last: Head | null = null;
  for (let i = 0; i < count; i++) {
    last = parse(head.bytes);
    length += last.fields.length + last.target.length;
  }
  const { method, target, authority, keepAlive, fields } = last!;
  return { length, method, target, authority, keepAlive, fields };
}

const encoder = new TextEncoder();

/** A head put together as text, and checked by regular expressions. Right for ASCII alone, which is the fastest. */
function encodePlainly(fields: Fields): Uint8Array {
  let text = "HTTP/1.1 200 OK\r\n";
  for (let i = 0; i < fields.length; i += 2) {
    if (!namePattern.test(fields[i]) || !valuePattern.test(fields[i + 1])) throw new Error(`No field: ${fields[i]}`);
    text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  }
  return encoder.encode(`${text}\r\n`);
}

function encodeHeads(count: number, encode: (fields: Fields) => Uint8Array): [number, number] {
  let length = 0;
  let last = new Uint8Array(0);
  for (let i = 0; i < count; i++) length += (last = encode(answerFields) as Uint8Array<ArrayBuffer>).length;
  return [length, checksum(last)];
}

interface Facts {
  readonly host: string | undefined;
  readonly contentLength: number;
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly asksUpgrade: boolean;
  readonly fields: Fields;
}

/** What a head says, with a look through all fields for each question. */
function gatherPlainly(fields: Fields): Facts {
  const length = fieldValue(fields, "content-length");
  const connection = fieldValue(fields, "connection") ?? "";
  fieldValue(fields, "transfer-encoding");
  fieldValue(fields, "upgrade");
  fieldValue(fields, "te");
  const thinned = endToEndFields(fields);
  return {
    host: fieldValue(fields, "host"),
    contentLength: length === undefined ? -1 : parseLength(length),
    close: listHasToken(connection, "close"),
    keepAlive: listHasToken(connection, "keep-alive"),
    asksUpgrade: listHasToken(connection, "upgrade"),
    fields: thinned.filter((_, i) => thinned[i & ~1].toLowerCase() !== "host"),
  };
}

/** Both sides get an array of their own, which `gatherFacts` takes over. */
function gatherAll(count: number, gather: (fields: string[]) => Facts): unknown {
  let length = 0;
  let last: Facts | null = null;
  for (let i = 0; i < count; i++) {
    last = gather(requestFields.slice());
    length += last.fields.length;
  }
  const { host, contentLength, close, keepAlive, asksUpgrade, fields } = last!;
  return { length, host, contentLength, close, keepAlive, asksUpgrade, fields };
}

/** One read of a chunked body that goes on. */
function chunkedRead(): Uint8Array {
  const content = patternBytes(RUN_BYTES);
  const header = encoder.encode(`${RUN_BYTES.toString(16)}\r\n`);
  const framed = new Uint8Array(header.length + RUN_BYTES + 2);
  framed.set(header);
  framed.set(content, header.length);
  framed.set([0x0d, 0x0a], header.length + RUN_BYTES);
  const read = new Uint8Array(framed.length * RUNS);
  for (let i = 0; i < RUNS; i++) read.set(framed, i * framed.length);
  return read;
}

/** Decodes reads and sends their content on as a body. Returns how many bytes left, and the sum of some of them. */
async function decodeReads(
  count: number,
  decode: (decoder: BodyDecoder, read: Uint8Array, push: (content: Uint8Array) => void) => void,
): Promise<[number, number]> {
  const read = chunkedRead();
  const decoder = new BodyDecoder(chunkedBody);
  const source = new BodySource({ onPull() {}, onCancel() {} });
  let bytes = 0;
  let sum = 0;
  const pump = new BodyPump(source.stream, {
    write(content) {
      bytes += content.length;
      // A few bytes of each run, at the same places whatever the pieces are.
      for (let at = 0; at < content.length; at += RUN_BYTES) sum += content[at] + content[at + RUN_BYTES - 1];
      return true;
    },
    end() {},
    fail(error) {
      throw error;
    },
  }, null);
  const sent = pump.run();
  for (let i = 0; i < count; i++) {
    // The decoder writes into what it reads.
    decode(decoder, read.slice(), (content) => source.push(content));
    while (bytes < (i + 1) * RUN_BYTES * RUNS) await Promise.resolve();
  }
  source.end();
  await sent;
  return [bytes, sum];
}

export const http1Cases: readonly Case[] = [
  /** A head is read in place, each byte looked at once, and becomes strings only where strings are needed. */
  inProcess({
    name: "head-parser",
    source: "http1/codec/head_scanner.ts",
    with: "RequestParser",
    without: "the head as text, split into lines",
    operation: "head",
    perRequest: 2,
    setUp: () => {
      const parser = new RequestParser();
      return {
        with: (count) => parseHeads(count, (bytes) => parser.push(bytes)!),
        without: (count) => parseHeads(count, parsePlainly),
      };
    },
  }),

  /** All that a head says is gathered in one walk, and what goes on moves up in the same array. */
  inProcess({
    name: "head-facts",
    source: "http1/codec/head_facts.ts",
    with: "gatherFacts()",
    without: "a walk for each question",
    operation: "head",
    perRequest: 2,
    setUp: () => ({
      with: (count) => gatherAll(count, (fields) => gatherFacts(fields, "request")),
      without: (count) => gatherAll(count, gatherPlainly),
    }),
  }),

  /** A head is checked while it is written into a shared block: one pass, and no text in between. */
  inProcess({
    name: "head-encoder",
    source: "http1/codec/head_encoder.ts",
    with: "a head written byte by byte, and checked so",
    without: "texts joined, checked by regular expressions and encoded",
    operation: "head",
    perRequest: 2,
    setUp: () => {
      const framing = { kind: "length", length: 1024 } as const;
      return {
        with: (count) => encodeHeads(count, (fields) => encodeResponseHead({ status: 200, fields, framing })),
        without: (count) => encodeHeads(count, encodePlainly),
      };
    },
  }),

  /** The runs of a chunked body that came with one read are moved together, and go on as one chunk. */
  inProcess({
    name: "decode-read",
    source: "http1/codec/decode_read.ts",
    with: "128 runs of 512 bytes sent on as one chunk",
    without: "as 128 chunks",
    bytes: RUN_BYTES * RUNS,
    checkedCount: 20,
    setUp: () => ({
      with: (count) => decodeReads(count, (decoder, read, push) => push(decodeRead(decoder, read).content)),
      without: (count) => decodeReads(count, (decoder, read, push) => void decoder.push(read, push)),
    }),
  }),
];
