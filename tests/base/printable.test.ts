import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { printable, printableJson, printableLines } from "../../src/base/printable.ts";

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** What must not pass: controls, directions of reading, what shows as nothing, separators, single surrogates. */
const unsafe = [
  ...[...range(0, 0x1f), ...range(0x7f, 0x9f)],
  ...[0x61c, 0x200e, 0x200f, ...range(0x202a, 0x202e), ...range(0x2066, 0x2069)],
  ...[0xad, 0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0xfff9, 0xe0001, 0xe0041],
  ...[0x2028, 0x2029, 0xd800, 0xdbff, 0xdc00, 0xdfff],
];

/** Any text of few characters, single surrogates among them. */
const anyText = fc.array(fc.nat({ max: 0x10ffff }), { maxLength: 20 }).map((codes) => String.fromCodePoint(...codes));

describe("printable", () => {
  it("shows each unsafe character as its code", () => {
    for (const code of unsafe) {
      const shown = printable(`a${String.fromCodePoint(code)}b`);
      const hex = code.toString(16);
      const [begin, end] = code < 0x100 ? ["\\x", ""] : code < 0x10000 ? ["\\u", ""] : ["\\u{", "}"];
      assert.equal(shown, `a${begin}${hex.padStart(code < 0x100 ? 2 : 4, "0")}${end}b`);
    }
  });

  it("leaves everything that shows as itself", () => {
    for (const text of ["", "plain ASCII ~", "é … ñ", "中文 и кириллица", "שלום مرحبا", "😀", "C:\\x1b"]) {
      assert.equal(printable(text), text);
    }
    assert.equal(printable("a\x1b[2J\r\n\x9bmé …"), "a\\x1b[2J\\x0d\\x0a\\x9bmé …");
  });

  it("is the same when it is done twice", () => {
    fc.assert(fc.property(anyText, (text) => {
      assert.equal(printable(printable(text)), printable(text));
      assert.doesNotMatch(printable(text), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }));
  });
});

describe("printableLines", () => {
  it("indents the lines behind the first, so that none is forged", () => {
    assert.equal(
      printableLines("Error: a\nerror: b\x1b\r\n    at c"),
      "Error: a\n    error: b\\x1b\\x0d\n        at c",
    );
  });
});

describe("printableJson", () => {
  it("has the same value, in characters that are safe", () => {
    for (const code of unsafe) {
      const value = { key: `a${String.fromCodePoint(code)}é` };
      const json = printableJson(JSON.stringify(value));
      assert.deepEqual(JSON.parse(json), value);
      assert.doesNotMatch(json, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }
    fc.assert(fc.property(anyText, (text) => {
      assert.equal(JSON.parse(printableJson(JSON.stringify(text))), text);
    }));
  });
});
