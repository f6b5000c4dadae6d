import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatTimeout, parseDuration, parseSize, parseTimeout } from "../../src/config/units.ts";

describe("parseDuration", () => {
  for (
    const [text, ms] of [["500ms", 500], ["30s", 30_000], ["5m", 300_000], ["1h", 3_600_000], ["90d", 7_776_000_000], [
      "1.5s",
      1500,
    ], ["0s", 0]] as const
  ) {
    it(`gives ${ms} ms when the text is ${text}`, () => assert.equal(parseDuration(text), ms));
  }

  for (const text of ["", "5", "s", "-5s", "5 s", "5S", "1h30m", "5w", "1e3s", "5constructor", "9999999999999s"]) {
    it(`gives null when the text is ${JSON.stringify(text)}`, () => assert.equal(parseDuration(text), null));
  }
});

describe("parseSize", () => {
  for (
    const [text, bytes] of [["0B", 0], ["64KiB", 65_536], ["4MiB", 4_194_304], ["1GiB", 1_073_741_824], [
      "0.5KiB",
      512,
    ]] as const
  ) {
    it(`gives ${bytes} bytes when the text is ${text}`, () => assert.equal(parseSize(text), bytes));
  }

  for (const text of ["", "64", "64KB", "64kib", "-1B", "1 KiB"]) {
    it(`gives null when the text is ${JSON.stringify(text)}`, () => assert.equal(parseSize(text), null));
  }
});

describe("parseTimeout", () => {
  for (const [text, ms] of [["off", Infinity], ["1ms", 1], ["90s", 90_000], ["1000h", 3_600_000_000]] as const) {
    it(`gives ${ms} ms when the text is ${text}`, () => assert.equal(parseTimeout(text), ms));
  }

  for (const text of ["", "0s", "0ms", "0.1ms", "OFF", "none", "-1s", "60", "1e3s"]) {
    it(`gives null when the text is ${JSON.stringify(text)}`, () => assert.equal(parseTimeout(text), null));
  }
});

describe("formatTimeout", () => {
  const table = [[Infinity, "off"], [60_000, "1m"], [90_000, "90s"], [1_500, "1500ms"], [7_200_000, "2h"], [
    172_800_000,
    "48h",
  ]] as const;
  for (const [ms, text] of table) {
    it(`writes ${text} when the timeout is ${ms} ms`, () => assert.equal(formatTimeout(ms), text));
  }

  it("is read as the same when the timeout is any", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 999_999_999_999 }), (ms) => {
      assert.equal(parseTimeout(formatTimeout(ms)), ms);
    }));
  });
});
