import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeBase64, encodeBase64 } from "../../../src/session/wsproto/base64.ts";

const frame = { type: "http_response_chunk", request_id: "1" };

describe("decodeBase64", () => {
  it("gives back what encodeBase64 took, for any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = encodeBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString("base64"));
      assert.deepEqual(decodeBase64(text, "body_b64", frame), bytes);
    }));
  });

  it("takes the alphabet of RFC 4648 §4 with padding and without", () => {
    assert.deepEqual(decodeBase64("+/8=", "k", frame), new Uint8Array([0xfb, 0xff]));
    assert.deepEqual(decodeBase64("+/8", "k", frame), new Uint8Array([0xfb, 0xff]));
    assert.deepEqual(decodeBase64("", "k", frame), new Uint8Array(0));
  });

  for (const text of ["A", "AAAAA", "AA A", "AAA*", "AA\n==", "AA==AAAA", "=", "====", "A===", "é", "AA=A", "QUJ=D"]) {
    it(`throws and names the key when the text is ${JSON.stringify(text)}`, () => {
      assert.throws(() => decodeBase64(text, "data_b64", frame), {
        name: "FrameError",
        requestId: "1",
        reason: "Frame `http_response_chunk`, key `data_b64`: is not base64",
      });
    });
  }

  it("throws for any text with a character that is none of base64's", () => {
    const alphabet = /^[A-Za-z0-9+/=_-]$/;
    const foreign = fc.string({ minLength: 1, maxLength: 1 }).filter((char) => !alphabet.test(char));
    fc.assert(fc.property(fc.base64String(), foreign, fc.nat(), (text, char, at) => {
      const place = at % (text.length + 1);
      assert.throws(() => decodeBase64(text.slice(0, place) + char + text.slice(place), "k", frame), {
        name: "FrameError",
      });
    }));
  });
});
