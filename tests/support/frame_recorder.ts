/** Frames as plain objects, for tests to compare. The codec makes none, for its speed. */
import { decodeHeaderBlock, decodeMessage, type FrameVisitor } from "../../src/httpstream/wire/mod.ts";

export type RecordedFrame =
  | { type: "DATA"; streamId: number; payload: Uint8Array; endStream: boolean }
  | { type: "HEADERS"; streamId: number; fields: string[]; flags: number }
  | { type: "RST_STREAM"; streamId: number; errorCode: number; half: boolean }
  | { type: "SETTINGS"; pairs: number[] }
  | { type: "STOP_SENDING"; streamId: number; errorCode: number }
  | { type: "GOAWAY"; lastStreamId: number; errorCode: number; reason: string }
  | { type: "WINDOW_UPDATE"; streamId: number; increment: number }
  | { type: "PING"; payload: Uint8Array; ack: boolean }
  | { type: "ACK"; count: number }
  | { type: "unknown"; number: number; streamId: number };

export type FrameName = RecordedFrame["type"];
export type FrameOf<Name extends FrameName> = Extract<RecordedFrame, { type: Name }>;

/** The frames of one message. Throws what the codec throws. */
export function recordFrames(message: Uint8Array): RecordedFrame[] {
  const recorder = new FrameRecorder();
  decodeMessage(message, recorder);
  return recorder.frames;
}

export class FrameRecorder implements FrameVisitor {
  readonly frames: RecordedFrame[] = [];
  /** Counted frames so far, and their payloads' bytes. */
  countedFrames = 0;
  countedBytes = 0;

  counted(payloadLength: number): void {
    this.countedFrames++;
    this.countedBytes += payloadLength;
  }

  data(streamId: number, payload: Uint8Array, endStream: boolean): void {
    this.frames.push({ type: "DATA", streamId, payload, endStream });
  }

  headers(streamId: number, block: Uint8Array, flags: number): void {
    this.frames.push({ type: "HEADERS", streamId, fields: decodeHeaderBlock(block, flags), flags });
  }

  rstStream(streamId: number, errorCode: number, half: boolean): void {
    this.frames.push({ type: "RST_STREAM", streamId, errorCode, half });
  }

  settings(pairs: readonly number[]): void {
    this.frames.push({ type: "SETTINGS", pairs: [...pairs] });
  }

  stopSending(streamId: number, errorCode: number): void {
    this.frames.push({ type: "STOP_SENDING", streamId, errorCode });
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.frames.push({ type: "GOAWAY", lastStreamId, errorCode, reason });
  }

  windowUpdate(streamId: number, increment: number): void {
    this.frames.push({ type: "WINDOW_UPDATE", streamId, increment });
  }

  ping(payload: Uint8Array, ack: boolean): void {
    this.frames.push({ type: "PING", payload, ack });
  }

  ack(count: number): void {
    this.frames.push({ type: "ACK", count });
  }

  unknown(type: number, streamId: number): void {
    this.frames.push({ type: "unknown", number: type, streamId });
  }
}
