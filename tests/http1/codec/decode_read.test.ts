import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BodyDecoder } from "../../../src/http1/codec/body_decoder.ts";
import { decodeRead } from "../../../src/http1/codec/decode_read.ts";
import type { Framing } from "../../../src/http1/codec/framing.ts";
import { toBytes, toText } from "./codec_support.ts";

const chunked: Framing = { kind: "chunked" };

describe("decodeRead", () => {
  it("decodeRead gives content that holds little more than itself when its framing was most of the read", () => {
    for (const bytes of [2_000, 60_000, 500_000]) {
      const { content } = decodeRead(new BodyDecoder(chunked), toBytes("1\r\nx\r\n".repeat(bytes / 6)));
      assert.equal(content.length, Math.floor(bytes / 6));
      assert.ok(content.buffer.byteLength <= 2 * content.length, `${content.buffer.byteLength} bytes are held`);
    }
  });

  it("decodeRead leaves content where it lies when it is most of the read", () => {
    const read = toBytes(`4000\r\n${"x".repeat(0x4000)}\r\n`);
    const { content } = decodeRead(new BodyDecoder(chunked), read);
    assert.equal(content.length, 0x4000);
    assert.equal(content.buffer, read.buffer);
  });

  it("decodeRead makes no object for a chunk when a read has many", () => {
    const made: number[] = [];
    const { subarray } = Uint8Array.prototype;
    const read = toBytes("1\r\nx\r\n".repeat(10_000));
    Uint8Array.prototype.subarray = function (...range) {
      made.push(1);
      return subarray.apply(this, range) as typeof this;
    };
    try {
      assert.equal(decodeRead(new BodyDecoder(chunked), read).content.length, 10_000);
    } finally {
      Uint8Array.prototype.subarray = subarray;
    }
    assert.ok(made.length < 10, `${made.length} views were made`);
  });

  it("decodeRead gives the same as push when reads are cut anywhere", () => {
    const body = fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.constantFrom("", ";e", "")), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(body, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }), (body, cuts) => {
        const chunks = body.map(([text, extension]) => {
          const bytes = new TextEncoder().encode(text);
          return `${bytes.length.toString(16)}${extension}\r\n${toText(bytes)}\r\n`;
        });
        const text = `${chunks.join("")}0\r\n\r\nnext`;
        let pushed = "";
        const rest = new BodyDecoder(chunked).push(toBytes(text), (slice) => pushed += toText(slice));
        const decoder = new BodyDecoder(chunked);
        let read = "";
        let behind = "";
        for (let at = 0, turn = 0; at < text.length; turn++) {
          const end = at + cuts[turn % cuts.length];
          const decoded = decodeRead(decoder, toBytes(text.slice(at, end)));
          read += toText(decoded.content);
          behind += toText(decoded.rest ?? new Uint8Array(0));
          at = end;
        }
        assert.deepEqual([read, behind], [pushed, toText(rest!)]);
      }),
    );
  });
});
