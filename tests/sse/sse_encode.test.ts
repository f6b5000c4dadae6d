import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type SseBlock, sseComment, type SseEvent, sseEvent, SseParser } from "../../src/sse/mod.ts";
import { moreCases, platformCases } from "./event_streams.ts";

function read(text: string) {
  const events: [string, string, string][] = [];
  const retries: number[] = [];
  const onEvent = ({ type, data, id }: SseEvent) => void events.push([type, data, id]);
  const parser = new SseParser(onEvent, { onRetry: (delayMs) => void retries.push(delayMs) });
  parser.push(new TextEncoder().encode(text));
  return { events, retries, lastEventId: parser.lastEventId };
}

describe("sseEvent", () => {
  const cases: readonly [block: SseBlock, text: string][] = [
    [{ data: "a" }, "data: a\n\n"],
    [{ data: "" }, "data: \n\n"],
    [{ data: " a" }, "data:  a\n\n"],
    [{ data: ":" }, "data: :\n\n"],
    [{ data: "a\nb\rc\r\nd" }, "data: a\ndata: b\ndata: c\ndata: d\n\n"],
    [{ data: "\n" }, "data: \ndata: \n\n"],
    [{ type: "tick", id: "k3-1", data: "{}" }, "event: tick\nid: k3-1\ndata: {}\n\n"],
    [{ type: "message", data: "a" }, "data: a\n\n"],
    [{ id: "", data: "a" }, "id: \ndata: a\n\n"],
    [{ id: "5" }, "id: 5\n\n"],
    [{ retryMs: 1_500 }, "retry: 1500\n\n"],
  ];
  for (const [block, text] of cases) {
    it(`writes ${JSON.stringify(text)} for ${JSON.stringify(block)}`, () => assert.equal(sseEvent(block), text));
  }

  it("refuses what would become another event, or another field", () => {
    for (const text of ["a\nb", "a\rb", "a\r\nb", "\n"]) {
      assert.throws(() => sseEvent({ type: text }), {
        name: "TypeError",
        message: /type of an event has a line break/,
      });
      assert.throws(() => sseEvent({ id: text }), { name: "TypeError", message: /id of an event has a line break/ });
    }
    assert.throws(() => sseEvent({ id: "a\0" }), { name: "TypeError", message: /NULL/ });
    for (const retryMs of [-1, 1.5, NaN, Infinity]) assert.throws(() => sseEvent({ retryMs }), TypeError);
  });

  for (const { name, events } of [...platformCases, ...moreCases]) {
    it(`writes the events of ${name} so that they are read as they were`, () => {
      const text = events.map(([type, data, id]) => sseEvent({ type, data, id })).join(sseComment("between"));
      assert.deepEqual(read(text).events, events);
    });
  }

  it("is read back by the parser whatever stands in it", () => {
    const line = fc.string({ unit: "binary" }).map((text) => text.replaceAll(/[\r\n\0]/g, ""));
    const block = fc.record({
      type: line.filter((text) => text !== ""),
      id: line,
      data: fc.string({ unit: fc.constantFrom("a", " ", ":", "\n", "\r", "\0", "\u{feff}", "𝄞") }),
      retryMs: fc.nat(),
    });
    fc.assert(fc.property(fc.array(block, { maxLength: 5 }), (blocks) => {
      const told = read(blocks.map(sseEvent).join(""));
      const data = (text: string) => text.replaceAll(/\r\n?/g, "\n");
      assert.deepEqual(told.events, blocks.map((item) => [item.type, data(item.data), item.id]));
      assert.deepEqual(told.retries, blocks.map(({ retryMs }) => retryMs));
    }));
  });
});

describe("sseComment", () => {
  it("writes lines that no reader tells", () => {
    assert.equal(sseComment("connected"), ": connected\n\n");
    assert.equal(sseComment("a\r\ndata: b"), ": a\n: data: b\n\n");
    assert.deepEqual(read(sseComment("a\ndata: b\n\ndata: c")).events, []);
  });
});
