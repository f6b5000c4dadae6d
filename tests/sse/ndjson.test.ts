import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MessageFormatError, ndjsonLine, NdjsonParser } from "../../src/sse/mod.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

function read(chunks: readonly Uint8Array[], maxLineBytes?: number): unknown[] {
  const values: unknown[] = [];
  const parser = new NdjsonParser((value) => values.push(value), { maxLineBytes });
  for (const chunk of chunks) parser.push(chunk);
  return values;
}

describe("NdjsonParser", () => {
  const cases: readonly [text: string, values: readonly unknown[]][] = [
    ['{"a":1}\n[2]\n"ü𝄞"\nnull\n', [{ a: 1 }, [2], "ü𝄞", null]],
    ['{"a":1}\r\n{"a":2}\r\n', [{ a: 1 }, { a: 2 }]],
    ['\n \n\r\n{"a":1}\n\n', [{ a: 1 }]],
    [' {"a": 1} \n', [{ a: 1 }]],
    ["12\n34", [12]],
    ['{"a":"x\\ny"}\n', [{ a: "x\ny" }]],
    ["", []],
  ];
  for (const [text, values] of cases) {
    it(`tells the values of ${JSON.stringify(text)}, wherever it is cut`, () => {
      const bytes = bytesOf(text);
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), values, `cut at ${at}`);
      }
      assert.deepEqual(read(Array.from(bytes, (byte) => Uint8Array.of(byte))), values);
    });
  }

  it("tells a value as soon as its line is whole", () => {
    assert.deepEqual(read([bytesOf('{"a":1}')]), []);
    assert.deepEqual(read([bytesOf('{"a":1}'), bytesOf("\n")]), [{ a: 1 }]);
  });

  it("refuses a line that is no JSON, and shows its beginning", () => {
    assert.throws(() => read([bytesOf(`1\n{"a":${"x".repeat(100)}\n`)]), (error: unknown) => {
      assert.ok(error instanceof MessageFormatError);
      assert.equal(error.code, "bad_json");
      assert.match(error.reason, /^The line "\{\\"a\\":x{35}" is no JSON: /);
      return true;
    });
  });

  it("refuses a line over its limit, whole, in parts and without an end", () => {
    assert.deepEqual(read([bytesOf(`"${"x".repeat(98)}"\n`)], 100), ["x".repeat(98)]);
    for (
      const chunks of [
        [`"${"x".repeat(99)}"\n`],
        [`"${"x".repeat(99)}`, '"'],
        Array.from({ length: 101 }, () => "1"),
      ]
    ) {
      assert.throws(() => read(chunks.map(bytesOf), 100), { code: "line_too_long" });
    }
  });
});

describe("ndjsonLine", () => {
  it("is read back by the parser, whatever the value", () => {
    fc.assert(fc.property(fc.array(fc.jsonValue()), (values) => {
      const text = values.map((value) => ndjsonLine(JSON.stringify(value))).join("");
      assert.deepEqual(read([bytesOf(text)]), JSON.parse(JSON.stringify(values)));
    }));
  });

  it("refuses a text of several lines, which would be several values", () => {
    for (const json of ["{\n}", "1\r2", "1\n"]) assert.throws(() => ndjsonLine(json), TypeError);
  });
});
