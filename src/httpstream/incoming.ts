/** What comes in: each frame of a message, judged by what its stream and the connection know, and handed to them. */
import { decodeHeaderBlock, ErrorCode, Flag, type FrameVisitor, ProtocolError, SettingId } from "./wire/mod.ts";
import { StreamError } from "./errors.ts";
import type { Receipts } from "./flow/mod.ts";
import type { MuxStream } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** What the connection itself is told. */
export interface IncomingHandlers {
  onSettings(windowBytes: number, maxStreams: number | null, maxHeaderBlock: number): void;
  onGoAway(lastStreamId: number, errorCode: number, reason: string): void;
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  onAck(count: number): void;
}

const DEFAULT_WINDOW = 65_536;
const DEFAULT_HEADER_BLOCK = 65_536;
/** A head that neither comes before one nor behind a body. */
const PLAIN = 0;
const KIND = Flag.INFORMATIONAL | Flag.TRAILERS;

export class Incoming implements FrameVisitor {
  readonly #streams: Streams;
  readonly #receipts: Receipts;
  readonly #handlers: IncomingHandlers;
  #settled = false;

  constructor(streams: Streams, receipts: Receipts, handlers: IncomingHandlers) {
    this.#streams = streams;
    this.#receipts = receipts;
    this.#handlers = handlers;
  }

  counted(payloadLength: number): void {
    this.#receipts.take(payloadLength);
  }

  data(streamId: number, payload: Uint8Array, endStream: boolean): void {
    const stream = this.#open(streamId);
    if (stream === null) return;
    try {
      stream.receiveData(payload, endStream);
    } catch (error) {
      breakStream(stream, error);
    }
  }

  headers(streamId: number, block: Uint8Array, flags: number): void {
    if (this.#streams.table.opens(streamId)) return this.#openStream(streamId, block, flags);
    const stream = this.#open(streamId);
    if (stream === null) return;
    if (stream.accepted && (flags & KIND) === PLAIN) throw broken(`Stream ${streamId} was opened twice`, streamId);
    try {
      stream.receiveHeaders(decodeHeaderBlock(block, flags), flags, block.length);
    } catch (error) {
      breakStream(stream, error);
    }
  }

  rstStream(streamId: number, errorCode: number, half: boolean): void {
    const stream = this.#open(streamId);
    if (stream === null) return;
    if (stream.accepted && !half) this.#streams.countReset();
    stream.receiveReset(errorCode, half);
  }

  stopSending(streamId: number, errorCode: number): void {
    this.#open(streamId)?.receiveStop(errorCode);
  }

  windowUpdate(streamId: number, increment: number): void {
    const stream = this.#open(streamId);
    if (stream === null || stream.receiveCredit(increment)) return;
    throw new ProtocolError({
      errorCode: ErrorCode.FLOW_CONTROL_ERROR,
      reason: `WINDOW_UPDATE of ${increment} bytes lets the window of stream ${streamId} pass 2^31-1`,
      scope: "connection",
      streamId,
    });
  }

  settings(pairs: readonly number[]): void {
    if (this.#settled) throw broken("SETTINGS came twice");
    if (this.#receipts.count !== 1) throw broken("SETTINGS were not the first frame");
    this.#settled = true;
    let windowBytes = DEFAULT_WINDOW;
    let maxStreams: number | null = null;
    let maxHeaderBlock = DEFAULT_HEADER_BLOCK;
    for (let index = 0; index < pairs.length; index += 2) {
      const value = pairs[index + 1];
      if (pairs[index] === SettingId.INITIAL_WINDOW) windowBytes = value;
      else if (pairs[index] === SettingId.MAX_CONCURRENT_STREAMS) maxStreams = value;
      else if (pairs[index] === SettingId.MAX_HEADER_BLOCK) maxHeaderBlock = value;
    }
    this.#handlers.onSettings(windowBytes, maxStreams, maxHeaderBlock);
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#requireSettings();
    this.#handlers.onGoAway(lastStreamId, errorCode, reason);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    if (ack) this.#handlers.onPong(payload);
    else this.#handlers.onPing(payload.slice());
  }

  ack(count: number): void {
    this.#handlers.onAck(count);
  }

  unknown(type: number): void {
    // An unknown type is ignored, but SETTINGS come before any counted one.
    if ((type & 0x80) === 0) this.#requireSettings();
  }

  #openStream(streamId: number, block: Uint8Array, flags: number): void {
    this.#requireSettings();
    if ((flags & KIND) !== PLAIN) throw broken(`Stream ${streamId} was never opened`, streamId);
    this.#streams.table.usePeerId(streamId);
    let fields: string[];
    try {
      fields = decodeHeaderBlock(block, flags);
    } catch (error) {
      if (!isStreamFault(error)) throw error;
      return this.#streams.refuse(streamId, error.errorCode);
    }
    this.#streams.accept(streamId, fields, (flags & Flag.END_STREAM) !== 0);
  }

  /** The stream of a frame, or null where it is closed: such a frame is ignored. */
  #open(streamId: number): MuxStream | null {
    const stream = this.#streams.table.find(streamId);
    return stream === null || stream.isOver ? null : stream;
  }

  #requireSettings(): void {
    if (!this.#settled) throw broken("A frame came before SETTINGS");
  }
}

function isStreamFault(error: unknown): error is ProtocolError {
  return error instanceof ProtocolError && error.scope === "stream";
}

/** The peer broke the protocol on one stream: it is reset, and the connection goes on. Anything else passes through. */
function breakStream(stream: MuxStream, error: unknown): void {
  if (!isStreamFault(error)) throw error;
  stream.fail(
    new StreamError({
      code: "protocol_error",
      reason: error.reason,
      initiator: "remote",
      errorCode: error.errorCode,
      cause: error,
    }),
    error.errorCode,
  );
}

function broken(reason: string, streamId?: number): ProtocolError {
  return new ProtocolError({ errorCode: ErrorCode.PROTOCOL_ERROR, reason, scope: "connection", streamId });
}
