import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readU16, readU32, writeU16, writeU32 } from "../../src/base/integers.ts";

describe("integers", () => {
  it("are read as they were written, up to the largest", () => {
    for (const value of [0, 1, 0x1234, 0x8000, 0xffff]) {
      const bytes = new Uint8Array(4);
      writeU16(bytes, 1, value);
      assert.deepEqual([...bytes], [0, value >>> 8, value & 0xff, 0]);
      assert.equal(readU16(bytes, 1), value);
    }
    for (const value of [0, 0x01020304, 0x7fffffff, 0x80000000, 0xffffffff]) {
      const bytes = new Uint8Array(6);
      writeU32(bytes, 1, value);
      assert.equal(new DataView(bytes.buffer).getUint32(1), value);
      assert.equal(readU32(bytes, 1), value);
    }
  });
});
