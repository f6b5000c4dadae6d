/**
 * A message as docs/protocol.md shows it: a line for each part of each frame, with its bytes and their meaning. The
 * meaning comes from the codec, so that a page with these lines agrees with the codec.
 */
import { errorCodeName, Flag, SettingId } from "../../../src/httpstream/wire/mod.ts";
import { type RecordedFrame, recordFrames } from "../../support/frame_recorder.ts";
import { hex } from "../../support/hex.ts";

export interface Line {
  /** Lower-case hexadecimal, without spaces. */
  readonly hex: string;
  readonly says: string;
}

/** Throws what the codec throws. */
export function annotate(message: Uint8Array): Line[] {
  const reader = new LineReader(message);
  for (const frame of recordFrames(message)) describe(frame, reader);
  return reader.lines;
}

class LineReader {
  readonly lines: Line[] = [];
  readonly #message: Uint8Array;
  #offset = 0;

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  take(length: number, says: string): void {
    this.lines.push({ hex: hex(this.#message.subarray(this.#offset, this.#offset + length)), says });
    this.#offset += length;
  }
}

function describe(frame: RecordedFrame, reader: LineReader): void {
  switch (frame.type) {
    case "DATA":
      reader.take(9, `DATA, stream ${frame.streamId}${frame.endStream ? ", END_STREAM" : ""}`);
      return describeBytes(frame.payload, reader);
    case "HEADERS":
      reader.take(9, `HEADERS, stream ${frame.streamId}${headerFlags(frame.flags)}`);
      return describeFields(frame.fields, reader);
    case "RST_STREAM":
      reader.take(9, `RST_STREAM, stream ${frame.streamId}${frame.half ? ", HALF" : ""}`);
      return reader.take(4, errorCodeName(frame.errorCode));
    case "SETTINGS":
      reader.take(9, "SETTINGS");
      for (let index = 0; index < frame.pairs.length; index += 2) {
        reader.take(6, `${settingName(frame.pairs[index]!)} = ${frame.pairs[index + 1]}`);
      }
      return;
    case "STOP_SENDING":
      reader.take(9, `STOP_SENDING, stream ${frame.streamId}`);
      return reader.take(4, errorCodeName(frame.errorCode));
    case "GOAWAY":
      reader.take(9, "GOAWAY");
      reader.take(4, `last stream ${frame.lastStreamId}`);
      reader.take(4, errorCodeName(frame.errorCode));
      return describeBytes(new TextEncoder().encode(frame.reason), reader);
    case "WINDOW_UPDATE":
      reader.take(9, `WINDOW_UPDATE, stream ${frame.streamId}`);
      return reader.take(4, `${frame.increment} bytes`);
    case "PING":
      reader.take(9, `PING${frame.ack ? ", ACK" : ""}`);
      return reader.take(8, "8 bytes to repeat");
    case "ACK":
      reader.take(9, "ACK");
      return reader.take(6, `${frame.count} taken`);
    case "unknown":
      throw new Error(`A sample has a frame of unknown type ${frame.number}`);
  }
}

function describeFields(fields: readonly string[], reader: LineReader): void {
  reader.take(2, fields.length === 2 ? "1 field" : `${fields.length / 2} fields`);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    reader.take(6 + name.length + value.length, `${name}: ${value}`);
  }
}

function describeBytes(bytes: Uint8Array, reader: LineReader): void {
  if (bytes.length > 0) reader.take(bytes.length, JSON.stringify(new TextDecoder().decode(bytes)));
}

function headerFlags(flags: number): string {
  const names = (["END_STREAM", "INFORMATIONAL", "TRAILERS"] as const).filter((name) => (flags & Flag[name]) !== 0);
  return names.map((name) => `, ${name}`).join("");
}

function settingName(id: number): string {
  return Object.entries(SettingId).find(([, number]) => number === id)?.[0] ?? String(id);
}
