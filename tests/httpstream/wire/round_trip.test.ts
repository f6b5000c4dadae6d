import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeHeaderBlock,
  decodeMessage,
  EncodeError,
  encodeHeaderBlock,
  headerBlockLength,
  MessageBuilder,
  ProtocolError,
} from "../../../src/httpstream/wire/mod.ts";
import { FrameRecorder, recordFrames } from "../../support/frame_recorder.ts";
import { append, block, frame, joined } from "./arbitraries.ts";

/** Runs the action and lets nothing but the given error out; returns whether it threw. */
function throwsOnly(kind: new (...args: never[]) => Error, action: () => void): boolean {
  try {
    action();
    return false;
  } catch (error) {
    assert.ok(error instanceof kind, `threw ${error}`);
    return true;
  }
}

describe("properties of the codec", () => {
  it("decodeMessage gives back any frames, grouped into any messages of whole frames", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(frame, fc.boolean()), { minLength: 1, maxLength: 30 }), (sequence) => {
        const builder = new MessageBuilder();
        const decoded = new FrameRecorder();
        const flush = () => {
          const { byteLength } = builder;
          const message = joined(builder.take());
          assert.equal(message.length, byteLength);
          if (message.length > 0) decodeMessage(message, decoded);
        };
        for (const [one, cut] of sequence) {
          append(builder, one);
          if (cut) flush();
        }
        flush();
        const frames = sequence.map(([one]) => one);
        assert.deepEqual(decoded.frames, frames);
        assert.equal(decoded.countedFrames, frames.filter(({ type }) => type !== "PING" && type !== "ACK").length);
      }),
      { numRuns: 300 },
    );
  });

  it("decodeMessage throws nothing but ProtocolError when the bytes are random", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        throwsOnly(ProtocolError, () => recordFrames(bytes));
      }),
      { numRuns: 1_000 },
    );
  });

  it("decodeMessage throws nothing but ProtocolError when one byte of a true message is wrong", () => {
    const damage = fc.tuple(
      fc.array(frame, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
    );
    fc.assert(
      fc.property(damage, ([frames, position, mask]) => {
        const builder = new MessageBuilder();
        for (const one of frames) append(builder, one);
        const message = joined(builder.take());
        message[position % message.length]! ^= mask;
        throwsOnly(ProtocolError, () => recordFrames(message));
      }),
      { numRuns: 1_000 },
    );
  });

  it("decodeMessage throws FRAME_SIZE_ERROR when a message is cut anywhere but between frames", () => {
    fc.assert(fc.property(frame, fc.nat(), (one, position) => {
      const builder = new MessageBuilder();
      append(builder, one);
      const message = joined(builder.take());
      const cut = message.subarray(0, position % message.length);
      assert.throws(() => recordFrames(cut), { name: "ProtocolError", errorCode: 6, scope: "connection" });
    }));
  });

  it("decodeHeaderBlock keeps order, repeats, case and bytes when a block was encoded", () => {
    fc.assert(
      fc.property(block, ({ fields, flags }) => {
        const bytes = encodeHeaderBlock(fields, flags);
        assert.equal(bytes.length, headerBlockLength(fields));
        assert.deepEqual(decodeHeaderBlock(bytes, flags), fields);
      }),
      { numRuns: 300 },
    );
  });

  it("decodeHeaderBlock throws nothing but ProtocolError when the bytes are random", () => {
    const looksRight = fc.uint8Array({ maxLength: 80 })
      .map((bytes) => joined([Uint8Array.of(0, bytes.length % 4, 0, 2), bytes]));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), looksRight), fc.nat(7), (bytes, flags) => {
        throwsOnly(ProtocolError, () => decodeHeaderBlock(bytes, flags));
      }),
      { numRuns: 1_000 },
    );
  });

  it("encodeHeaderBlock refuses exactly what decodeHeaderBlock refuses when the fields are arbitrary", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", ":", "/", " ", "\r", "\n", "\0", "é", "1", "\u007f"),
      maxLength: 4,
    });
    const anyName = fc.oneof(text, fc.constantFrom(":path", ":status", ":method", "Host", "x", "UPGRADE"));
    const row = fc.array(fc.tuple(anyName, text), { maxLength: 3 }).map((pairs) => pairs.flat());
    fc.assert(
      fc.property(row, fc.constantFrom(0, 1, 2, 5), (fields, flags) => {
        const encoderRefuses = throwsOnly(EncodeError, () => encodeHeaderBlock(fields, flags));
        const decoderRefuses = throwsOnly(ProtocolError, () => decodeHeaderBlock(unchecked(fields), flags));
        assert.equal(encoderRefuses, decoderRefuses);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** A block whose lengths are true and whose fields are not checked. */
function unchecked(fields: readonly string[]): Uint8Array {
  const parts = [Uint8Array.of(0, fields.length / 2)];
  for (let index = 0; index < fields.length; index++) {
    const bytes = Uint8Array.from(fields[index]!, (char) => char.charCodeAt(0));
    parts.push(index % 2 === 0 ? Uint8Array.of(0, bytes.length) : Uint8Array.of(0, 0, 0, bytes.length), bytes);
  }
  return joined(parts);
}
