/** Cases of `src/http`: fields and bodies of messages. */
import { type Case, inProcess } from "./harness.ts";
import { answerFields, namePattern, patternBytes, requestFields } from "./samples.ts";
import {
  BodyPump,
  type BodySink,
  BodySource,
  endToEndFields,
  equalsLower,
  type Fields,
  fieldValue,
  isHopByHop,
  isToken,
  observeBody,
  parseLength,
  type RequestHead,
  streamOf,
  withFields,
} from "./subjects.ts";

const names = requestFields.filter((_, i) => i % 2 === 0);
const lengths = ["1024", "0", "268435456", "17", "1073741824", "x12", "99", "4096"];
const hopByHopNames: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"],
]);
const chunk = patternBytes(1024);
const CHUNKS_PER_BODY = 256;

function countNames(count: number, matches: (name: string) => boolean): number {
  let matched = 0;
  for (let i = 0; i < count; i++) if (matches(names[i % names.length])) matched++;
  return matched;
}

interface Field {
  readonly name: string;
  readonly value: string;
}

/** What becomes of the fields of a message on its way: made, looked into, thinned, written. As a flat row. */
function passFlat(fields: Fields): number {
  const row: string[] = [];
  for (let i = 0; i < fields.length; i += 2) row.push(fields[i], fields[i + 1]);
  let length = 0;
  for (const name of ["content-length", "connection", "cookie"]) length += fieldValue(row, name)?.length ?? 0;
  const kept: string[] = [];
  for (let i = 0; i < row.length; i += 2) if (!isHopByHop(row[i])) kept.push(row[i], row[i + 1]);
  for (let i = 0; i < kept.length; i += 2) length += kept[i].length + kept[i + 1].length + 4;
  return length;
}

/** The same with an object for each field. */
function passObjects(fields: Fields): number {
  const row: Field[] = [];
  for (let i = 0; i < fields.length; i += 2) row.push({ name: fields[i], value: fields[i + 1] });
  let length = 0;
  for (const wanted of ["content-length", "connection", "cookie"]) {
    length += row.find(({ name }) => equalsLower(name, wanted))?.value.length ?? 0;
  }
  const kept: Field[] = [];
  for (const field of row) if (!isHopByHop(field.name)) kept.push(field);
  for (const { name, value } of kept) length += name.length + value.length + 4;
  return length;
}

/** The same with a Map by names in lower case, as `Headers` are. */
function passMap(fields: Fields): number {
  const map = new Map<string, Field[]>();
  for (let i = 0; i < fields.length; i += 2) {
    const key = fields[i].toLowerCase();
    const field = { name: fields[i], value: fields[i + 1] };
    const others = map.get(key);
    if (others === undefined) map.set(key, [field]);
    else others.push(field);
  }
  let length = 0;
  for (const name of ["content-length", "connection", "cookie"]) length += map.get(name)?.[0].value.length ?? 0;
  for (const [key, values] of map) {
    if (hopByHopNames.has(key)) continue;
    for (const { name, value } of values) length += name.length + value.length + 4;
  }
  return length;
}

function passFields(count: number, pass: (fields: Fields) => number): number {
  let length = 0;
  for (let i = 0; i < count; i++) length += pass((i & 1) === 0 ? requestFields : answerFields);
  return length;
}

class CountingSink implements BodySink {
  bytes = 0;
  ends = 0;

  write(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    return true;
  }

  end(): void {
    this.ends++;
  }

  fail(error: unknown): void {
    throw error;
  }
}

/** A body of `count` chunks, each made when it is pulled. */
function pulledBody(count: number): ReadableStream<Uint8Array> {
  let left = count;
  const source = new BodySource({
    onPull: () => left-- > 0 ? source.push(chunk) : source.end(),
    onCancel() {},
  });
  return source.stream;
}

function plainBody(count: number): ReadableStream<Uint8Array> {
  let left = count;
  return new ReadableStream<Uint8Array>({
    pull: (controller) => left-- > 0 ? controller.enqueue(chunk) : controller.close(),
  }, { highWaterMark: 0 });
}

/** `count` chunks, in bodies of 256. Returns the bytes that were sent. */
async function sendBodies(count: number, send: (chunks: number) => Promise<number>): Promise<number> {
  let bytes = 0;
  for (let left = count; left > 0; left -= CHUNKS_PER_BODY) bytes += await send(Math.min(left, CHUNKS_PER_BODY));
  return bytes;
}

async function readAll(body: ReadableStream<Uint8Array>): Promise<number> {
  const reader = body.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes += value.length;
  }
}

/** A request's head with all that it can have. */
const head: RequestHead = {
  method: "GET",
  target: "/account/orders?page=2",
  scheme: "https",
  authority: "demo.example.com",
  fields: requestFields,
  upgrade: undefined,
  client: "192.0.2.7",
  id: "7f3a-19",
  onInformational: undefined,
  trailers: undefined,
};

/** `count` copies; returns how many fields they have together. */
function copyHeads(count: number, copy: (head: RequestHead, fields: Fields) => RequestHead): [number, string] {
  let fields = 0;
  let last = head;
  for (let i = 0; i < count; i++) {
    last = copy(last, (i & 1) === 0 ? answerFields : requestFields);
    fields += last.fields.length;
  }
  return [fields, last.target + last.client + last.id];
}

export const httpCases: readonly Case[] = [
  /** Fields are one row of strings: it is made, walked and passed on without an object for each field. */
  inProcess({
    name: "flat-fields",
    source: "http/message.ts",
    with: "ten fields as a row of strings",
    without: "as an array of objects",
    operation: "head",
    perRequest: 4,
    setUp: () => ({
      with: (count) => passFields(count, passFlat),
      without: (count) => passFields(count, passObjects),
    }),
  }),

  /** The same beside a Map, which finds a name at once, but must be made for each head. */
  inProcess({
    name: "flat-fields-map",
    source: "http/message.ts",
    with: "ten fields as a row of strings",
    without: "as a Map by name",
    operation: "head",
    perRequest: 4,
    setUp: () => ({
      with: (count) => passFields(count, passFlat),
      without: (count) => passFields(count, passMap),
    }),
  }),

  /** Names are compared without case character by character, so that no text in lower case is made. */
  inProcess({
    name: "equals-lower",
    source: "http/fields.ts",
    with: "equalsLower()",
    without: "toLowerCase() and ===",
    operation: "name",
    perRequest: 80,
    setUp: () => ({
      with: (count) => countNames(count, (name) => equalsLower(name, "connection")),
      without: (count) => countNames(count, (name) => name.toLowerCase() === "connection"),
    }),
  }),

  /** The length of a name tells which of the six hop-by-hop names it can be. */
  inProcess({
    name: "hop-by-hop",
    source: "http/fields.ts",
    with: "isHopByHop() by the name's length",
    without: "a Set of names in lower case",
    operation: "name",
    perRequest: 40,
    setUp: () => ({
      with: (count) => countNames(count, isHopByHop),
      without: (count) => countNames(count, (name) => hopByHopNames.has(name.toLowerCase())),
    }),
  }),

  /** Where no field goes, the same array goes on, and no copy of it. */
  inProcess({
    name: "same-fields",
    source: "http/fields.ts",
    with: "the fields themselves where none is removed",
    without: "a filtered copy",
    operation: "head",
    perRequest: 2,
    setUp: () => {
      const filtered = (fields: Fields): Fields => {
        let connection = "";
        for (let i = 0; i < fields.length; i += 2) {
          if (equalsLower(fields[i], "connection")) connection = fields[i + 1];
        }
        if (connection !== "") throw new Error(`A Connection field nominates ${connection}`);
        const kept: string[] = [];
        for (let i = 0; i < fields.length; i += 2) if (!isHopByHop(fields[i])) kept.push(fields[i], fields[i + 1]);
        return kept;
      };
      const thin = (count: number, filter: (fields: Fields) => Fields) => {
        let length = 0;
        for (let i = 0; i < count; i++) length += filter(answerFields).length;
        return length;
      };
      return { with: (count) => thin(count, endToEndFields), without: (count) => thin(count, filtered) };
    },
  }),

  /** Classes of bytes are tables of 256 entries, which one loop looks into. */
  inProcess({
    name: "byte-tables",
    source: "http/bytes.ts",
    with: "isToken() by a table",
    without: "a regular expression",
    operation: "name",
    perRequest: 4,
    setUp: () => ({
      with: (count) => countNames(count, isToken),
      without: (count) => countNames(count, (name) => namePattern.test(name)),
    }),
  }),

  /** A Content-Length is read digit by digit, in the pass that checks it. */
  inProcess({
    name: "parse-length",
    source: "http/fields.ts",
    with: "parseLength()",
    without: "a regular expression and Number()",
    operation: "length",
    perRequest: 4,
    setUp: () => {
      const add = (count: number, parse: (text: string) => number) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += parse(lengths[i & 7]);
        return sum;
      };
      const parsePlainly = (text: string): number => {
        const length = /^\d+$/.test(text) ? Number(text) : -1;
        return Number.isSafeInteger(length) ? length : -1;
      };
      return { with: (count) => add(count, parseLength), without: (count) => add(count, parsePlainly) };
    },
  }),

  /** The members of a head are named one by one, because a spread looks all of them up. */
  inProcess({
    name: "with-fields",
    source: "http/message.ts",
    with: "withFields()",
    without: "an object spread",
    operation: "head",
    perRequest: 2,
    setUp: () => ({
      with: (count) => copyHeads(count, withFields),
      without: (count) => copyHeads(count, (head, fields) => ({ ...head, fields })),
    }),
  }),

  /** One read and one call a chunk, where pipeTo() has a queue and promises on both sides. */
  inProcess({
    name: "body-pump",
    source: "http/body/pump.ts",
    with: "BodySource and BodyPump",
    without: "ReadableStream.pipeTo(WritableStream)",
    operation: "chunk",
    setUp: () => ({
      with: (count) =>
        sendBodies(count, async (chunks) => {
          const sink = new CountingSink();
          await new BodyPump(pulledBody(chunks), sink, null).run();
          return sink.bytes + sink.ends;
        }),
      without: (count) =>
        sendBodies(count, async (chunks) => {
          const sink = new CountingSink();
          await plainBody(chunks).pipeTo(
            new WritableStream({ write: (chunk) => void sink.write(chunk), close: () => sink.end() }),
          );
          return sink.bytes + sink.ends;
        }),
    }),
  }),

  /** A body is watched by a source that reads the one before it, and not by a stream with two queues. */
  inProcess({
    name: "observe-body",
    source: "http/body/observe_body.ts",
    with: "observeBody()",
    without: "a TransformStream",
    operation: "chunk",
    setUp: () => ({
      with: (count) =>
        sendBodies(count, async (chunks) => {
          let seen = 0;
          const body = observeBody(pulledBody(chunks), { onChunk: ({ length }) => void (seen += length) });
          return await readAll(body) + seen;
        }),
      without: (count) =>
        sendBodies(count, async (chunks) => {
          let seen = 0;
          const watcher = new TransformStream<Uint8Array, Uint8Array>({
            transform(chunk, controller) {
              seen += chunk.length;
              controller.enqueue(chunk);
            },
          });
          return await readAll(pulledBody(chunks).pipeThrough(watcher)) + seen;
        }),
    }),
  }),

  /** A small body whose end is here already is bytes, and no stream. */
  inProcess({
    name: "whole-bodies",
    source: "http/message.ts",
    with: "a small body as bytes",
    without: "as a stream of one chunk",
    operation: "body",
    perRequest: 3,
    setUp: () => ({
      with(count) {
        const sink = new CountingSink();
        for (let i = 0; i < count; i++) {
          sink.write(chunk);
          sink.end();
        }
        return sink.bytes + sink.ends;
      },
      async without(count) {
        const sink = new CountingSink();
        for (let i = 0; i < count; i++) await new BodyPump(streamOf(chunk), sink, chunk.length).run();
        return sink.bytes + sink.ends;
      },
    }),
  }),
];
