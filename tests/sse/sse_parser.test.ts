import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MessageFormatError, type SseEvent, SseParser, type SseParserOptions } from "../../src/sse/mod.ts";
import { moreCases, platformCases, type StreamCase } from "./event_streams.ts";

const bytesOf = (stream: string | Uint8Array) => typeof stream === "string" ? new TextEncoder().encode(stream) : stream;

/** What a parser tells of `chunks`. */
function read(chunks: readonly Uint8Array[], options: SseParserOptions = {}) {
  const events: [string, string, string][] = [];
  const retries: number[] = [];
  const onEvent = ({ type, data, id }: SseEvent) => void events.push([type, data, id]);
  const parser = new SseParser(onEvent, { onRetry: (delayMs) => void retries.push(delayMs), ...options });
  for (const chunk of chunks) parser.push(chunk);
  return { events, retries, lastEventId: parser.lastEventId };
}

function expected({ events, lastEventId, retries }: StreamCase) {
  return { events, retries: retries ?? [], lastEventId: lastEventId ?? events.at(-1)?.[2] ?? "" };
}

describe("SseParser", () => {
  for (const [title, cases] of [["web platform test", platformCases], ["case", moreCases]] as const) {
    for (const item of cases) {
      it(`tells what the stream means, wherever it is cut, in the ${title} ${item.name}`, () => {
        const bytes = bytesOf(item.stream);
        assert.deepEqual(read([bytes]), expected(item));
        assert.deepEqual(read(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected(item));
        for (let at = 0; at <= Math.min(bytes.length, 200); at++) {
          assert.deepEqual(
            read([bytes.subarray(0, at), new Uint8Array(), bytes.subarray(at)]),
            expected(item),
            `cut at ${at}`,
          );
        }
      });
    }
  }

  it("tells an event when its last byte is there, with each line end", () => {
    for (const end of ["\n", "\r", "\r\n"]) {
      const bytes = bytesOf(`data: a${end}${end}`);
      const due = end === "\r\n" ? bytes.length - 1 : bytes.length;
      for (let count = 0; count <= bytes.length; count++) {
        assert.equal(read([bytes.subarray(0, count)]).events.length, count >= due ? 1 : 0, `${count} bytes`);
      }
    }
  });

  it("does not keep the bytes that it is given", () => {
    const chunk = bytesOf("data: one");
    const events: SseEvent[] = [];
    const parser = new SseParser((event) => events.push(event));
    parser.push(chunk);
    chunk.fill(0x78);
    parser.push(bytesOf("\n\n"));
    assert.equal(events[0]?.data, "one");
  });

  const refused = (chunks: readonly string[], maxEventBytes: number, code: string) => {
    const error = (thrown: unknown) => thrown instanceof MessageFormatError && thrown.code === code;
    assert.throws(() => read(chunks.map(bytesOf), { maxEventBytes }), error);
  };

  it("refuses a line over the limit, whole, in parts and where no end comes", () => {
    assert.equal(read([bytesOf(`data: ${"x".repeat(93)}\n\n`)], { maxEventBytes: 100 }).events.length, 1);
    refused([`data: ${"x".repeat(95)}\n\n`], 100, "line_too_long");
    refused(["data: ", ...Array.from({ length: 95 }, () => "x")], 100, "line_too_long");
    refused([`: ${"x".repeat(99)}`], 100, "line_too_long");
  });

  it("refuses an event over the limit, whichever its lines, and counts anew behind it", () => {
    const line = `data: ${"x".repeat(20)}\n`;
    const event = `${line.repeat(3)}\n`;
    assert.equal(read([bytesOf(event.repeat(50))], { maxEventBytes: 100 }).events.length, 50);
    for (
      const longer of [line, `event: ${"x".repeat(20)}\n`, `id: ${"x".repeat(20)}\n`, `other: ${"x".repeat(20)}\n`]
    ) {
      refused([line.repeat(3), longer], 100, "event_too_large");
    }
  });

  it("takes comments without an empty line for ever", () => {
    const { events } = read(
      Array.from({ length: 1_000 }, () => bytesOf(": keepalive\n")).concat(bytesOf("data: a\n\n")),
      {
        maxEventBytes: 100,
      },
    );
    assert.deepEqual(events, [["message", "a", ""]]);
  });

  it("tells the same of a stream in any pieces", () => {
    const parts = fc.constantFrom(
      "data",
      "id",
      "event",
      "retry",
      ":",
      " ",
      "\n",
      "\r",
      "\r\n",
      "\n\n",
      "\u{feff}",
      "\0",
      "7",
      "ü𝄞",
    );
    fc.assert(fc.property(fc.array(parts, { maxLength: 40 }), fc.array(fc.nat(6), { minLength: 1 }), (texts, sizes) => {
      const bytes = bytesOf(texts.join(""));
      const chunks: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length]! + 1;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(read(chunks), read([bytes]));
    }));
  });
});
