import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { printablePath } from "../../src/cli/printable.ts";

describe("printablePath", () => {
  it("is ASCII alone when a path has raw bytes", () => {
    assert.equal(printablePath("/a%2F\xc3\xa9\x9b\x1b?"), "/a%2F%C3%A9%9B%1B?");
  });
});
