import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatBytes, formatDuration, formatTimeOfDay } from "../../src/cli/figures.ts";

describe("formatBytes", () => {
  const cases = [[0, "0 B"], [1023, "1023 B"], [1024, "1.0 KiB"], [1_048_575, "1.0 MiB"], [5e9, "4.7 GiB"], [
    2 ** 60,
    "1048576.0 TiB",
  ]];
  for (const [bytes, text] of cases as [number, string][]) {
    it(`gives ${text} when there are ${bytes} bytes`, () => assert.equal(formatBytes(bytes), text));
  }
});

describe("formatDuration", () => {
  const cases = [[0, "0 ms"], [999, "999 ms"], [1000, "1.0 s"], [59_949, "59.9 s"], [59_999, "1m00s"], [
    200_000,
    "3m20s",
  ], [7_500_000, "2h05m"]];
  for (const [ms, text] of cases as [number, string][]) {
    it(`gives ${text} when it took ${ms} ms`, () => assert.equal(formatDuration(ms), text));
  }
});

describe("formatTimeOfDay", () => {
  it("has two digits each when the hour is early", () => {
    assert.equal(formatTimeOfDay(new Date(2026, 0, 2, 3, 4, 5)), "03:04:05");
  });
});
