import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wildcardOf } from "../../src/config/mod.ts";

describe("wildcardOf", () => {
  const cases: [host: string, wildcard: string | null][] = [
    ["a.example.com", "*.example.com"],
    ["a.b.example.com", "*.b.example.com"],
    ["example.com", "*.com"],
    ["localhost", null],
    [".com", null],
    ["", null],
  ];
  for (const [host, wildcard] of cases) {
    it(`is ${wildcard} for ${JSON.stringify(host)}`, () => assert.equal(wildcardOf(host), wildcard));
  }
});
