import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeChunkFrame, encodeChunkFrame } from "../../../src/session/wsproto/chunk_frame.ts";
import { latin1, patternBytes } from "../../support/net.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const chunk = fc.uint8Array({ maxLength: 300 });

describe("encodeChunkFrame", () => {
  it("writes what JSON would, for any id and chunk", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), chunk, (id, bytes) => {
      const frame = { type: "http_response_chunk", request_id: id, data_b64: Buffer.from(bytes).toString("base64") };
      assert.equal(text(encodeChunkFrame(id, bytes)), JSON.stringify(frame));
    }));
  });
});

describe("decodeChunkFrame", () => {
  const simpleId = fc.stringMatching(/^[A-Za-z0-9é-]{1,20}$/);

  it("gives back what encodeChunkFrame took", () => {
    fc.assert(fc.property(simpleId, chunk, (id, bytes) => {
      assert.deepEqual(decodeChunkFrame(encodeChunkFrame(id, bytes)), { id, data: bytes });
    }));
    const great = patternBytes(100_001);
    assert.deepEqual(decodeChunkFrame(encodeChunkFrame("1", great))?.data, great);
  });

  it("gives small chunks a buffer of their own, so that they hold no great read", () => {
    const read = new Uint8Array(100_000);
    const frame = encodeChunkFrame("1", utf8("small"));
    read.set(frame, 5_000);
    const data = decodeChunkFrame(read.subarray(5_000, 5_000 + frame.length))!.data;
    assert.equal(latin1(data), "small");
    assert.equal(data.buffer.byteLength, 5);
  });

  const foreign = [
    '{"type": "http_response_chunk", "request_id": "1", "data_b64": "aGk="}',
    '{"request_id":"1","type":"http_response_chunk","data_b64":"aGk="}',
    '{"type":"http_response_chunk","request_id":"1","data_b64":"aGk=","more":"x"}',
    '{"type":"http_response_chunk","request_id":"1","data_b64":"aG\\u006b="}',
    '{"type":"http_response_chunk","request_id":"1\\n","data_b64":"aGk="}',
    '{"type":"http_response_chunk","request_id":"1","data_b64":"aGk"}',
    '{"type":"http_response_chunk","request_id":"1","data_b64":"\\/\\/8="}',
    '{"type":"http_response_chunk","request_id":"","data_b64":"aGk="}',
    `{"type":"http_response_chunk","request_id":"${"x".repeat(257)}","data_b64":"aGk="}`,
    '{"type":"http_response_chunk","request_id":"1","data_b64":"aGk="',
    '{"type":"http_response_chunk","request_id":"1","data_b64":"aGk=',
    '{"type":"http_response_chunk","request_id":"1","data_b64":7}',
    '{"type":"http_response_chunk","request_id":"1"}',
    '{"type":"http_response_chunk","request_id":"',
    '{"type":"http_response_end","request_id":"1"}',
    "",
    "{",
  ];
  for (const message of foreign) {
    it(`leaves ${JSON.stringify(message.slice(0, 80))} to JSON, as it was`, () => {
      const bytes = utf8(message);
      assert.equal(decodeChunkFrame(bytes), null);
      assert.equal(text(bytes), message);
    });
  }

  for (const data of ["A===", "====", "AA=A", "AAA*", "=AAA", "AA==AAAA", "AA\n=", "AA-_", "éAA"]) {
    it(`throws when the data is ${JSON.stringify(data)}`, () => {
      const message = utf8(`{"type":"http_response_chunk","request_id":"1","data_b64":"${data}"}`);
      assert.throws(() => decodeChunkFrame(message), {
        name: "FrameError",
        requestId: "1",
        reason: "Frame `http_response_chunk`, key `data_b64`: is not base64",
      });
    });
  }

  it("never throws anything but FrameError, whatever comes", () => {
    const head = '{"type":"http_response_chunk","request_id":"';
    const noise = fc.oneof(
      fc.string(),
      fc.string().map((tail) => head + tail),
      fc.string().map((data) => `${head}1","data_b64":"${data}"}`),
    );
    fc.assert(fc.property(noise, (message) => {
      try {
        decodeChunkFrame(utf8(message));
      } catch (error) {
        assert.equal((error as Error).name, "FrameError");
      }
    }));
  });
});
