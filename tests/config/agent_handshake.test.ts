import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseFeatures } from "../../src/config/mod.ts";

describe("parseFeatures", () => {
  const cases: [text: string, names: string[]][] = [
    ["", []],
    ["http", ["http"]],
    ["http, host-header ,upgrade,", ["http", "host-header", "upgrade"]],
    ["http,http", ["http"]],
    ["HTTP, a b, -x, ü, __proto__, x_y, ok1", ["ok1"]],
    [`${"x".repeat(64)},${"y".repeat(65)}`, ["x".repeat(64)]],
  ];
  for (const [text, names] of cases) {
    it(`reads ${JSON.stringify(text.slice(0, 50))}`, () => assert.deepEqual([...parseFeatures(text)], names));
  }

  it("reads 64 names, and none beyond", () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `f${index}`);
    assert.deepEqual([...parseFeatures(names.slice(0, 64).join())], names.slice(0, 64));
    assert.deepEqual([...parseFeatures(names.join())], names.slice(0, 64));
  });
});
