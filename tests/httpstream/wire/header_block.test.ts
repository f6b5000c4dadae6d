import { describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  decodeHeaderBlock,
  EncodeError,
  encodeHeaderBlock,
  Flag,
  headerBlockLength,
  writeHeaderBlock,
} from "../../../src/httpstream/wire/mod.ts";
import { unhex } from "../../support/hex.ts";
import { joined } from "./arbitraries.ts";

/** A block with true lengths and unchecked fields, as a hostile peer can send it. */
function block(...fields: readonly string[]): Uint8Array {
  const parts = [Uint8Array.of(fields.length >> 9, fields.length >> 1)];
  for (let index = 0; index < fields.length; index++) {
    const bytes = Uint8Array.from(fields[index]!, (char) => char.charCodeAt(0));
    const { length } = bytes;
    if (index % 2 === 1) parts.push(Uint8Array.of(0, length >> 16));
    parts.push(Uint8Array.of(length >> 8, length), bytes);
  }
  return joined(parts);
}

const tooLarge = { name: "EncodeError", isTooLarge: true };

/** So many fields. */
const row = (count: number) => Array.from({ length: count }, (_, index) => [`X-${index}`, "v"]).flat();

const refusedFields: readonly [string, string[]][] = [
  ["an empty name", ["", "x"]],
  ["a space in a name", ["X A", "x"]],
  ["a colon in a name", ["X:A", "x"]],
  ["a name beyond ASCII", ["X-\xe9", "x"]],
  ["CR in a value", ["X", "a\rb"]],
  ["LF in a value", ["X", "a\nb"]],
  ["NUL in a value", ["X", "a\0b"]],
  ["DEL in a value", ["X", "a\x7fb"]],
  ["an escape in a value", ["X", "\x1b[2J"]],
  ["Host", ["Host", "a"]],
  ["connection", ["connection", "close"]],
  ["Upgrade", ["Upgrade", "websocket"]],
  ["Transfer-Encoding", ["TRANSFER-encoding", "chunked"]],
  ["a pseudo-field that is late", ["X", "y", ":path", "/"]],
  ["a pseudo-field that stands twice", [":path", "/", ":path", "/b"]],
  ["a pseudo-field without a name", [":", "/"]],
  ["a pseudo-field with capitals", [":Path", "/"]],
  ["an empty :path", [":path", ""]],
  ["a :path without its slash", [":path", "a"]],
  ["a :path that goes on after *", [":path", "*a"]],
  ["a space in :path", [":path", "/a HTTP/1.1"]],
  ["a tab in :authority", [":authority", "a\tb"]],
  ["LF in :client", [":client", "a\nb"]],
  ["an empty :method", [":method", ""]],
  ["a :method that is no token", [":method", "GET/"]],
  ["a :status of two digits", [":status", "20"]],
  ["a :status of four digits", [":status", "2000"]],
  ["a :status with a letter", [":status", "2x0"]],
  ["LF in :reason", [":reason", "O\nK"]],
  ["NUL in :reason", [":reason", "O\0K"]],
  ["a space in :protocol", [":protocol", "a, b"]],
];

const refusedByFlags: readonly [string, string[], number][] = [
  ["a pseudo-field among trailers", [":status", "200"], Flag.TRAILERS | Flag.END_STREAM],
  ["101 as informational", [":status", "101"], Flag.INFORMATIONAL],
  ["200 as informational", [":status", "200"], Flag.INFORMATIONAL],
  ["an informational block without a status", ["X", "y"], Flag.INFORMATIONAL],
  ["103 as a final status", [":status", "103"], 0],
];

describe("decodeHeaderBlock", () => {
  it("keeps order, repeats, case and bytes when a block is right", () => {
    const fields = [
      ...[":method", "M-SEARCH", ":scheme", "http", ":authority", "", ":path", "/a/../b?x=%41\\\xff", ":new-one", "1"],
      ...["Set-Cookie", "a", "set-cookie", "b", "Set-Cookie", "a", "X-Empty", "", "x-bytes", "\t \x80\xff\xa0 "],
    ];
    assert.deepEqual(decodeHeaderBlock(block(...fields)), fields);
    assert.deepEqual(decodeHeaderBlock(block(":path", "*")), [":path", "*"]);
    assert.deepEqual(decodeHeaderBlock(block()), []);
  });

  it("reads the bytes of a view when the block lies within a message", () => {
    const message = joined([Uint8Array.of(1, 2, 3), block("A", "b"), Uint8Array.of(4)]);
    assert.deepEqual(decodeHeaderBlock(message.subarray(3, message.length - 1)), ["A", "b"]);
  });

  for (const [what, fields] of refusedFields) {
    it(`refuses the stream when a block has ${what}`, () => {
      assert.throws(() => decodeHeaderBlock(block(...fields)), {
        name: "ProtocolError",
        errorCode: 1,
        scope: "stream",
      });
      assert.throws(() => encodeHeaderBlock(fields), EncodeError);
    });
  }

  for (const [what, fields, flags] of refusedByFlags) {
    it(`refuses the stream when the frame's flags show ${what}`, () => {
      const error = { name: "ProtocolError", errorCode: 1, scope: "stream" };
      assert.throws(() => decodeHeaderBlock(block(...fields), flags), error);
      assert.throws(() => encodeHeaderBlock(fields, flags), EncodeError);
      assert.deepEqual(decodeHeaderBlock(block(...fields)), fields);
    });
  }

  it("accepts 512 fields and refuses the stream when there are more", () => {
    assert.equal(decodeHeaderBlock(encodeHeaderBlock(row(512))).length, 1_024);
    assert.throws(() => decodeHeaderBlock(block(...row(513))), { name: "ProtocolError", scope: "stream" });
    assert.throws(() => encodeHeaderBlock(row(513)), tooLarge);
  });

  it("accepts as many fields and bytes as it is told, and refuses the stream when there are more", () => {
    const error = { name: "ProtocolError", errorCode: 1, scope: "stream" };
    const blockOf128 = block(...row(128));
    const limits = { maxFields: 128, maxBytes: blockOf128.length };
    assert.equal(decodeHeaderBlock(blockOf128, 0, limits).length, 256);
    assert.throws(() => decodeHeaderBlock(blockOf128, 0, { ...limits, maxFields: 127 }), error);
    assert.throws(() => decodeHeaderBlock(blockOf128, 0, { ...limits, maxBytes: blockOf128.length - 1 }), error);
    assert.equal(headerBlockLength(row(128), limits), blockOf128.length);
    assert.throws(() => headerBlockLength(row(128), { ...limits, maxFields: 127 }), tooLarge);
    assert.throws(() => headerBlockLength(row(128), { ...limits, maxBytes: 100 }), tooLarge);
  });

  it("refuses the connection when the lengths of a block over its limits do not add up", () => {
    const broken = block(...row(128)).subarray(0, -1);
    const error = { name: "ProtocolError", errorCode: 6, scope: "connection" };
    assert.throws(() => decodeHeaderBlock(broken, 0, { maxFields: 127, maxBytes: 131_072 }), error);
    assert.throws(() => decodeHeaderBlock(broken, 0, { maxFields: 128, maxBytes: 1_000 }), error);
  });

  it("accepts white space, any byte and nothing as a :reason, and no control character", () => {
    for (const reason of ["Payload Too Large", "", " N\xe9\t! "]) {
      const fields = [":status", "413", ":reason", reason];
      assert.deepEqual(decodeHeaderBlock(block(...fields)), fields);
      assert.deepEqual(decodeHeaderBlock(encodeHeaderBlock(fields)), fields);
    }
  });

  it("accepts 131,072 bytes and refuses the connection when there are more", () => {
    const value = "v".repeat(131_072 - 2 - 6 - 1);
    const largest = encodeHeaderBlock(["X", value]);
    assert.equal(largest.length, 131_072);
    assert.deepEqual(decodeHeaderBlock(largest), ["X", value]);
    const error = { name: "ProtocolError", errorCode: 6, scope: "connection" };
    assert.throws(() => decodeHeaderBlock(joined([largest, Uint8Array.of(0)])), error);
    assert.throws(() => headerBlockLength(["X", `${value}v`]), tooLarge);
  });

  it("refuses the connection when the lengths do not add up", () => {
    const blocks = [
      "",
      "00",
      "0001",
      "0001 00",
      "0001 0001 41",
      "0001 0001 41 000000",
      "0001 0001 41 00000002 62",
      "0001 0001 41 00010001 62", // a length of 65,537 whose lower half fits
      "0001 0001 41 ffffffff 62",
      "0001 ffff 41 00000001 62",
      "0001 0001 41 00000001 62 00", // a byte too many
      "0000 00",
      "ffff 0001 41 00000001 62", // a count that no block of this size can hold
      "0002 0001 0a 00000001 62 0001", // a bad name, but above all a broken block
    ];
    for (const text of blocks) {
      const error = { name: "ProtocolError", errorCode: 6, scope: "connection" };
      assert.throws(() => decodeHeaderBlock(unhex(text)), error, text);
    }
  });

  it("shows at most 64 bytes of a peer's text, and no control character, when it refuses a field", () => {
    const messageOf = (bytes: Uint8Array): string => {
      try {
        decodeHeaderBlock(bytes);
      } catch (error) {
        return (error as Error).message;
      }
      return assert.fail("the block was accepted");
    };
    assert.ok(messageOf(block(`${"x".repeat(5_000)} `, "")).length < 150);
    const shown = messageOf(block(":path", "/\n\x1b\x7f\x9b"));
    assert.ok([...shown].every((char) => char >= " " && char <= "~"), shown);
  });
});

describe("writeHeaderBlock", () => {
  it("writes at the offset and returns the offset after the block", () => {
    const fields = [":status", "204", "Server", "runnel"];
    const target = new Uint8Array(100).fill(0xee);
    const end = writeHeaderBlock(target, 10, fields, Flag.END_STREAM);
    assert.equal(end, 10 + headerBlockLength(fields));
    assert.deepEqual(decodeHeaderBlock(target.subarray(10, end)), fields);
    assert.deepEqual([target[9], target[end]], [0xee, 0xee]);
  });

  it("throws when a name stands without a value or a character is no byte", () => {
    assert.throws(() => encodeHeaderBlock(["A"]), EncodeError);
    assert.throws(() => encodeHeaderBlock(["A", "\u0100"]), EncodeError);
    assert.throws(() => encodeHeaderBlock(["\u0141", "a"]), EncodeError); // its low byte is a letter
  });
});
