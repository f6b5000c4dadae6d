import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { internedLatin1, latin1 } from "../../src/base/latin1.ts";

const textOf = (bytes: Uint8Array) => String.fromCharCode(...bytes);

describe("internedLatin1", () => {
  it("gives the text of the bytes when others of the same length, ends and middle came before", () => {
    // Few different bytes, so that texts meet in the same place again and again.
    const bytes = fc.uint8Array({ min: 0x61, max: 0x63, maxLength: 80 });
    fc.assert(fc.property(fc.array(bytes, { minLength: 20 }), (texts) => {
      for (const text of texts) assert.equal(internedLatin1(text, 0, text.length), textOf(text));
    }));
  });

  it("gives code points up to 0xFF when bytes are above 0x7F", () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    for (let start = 0; start < 256; start += 32) {
      for (let again = 0; again < 2; again++) {
        assert.equal(internedLatin1(all, start, start + 32), textOf(all.subarray(start, start + 32)));
      }
    }
    assert.equal(latin1(all, 0, 256), textOf(all));
  });

  it("reads nothing beyond its part when the bytes are a view of more", () => {
    const bytes = new TextEncoder().encode("xxHostxx").subarray(1, 7);
    assert.equal(internedLatin1(bytes, 1, 5), "Host");
    assert.equal(internedLatin1(bytes, 3, 3), "");
  });
});
