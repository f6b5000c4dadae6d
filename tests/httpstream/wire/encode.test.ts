import { describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  EncodeError,
  encodeHeaderBlock,
  Flag,
  MAX_MESSAGE_BYTES,
  MessageBuilder,
} from "../../../src/httpstream/wire/mod.ts";
import { recordFrames } from "../../support/frame_recorder.ts";
import { hex, unhex } from "../../support/hex.ts";
import { joined } from "./arbitraries.ts";

function encoded(build: (builder: MessageBuilder) => void): string {
  const builder = new MessageBuilder();
  build(builder);
  return hex(joined(builder.take()));
}

describe("MessageBuilder", () => {
  it("writes the bytes of the frame table when each frame is asked for", () => {
    assert.equal(encoded((m) => m.data(2, unhex("010203"), false)), "000003 00 00 00000002 010203".replaceAll(" ", ""));
    assert.equal(encoded((m) => m.data(1, unhex(""), true)), "000000000100000001");
    assert.equal(encoded((m) => m.headers(1, ["A", "b"], 0)), "00000a010000000001" + "0001" + "000141" + "0000000162");
    assert.equal(encoded((m) => m.rstStream(3, 8)), "00000403000000000300000008");
    assert.equal(encoded((m) => m.rstStream(3, 0x102, true)), "00000403010000000300000102");
    assert.equal(
      encoded((m) => m.settings([1, 65_536, 2, 64])),
      "00000c040000000000" + "000100010000" + "000200000040",
    );
    assert.equal(encoded((m) => m.stopSending(3, 0)), "00000405000000000300000000");
    assert.equal(encoded((m) => m.goAway(7, 1, "é")), "00000a070000000000" + "0000000700000001c3a9");
    assert.equal(encoded((m) => m.windowUpdate(0x7fff_ffff, 0x7fff_ffff)), "00000408007fffffff7fffffff");
    assert.equal(encoded((m) => m.ping(unhex("0102030405060708"), false)), "000008860000000000" + "0102030405060708");
    assert.equal(encoded((m) => m.ping(unhex("0102030405060708"), true)), "000008860100000000" + "0102030405060708");
    assert.equal(encoded((m) => m.ack(0x1234_5678_9abc)), "000006890000000000" + "123456789abc");
  });

  it("gathers small frames in one part when none is large", () => {
    const builder = new MessageBuilder();
    builder.headers(2, [":status", "200"], 0);
    builder.data(2, new Uint8Array(1_024), true);
    builder.ack(3);
    assert.equal(builder.take().length, 1);
    assert.deepEqual(builder.take(), []);
  });

  it("references a payload when it is large, and copies a small one", () => {
    const large = new Uint8Array(4_096);
    const small = Uint8Array.of(1, 2, 3);
    const builder = new MessageBuilder();
    builder.data(2, small, false);
    builder.data(2, large, false);
    builder.data(2, small, true);
    const parts = builder.take();
    assert.equal(parts.length, 3);
    assert.equal(parts[1], large);
    small.fill(9);
    assert.deepEqual(recordFrames(joined(parts)).map((frame) => frame.type === "DATA" && frame.payload[0]), [1, 0, 1]);
  });

  it("leaves a taken message alone when it goes on to build others", () => {
    const builder = new MessageBuilder();
    const kept: [Uint8Array[], string][] = [];
    for (let round = 0; round < 200; round++) {
      builder.data(1, new Uint8Array(1 + round * 17).fill(round), false);
      builder.ack(round);
      const parts = builder.take();
      kept.push([parts, hex(joined(parts))]);
    }
    for (const [parts, before] of kept) assert.equal(hex(joined(parts)), before);
  });

  it("takes a header block that is larger than the allocator's block", () => {
    const fields = [":status", "200", "X-Large", "x".repeat(60_000)];
    const builder = new MessageBuilder();
    builder.ack(1);
    builder.headers(2, fields, 0);
    builder.headerBlock(4, encodeHeaderBlock(fields), 0);
    builder.ack(2);
    assert.deepEqual(recordFrames(joined(builder.take())), [
      { type: "ACK", count: 1 },
      { type: "HEADERS", streamId: 2, fields, flags: 0 },
      { type: "HEADERS", streamId: 4, fields, flags: 0 },
      { type: "ACK", count: 2 },
    ]);
  });

  it("fits frames up to 262,144 bytes and throws beyond when a message is full", () => {
    const builder = new MessageBuilder();
    const payload = new Uint8Array(65_536);
    for (let count = 0; count < 3; count++) builder.data(1, payload, false);
    const room = MAX_MESSAGE_BYTES - builder.byteLength - 9;
    assert.deepEqual([builder.fits(room), builder.fits(room + 1)], [true, false]);
    assert.throws(() => builder.data(1, new Uint8Array(room + 1), false), EncodeError);
    builder.data(1, new Uint8Array(room), false);
    assert.throws(() => builder.ack(1), EncodeError);
    assert.equal(builder.byteLength, MAX_MESSAGE_BYTES);
    assert.equal(joined(builder.take()).length, MAX_MESSAGE_BYTES);
    assert.equal(builder.byteLength, 0);
  });

  it("keeps to a smaller limit when one is given, and refuses one that is out of range", () => {
    const builder = new MessageBuilder(30);
    builder.ack(1);
    assert.equal(builder.fits(7), false);
    builder.windowUpdate(1, 1);
    assert.throws(() => builder.windowUpdate(1, 1), EncodeError);
    for (const limit of [8, MAX_MESSAGE_BYTES + 1, NaN]) assert.throws(() => new MessageBuilder(limit), EncodeError);
  });

  it("is as before when a frame is refused", () => {
    const builder = new MessageBuilder();
    builder.ack(1);
    const refused: (() => void)[] = [
      () => builder.headers(1, ["bad name", ""], 0),
      () => builder.headers(1, ["A"], 0),
      () => builder.headers(1, ["A", "€"], 0),
      () => builder.headers(1, ["A", "b"], Flag.TRAILERS),
      () => builder.headers(1, [":status", "100"], 0),
      () => builder.headers(1, [":status", "200"], Flag.INFORMATIONAL),
      () => builder.headers(1, ["A", "b"], 0x40),
      () => builder.headers(1, ["A", "x".repeat(131_072)], 0),
      () => builder.headers(1, Array(1_026).fill("x"), 0),
      () => builder.headers(0, ["A", "b"], 0),
      () => builder.headerBlock(1, new Uint8Array(131_073), 0),
      () => builder.data(1, new Uint8Array(65_537), true),
      () => builder.data(1, new Uint8Array(0), false),
      () => builder.data(0x8000_0000, new Uint8Array(1), false),
      () => builder.windowUpdate(1, 0),
      () => builder.windowUpdate(1, 0x8000_0000),
      () => builder.windowUpdate(0, 1),
      () => builder.rstStream(0, 1),
      () => builder.stopSending(NaN, 1),
      () => builder.settings([1]),
      () => builder.settings(Array(130).fill(0)),
      () => builder.ping(new Uint8Array(7), false),
      () => builder.ack(-1),
      () => builder.ack(2 ** 48),
    ];
    for (const action of refused) assert.throws(action, { name: "EncodeError", code: "invalid_frame" }, `${action}`);
    builder.ack(2);
    assert.equal(builder.byteLength, 30);
    assert.deepEqual(recordFrames(joined(builder.take())), [{ type: "ACK", count: 1 }, { type: "ACK", count: 2 }]);
  });

  it("cuts a GOAWAY's reason between characters when it is long", () => {
    const text = encoded((m) => m.goAway(0, 0, "é".repeat(600)));
    assert.equal(text.length / 2, 9 + 8 + 1_024);
    const odd = recordFrames(unhex(encoded((m) => m.goAway(0, 0, `a${"é".repeat(600)}`))));
    assert.deepEqual(odd, [{ type: "GOAWAY", lastStreamId: 0, errorCode: 0, reason: `a${"é".repeat(511)}` }]);
  });
});
