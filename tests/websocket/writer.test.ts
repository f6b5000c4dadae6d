import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Opcode } from "../../src/websocket/frames.ts";
import { MessageParser } from "../../src/websocket/parser.ts";
import {
  encodeClosePayload,
  encodeFrame,
  encodeTextFrame,
  UNCOPIED_BYTES,
  writeFrame,
} from "../../src/websocket/writer.ts";
import { joinBytes, patternBytes, rawFrame } from "./support.ts";

const KEY = 0x01f2e3d4;

function written(parts: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  writeFrame(Opcode.binary, parts, (bytes) => pieces.push(bytes));
  return pieces;
}

describe("encodeFrame", () => {
  for (const length of [0, 1, 125, 126, 4_089, 65_535, 65_536, 1_048_576]) {
    it(`encodeFrame writes the shortest length when the payload has ${length} bytes`, () => {
      const payload = patternBytes(length);
      assert.deepEqual(encodeFrame(Opcode.binary, [payload], null), rawFrame({ opcode: 2, payload }));
      assert.deepEqual(encodeFrame(Opcode.binary, [payload], KEY), rawFrame({ opcode: 2, payload, key: KEY }));
    });
  }

  it("encodeFrame leaves the caller's bytes as they are when it masks", () => {
    const parts = [patternBytes(9), patternBytes(5_000, 3)];
    const bytes = encodeFrame(Opcode.binary, parts, KEY);
    assert.deepEqual(bytes, rawFrame({ opcode: 2, payload: joinBytes(parts), key: KEY }));
    assert.deepEqual(parts, [patternBytes(9), patternBytes(5_000, 3)]);
  });

  it("encodeFrame gives bytes of its own when many small frames are made", () => {
    const payloads = Array.from({ length: 200 }, (_, i) => patternBytes(i * 7, i));
    const frames = payloads.map((payload) => encodeFrame(Opcode.binary, [payload], KEY));
    frames.forEach((bytes, i) => assert.deepEqual(bytes, rawFrame({ opcode: 2, payload: payloads[i], key: KEY })));
  });
});

describe("encodeTextFrame", () => {
  it("encodeTextFrame writes UTF-8 when the text is any string", () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("é".repeat(62), "é".repeat(63), "a".repeat(1_360), "世".repeat(1_400), "a".repeat(70_000)),
    );
    fc.assert(fc.property(texts, fc.option(fc.integer({ min: 0, max: 0xffffffff })), (text, key) => {
      const expected = rawFrame({ opcode: 1, payload: text, key: key ?? undefined });
      assert.deepEqual(encodeTextFrame(text, key), expected);
    }));
  });

  it("encodeTextFrame gives what a parser reads back when a surrogate stands alone", () => {
    const parser = new MessageParser({ role: "client" });
    parser.push(encodeTextFrame("a\ud800b", null));
    assert.deepEqual(parser.next(), { kind: "message", data: "a\ufffdb" });
  });
});

describe("writeFrame", () => {
  it("writeFrame writes one message when the parts have any sizes", () => {
    const sizes = fc.array(fc.constantFrom(0, 1, 9, 1_000, UNCOPIED_BYTES - 1, UNCOPIED_BYTES, 70_000), {
      maxLength: 6,
    });
    fc.assert(fc.property(sizes, (lengths) => {
      const parts = lengths.map((length, i) => patternBytes(length, i));
      assert.deepEqual(joinBytes(written(parts)), rawFrame({ opcode: 2, payload: joinBytes(parts) }));
    }));
  });

  it("writeFrame joins small parts and passes big ones on when both stand in a message", () => {
    const big = patternBytes(UNCOPIED_BYTES);
    const pieces = written([patternBytes(9), big, patternBytes(9), patternBytes(20), big]);
    assert.deepEqual(pieces.map((piece) => piece.length), [13, UNCOPIED_BYTES, 29, UNCOPIED_BYTES]);
    assert.equal(pieces[1], big);
    assert.equal(pieces[3], big);
  });
});

describe("encodeClosePayload", () => {
  it("encodeClosePayload throws when the code must not be sent", () => {
    for (const code of [0, 999, 1004, 1006, 1015, 2999, 5000]) {
      assert.throws(() => encodeClosePayload(code, ""), new RangeError(`The close code ${code} must not be sent`));
    }
    assert.throws(() => encodeClosePayload(1005, "why"), RangeError);
  });

  it("encodeClosePayload throws when the reason is over 123 bytes of UTF-8", () => {
    assert.equal(encodeClosePayload(1000, "é".repeat(61)).length, 124);
    assert.throws(
      () => encodeClosePayload(1000, "é".repeat(62)),
      new RangeError("A close reason of 124 bytes is over 123"),
    );
  });
});
