import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { printable, printablePath } from "../../src/cli/printable.ts";

describe("printable", () => {
  it("shows controls, and leaves the rest, when a text would move the cursor", () => {
    assert.equal(printable("a\x1b[2J\r\n\x9bmé …"), "a\\x1b[2J\\x0d\\x0a\\x9bmé …");
  });
});

describe("printablePath", () => {
  it("is ASCII alone when a path has raw bytes", () => {
    assert.equal(printablePath("/a%2F\xc3\xa9\x9b\x1b?"), "/a%2F%C3%A9%9B%1B?");
  });
});
