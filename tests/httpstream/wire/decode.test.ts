import { describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  decodeMessage,
  ErrorCode,
  errorCodeName,
  FrameType,
  frameTypeName,
  isCounted,
  MAX_MESSAGE_BYTES,
  MessageBuilder,
  ProtocolError,
} from "../../../src/httpstream/wire/mod.ts";
import { type RawFrame, rawFrame } from "../../support/frame_peer.ts";
import { FrameRecorder, recordFrames } from "../../support/frame_recorder.ts";
import { joined } from "./arbitraries.ts";

const four = [0, 0, 0, 1];

/** [what is wrong, the frame, the wire's error code] */
const violations: readonly [string, RawFrame, number][] = [
  ["DATA on stream 0", { type: "DATA", payload: [1] }, ErrorCode.PROTOCOL_ERROR],
  ["DATA is empty without END_STREAM", { type: "DATA", streamId: 1 }, ErrorCode.FRAME_SIZE_ERROR],
  ["DATA has 65,537 bytes", { type: "DATA", streamId: 1, payload: new Uint8Array(65_537) }, ErrorCode.FRAME_SIZE_ERROR],
  ["HEADERS is on stream 0", { type: "HEADERS", payload: [0, 0] }, ErrorCode.PROTOCOL_ERROR],
  [
    "HEADERS has 131,073 bytes",
    { type: "HEADERS", streamId: 1, payload: new Uint8Array(131_073) },
    ErrorCode.FRAME_SIZE_ERROR,
  ],
  ["TRAILERS lacks END_STREAM", { type: "HEADERS", streamId: 1, flags: 4, payload: [0, 0] }, ErrorCode.PROTOCOL_ERROR],
  [
    "INFORMATIONAL has END_STREAM",
    { type: "HEADERS", streamId: 1, flags: 3, payload: [0, 0] },
    ErrorCode.PROTOCOL_ERROR,
  ],
  ["INFORMATIONAL has TRAILERS", { type: "HEADERS", streamId: 1, flags: 7, payload: [0, 0] }, ErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM is on stream 0", { type: "RST_STREAM", payload: four }, ErrorCode.PROTOCOL_ERROR],
  ["RST_STREAM has 3 bytes", { type: "RST_STREAM", streamId: 1, payload: [0, 0, 0] }, ErrorCode.FRAME_SIZE_ERROR],
  ["STOP_SENDING is on stream 0", { type: "STOP_SENDING", payload: four }, ErrorCode.PROTOCOL_ERROR],
  [
    "STOP_SENDING has 5 bytes",
    { type: "STOP_SENDING", streamId: 1, payload: [...four, 0] },
    ErrorCode.FRAME_SIZE_ERROR,
  ],
  ["SETTINGS is on stream 1", { type: "SETTINGS", streamId: 1 }, ErrorCode.PROTOCOL_ERROR],
  ["SETTINGS has 7 bytes", { type: "SETTINGS", payload: [0, 1, 0, 0, 0, 0, 0] }, ErrorCode.FRAME_SIZE_ERROR],
  ["SETTINGS has 65 pairs", { type: "SETTINGS", payload: new Uint8Array(390) }, ErrorCode.FRAME_SIZE_ERROR],
  ["the initial window is 2^31", { type: "SETTINGS", payload: [0, 1, 0x80, 0, 0, 0] }, ErrorCode.FLOW_CONTROL_ERROR],
  ["GOAWAY is on stream 2", { type: "GOAWAY", streamId: 2, payload: [...four, ...four] }, ErrorCode.PROTOCOL_ERROR],
  ["GOAWAY has 7 bytes", { type: "GOAWAY", payload: [0, 0, 0, 0, 0, 0, 0] }, ErrorCode.FRAME_SIZE_ERROR],
  ["WINDOW_UPDATE is on stream 0", { type: "WINDOW_UPDATE", payload: four }, ErrorCode.PROTOCOL_ERROR],
  [
    "WINDOW_UPDATE has 8 bytes",
    { type: "WINDOW_UPDATE", streamId: 1, payload: [...four, ...four] },
    ErrorCode.FRAME_SIZE_ERROR,
  ],
  ["WINDOW_UPDATE adds 0", { type: "WINDOW_UPDATE", streamId: 1, payload: [0, 0, 0, 0] }, ErrorCode.PROTOCOL_ERROR],
  [
    "WINDOW_UPDATE adds 2^31",
    { type: "WINDOW_UPDATE", streamId: 1, payload: [0x80, 0, 0, 0] },
    ErrorCode.FLOW_CONTROL_ERROR,
  ],
  ["PING is on stream 1", { type: "PING", streamId: 1, payload: [...four, ...four] }, ErrorCode.PROTOCOL_ERROR],
  ["PING has 7 bytes", { type: "PING", payload: [0, 0, 0, 0, 0, 0, 0] }, ErrorCode.FRAME_SIZE_ERROR],
  ["ACK is on stream 1", { type: "ACK", streamId: 1, payload: [0, 0, ...four] }, ErrorCode.PROTOCOL_ERROR],
  ["ACK has 8 bytes", { type: "ACK", payload: [...four, ...four] }, ErrorCode.FRAME_SIZE_ERROR],
];

function refusal(message: Uint8Array, recorder = new FrameRecorder()): ProtocolError {
  try {
    decodeMessage(message, recorder);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  return assert.fail("the message was accepted");
}

describe("decodeMessage", () => {
  for (const [what, frame, errorCode] of violations) {
    it(`refuses the connection with ${errorCodeName(errorCode)} when ${what}`, () => {
      const recorder = new FrameRecorder();
      const error = refusal(rawFrame(frame), recorder);
      assert.deepEqual([error.errorCode, error.scope, error.code, error.initiator], [
        errorCode,
        "connection",
        "protocol_error",
        "remote",
      ]);
      assert.equal(error.streamId, frame.streamId);
      assert.deepEqual([recorder.countedFrames, recorder.frames], [0, []]);
    });
  }

  it("refuses the message with FRAME_SIZE_ERROR when it holds no whole frame", () => {
    const ping = rawFrame({ type: "PING", payload: new Uint8Array(8) });
    const messages = [
      new Uint8Array(0),
      ping.subarray(0, 8),
      ping.subarray(0, 16),
      joined([ping, Uint8Array.of(0)]),
      rawFrame({ type: "DATA", streamId: 1, payload: [1], length: 0xff_ffff }),
      rawFrame({ type: 0x42, length: 1 }),
    ];
    for (const message of messages) assert.equal(refusal(message).errorCode, ErrorCode.FRAME_SIZE_ERROR);
  });

  it("visits the frames before a bad one when a message breaks off", () => {
    const recorder = new FrameRecorder();
    refusal(
      joined([rawFrame({ type: "DATA", streamId: 3, payload: [7] }), rawFrame({ type: "DATA", payload: [8] })]),
      recorder,
    );
    assert.deepEqual(recorder.frames, [{ type: "DATA", streamId: 3, payload: Uint8Array.of(7), endStream: false }]);
    assert.equal(recorder.countedFrames, 1);
  });

  it("accepts 262,144 bytes and refuses one more when a message is large", () => {
    const data = rawFrame({ type: "DATA", streamId: 1, payload: new Uint8Array(65_536) });
    const rest = MAX_MESSAGE_BYTES - 3 * data.length - 9;
    const last = rawFrame({ type: "DATA", streamId: 1, payload: new Uint8Array(rest) });
    assert.equal(recordFrames(joined([data, data, data, last])).length, 4);
    const more = rawFrame({ type: "DATA", streamId: 1, payload: new Uint8Array(rest + 1) });
    assert.equal(refusal(joined([data, data, data, more])).errorCode, ErrorCode.FRAME_SIZE_ERROR);
  });

  it("hands over views when frames have payloads, and copies none", () => {
    const message = joined([
      rawFrame({ type: "DATA", streamId: 1, payload: [1, 2, 3] }),
      rawFrame({ type: "PING", payload: [1, 2, 3, 4, 5, 6, 7, 8] }),
    ]);
    const views: Uint8Array[] = [];
    const recorder = new FrameRecorder();
    recorder.data = (_streamId, payload) => void views.push(payload);
    recorder.ping = (payload) => void views.push(payload);
    decodeMessage(message, recorder);
    assert.deepEqual(views.map((view) => [view.buffer === message.buffer, view.byteOffset, view.length]), [
      [true, 9, 3],
      [true, 21, 8],
    ]);
  });

  it("tells the count before the frame when a frame is counted", () => {
    const calls: string[] = [];
    const recorder = new FrameRecorder();
    recorder.counted = (length) => void calls.push(`counted ${length}`);
    recorder.data = () => void calls.push("data");
    recorder.ack = () => void calls.push("ack");
    recorder.unknown = (type) => void calls.push(`unknown ${type}`);
    decodeMessage(
      joined([
        rawFrame({ type: "DATA", streamId: 1, payload: [1, 2] }),
        rawFrame({ type: "ACK", payload: new Uint8Array(6) }),
        rawFrame({ type: 0x42, streamId: 9, payload: [1] }),
        rawFrame({ type: 0xc2 }),
      ]),
      recorder,
    );
    assert.deepEqual(calls, ["counted 2", "data", "ack", "counted 1", "unknown 66", "unknown 194"]);
  });

  it("ignores the reserved bit and undefined flags when a peer sets them", () => {
    assert.deepEqual(recordFrames(rawFrame({ type: "DATA", flags: 0xfe, streamId: 0x8000_0001, payload: [1] })), [
      { type: "DATA", streamId: 1, payload: Uint8Array.of(1), endStream: false },
    ]);
    const ping = rawFrame({ type: "PING", flags: 0xfe, payload: new Uint8Array(8) });
    assert.deepEqual(recordFrames(ping), [{ type: "PING", payload: new Uint8Array(8), ack: false }]);
  });

  it("reads numbers of their full width when they are at their limits", () => {
    const ones = new Uint8Array(8).fill(255);
    assert.deepEqual(recordFrames(rawFrame({ type: "ACK", payload: ones.subarray(0, 6) })), [
      { type: "ACK", count: 281_474_976_710_655 },
    ]);
    assert.deepEqual(recordFrames(rawFrame({ type: "GOAWAY", payload: ones })), [
      { type: "GOAWAY", lastStreamId: 0x7fff_ffff, errorCode: 0xffff_ffff, reason: "" },
    ]);
    assert.deepEqual(recordFrames(rawFrame({ type: "WINDOW_UPDATE", streamId: 2, payload: [0x7f, 255, 255, 255] })), [
      { type: "WINDOW_UPDATE", streamId: 2, increment: 0x7fff_ffff },
    ]);
  });

  it("reads 1,024 bytes of a GOAWAY's reason when it is longer or no UTF-8", () => {
    const long = rawFrame({ type: "GOAWAY", payload: joined([new Uint8Array(8), new Uint8Array(5_000).fill(0x61)]) });
    assert.deepEqual(recordFrames(long), [
      { type: "GOAWAY", lastStreamId: 0, errorCode: 0, reason: "a".repeat(1_024) },
    ]);
    const broken = rawFrame({ type: "GOAWAY", payload: [0, 0, 0, 0, 0, 0, 0, 0, 0x61, 0xff] });
    assert.deepEqual(recordFrames(broken), [
      { type: "GOAWAY", lastStreamId: 0, errorCode: 0, reason: "a\ufffd" },
    ]);
  });

  it("ends the walk when a visitor throws", () => {
    const recorder = new FrameRecorder();
    recorder.windowUpdate = () => {
      throw new RangeError("stop");
    };
    const builder = new MessageBuilder();
    builder.windowUpdate(1, 1);
    builder.ack(1);
    assert.throws(() => decodeMessage(joined(builder.take()), recorder), RangeError);
    assert.deepEqual(recorder.frames, []);
  });
});

describe("names", () => {
  it("errorCodeName and frameTypeName show the number when it has no name", () => {
    assert.deepEqual([errorCodeName(0x8), errorCodeName(0x104), errorCodeName(0x1ff)], [
      "CANCEL",
      "MEMORY_PRESSURE",
      "0x1ff",
    ]);
    assert.deepEqual([frameTypeName(0x86), frameTypeName(0x0a)], ["PING", "type 0x0a"]);
  });

  it("isCounted follows bit 0x80 when types are known and when not", () => {
    const counted = Object.values(FrameType).filter(isCounted);
    assert.deepEqual(counted, [0, 1, 3, 4, 5, 7, 8]);
    assert.deepEqual([isCounted(0x7f), isCounted(0x80), isCounted(0xff)], [true, false, false]);
  });
});
