/** Random frames and header blocks for fast-check, and how a builder is given one. */
import fc from "fast-check";
import { Flag, MAX_COUNT, MAX_U31, type MessageBuilder } from "../../../src/httpstream/wire/mod.ts";
import type { RecordedFrame } from "../../support/frame_recorder.ts";

const tokenChars = [..."!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"];
const refused = new Set(["connection", "host", "transfer-encoding", "upgrade"]);

const name = fc.string({ unit: fc.constantFrom(...tokenChars), minLength: 1, maxLength: 20 })
  .filter((text) => !refused.has(text.toLowerCase()));
/** Every byte that a value may have, obs-text included. */
const valueBytes = Array.from({ length: 256 }, (_, byte) => byte)
  .filter((byte) => byte === 9 || (byte >= 32 && byte !== 127))
  .map((byte) => String.fromCharCode(byte));
const value = fc.string({ unit: fc.constantFrom(...valueBytes), maxLength: 60 });

const ordinary = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());
const path = fc.string({ unit: fc.constantFrom(..."/a.%\\?é[]{}|".split("")), maxLength: 30 });

const requestHead = fc.tuple(path, ordinary).map(([rest, fields]) => [
  ":method",
  "GET",
  ":scheme",
  "https",
  ":authority",
  "a.example",
  ":path",
  `/${rest}`,
  ...fields,
]);

export interface Block {
  fields: string[];
  flags: number;
}

/** A block and the flags of a HEADERS frame that may carry it. */
export const block: fc.Arbitrary<Block> = fc.oneof(
  fc.tuple(requestHead, fc.constantFrom(0, Flag.END_STREAM)).map(([fields, flags]) => ({ fields, flags })),
  fc.tuple(fc.integer({ min: 200, max: 999 }), ordinary, fc.constantFrom(0, Flag.END_STREAM))
    .map(([status, fields, flags]) => ({ fields: [":status", String(status), ...fields], flags })),
  fc.tuple(fc.constantFrom("100", "102", "103", "199"), ordinary)
    .map(([status, fields]) => ({ fields: [":status", status, ...fields], flags: Flag.INFORMATIONAL })),
  ordinary.map((fields) => ({ fields, flags: Flag.END_STREAM | Flag.TRAILERS })),
);

/** Plain objects, which deepEqual tells from those without a prototype. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const streamId = fc.integer({ min: 1, max: MAX_U31 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
/** Small, and around the size from which payloads are referenced. */
const payload = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.tuple(fc.integer({ min: 4_090, max: 4_100 }), fc.integer({ min: 0, max: 255 }))
    .map(([length, byte]) => new Uint8Array(length).fill(byte)),
);

export const frame: fc.Arbitrary<RecordedFrame> = fc.oneof(
  record({ type: fc.constant("DATA" as const), streamId, payload, endStream: fc.boolean() }),
  record({
    type: fc.constant("DATA" as const),
    streamId,
    payload: fc.constant(new Uint8Array(0)),
    endStream: fc.constant(true),
  }),
  fc.tuple(streamId, block).map(([streamId, { fields, flags }]) => ({
    type: "HEADERS" as const,
    streamId,
    fields,
    flags,
  })),
  record({ type: fc.constant("RST_STREAM" as const), streamId, errorCode: u32, half: fc.boolean() }),
  fc.array(fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: MAX_U31 })), { maxLength: 8 })
    .map((pairs) => ({ type: "SETTINGS" as const, pairs: pairs.flat() })),
  record({ type: fc.constant("STOP_SENDING" as const), streamId, errorCode: u32 }),
  record({
    type: fc.constant("GOAWAY" as const),
    lastStreamId: fc.integer({ min: 0, max: MAX_U31 }),
    errorCode: u32,
    reason: fc.string({ unit: "grapheme", maxLength: 20 }),
  }),
  record({
    type: fc.constant("WINDOW_UPDATE" as const),
    streamId,
    increment: fc.integer({ min: 1, max: MAX_U31 }),
  }),
  record({
    type: fc.constant("PING" as const),
    payload: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    ack: fc.boolean(),
  }),
  record({ type: fc.constant("ACK" as const), count: fc.integer({ min: 0, max: MAX_COUNT }) }),
);

/** Gives the frame to the builder, which takes none of type `unknown`. */
export function append(builder: MessageBuilder, frame: RecordedFrame): void {
  switch (frame.type) {
    case "DATA":
      return void builder.data(frame.streamId, frame.payload, frame.endStream);
    case "HEADERS":
      return builder.headers(frame.streamId, frame.fields, frame.flags);
    case "RST_STREAM":
      return builder.rstStream(frame.streamId, frame.errorCode, frame.half);
    case "SETTINGS":
      return builder.settings(frame.pairs);
    case "STOP_SENDING":
      return builder.stopSending(frame.streamId, frame.errorCode);
    case "GOAWAY":
      return builder.goAway(frame.lastStreamId, frame.errorCode, frame.reason);
    case "WINDOW_UPDATE":
      return builder.windowUpdate(frame.streamId, frame.increment);
    case "PING":
      return builder.ping(frame.payload, frame.ack);
    case "ACK":
      return builder.ack(frame.count);
    case "unknown":
      throw new Error(`A builder does not know type ${frame.number}`);
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
