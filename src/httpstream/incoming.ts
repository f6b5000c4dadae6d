/** What comes in: each frame of a message is checked against the state of its stream and connection, and handed to it. */
import { FloodBudget, work } from "../base/mod.ts";
import { StreamError } from "./errors.ts";
import type { AckTracker } from "./flow/mod.ts";
import { type PeerSettings, readPeerSettings } from "./peer_settings.ts";
import type { MuxStream } from "./stream.ts";
import type { Streams } from "./streams.ts";
import {
  decodeHeaderBlock,
  ErrorCode,
  Flag,
  type FrameVisitor,
  type HeaderBlockLimits,
  isCounted,
  ProtocolError,
} from "./wire/mod.ts";

/** What the connection itself is told. */
export interface IncomingHandlers {
  onSettings(settings: PeerSettings): void;
  onGoAway(lastStreamId: number, errorCode: number, reason: string): void;
  onPing(payload: Uint8Array): void;
  /** Returns whether it answers a PING that was sent, and was not answered. */
  onPong(payload: Uint8Array): boolean;
  /** Returns whether it acknowledges anything new. */
  onAck(count: number): boolean;
  /** Counted frames that were sent so far: each may be answered. */
  readonly sentFrames: number;
}

/** Our own updates are of half a window. Smaller ones are answers to frames that were sent, or a flood. */
const SMALL_UPDATE_BYTES = 1_024;
/** Interim heads of a stream that can be passed on. */
const MAX_INTERIM_HEADS = 16;
/**
 * What a frame without use costs (src/base/flood_budget.ts). Control frames have a use once a stream, and streams cross
 * each other's ends; of DATA a whole window may be late.
 */
const COST = { USELESS: 1, CONTROL: 1 / 16, LATE_DATA: 1 / 64 } as const;

/** The flags that make HEADERS an interim head or trailers; without any of them it opens or answers a stream. */
const HEAD_KIND_FLAGS = Flag.INFORMATIONAL | Flag.TRAILERS;

export class Incoming implements FrameVisitor {
  /** Payload bytes of DATA that came for open streams. */
  receivedDataBytes = 0;
  readonly #streams: Streams;
  readonly #acks: AckTracker;
  readonly #blockLimits: HeaderBlockLimits;
  readonly #handlers: IncomingHandlers;
  readonly #flood: FloodBudget;
  /** HEADERS and DATA of open streams. */
  #usefulFrames = 0;
  #hasSettings = false;

  /** @param blockLimits what this side announced */
  constructor(streams: Streams, acks: AckTracker, blockLimits: HeaderBlockLimits, handlers: IncomingHandlers) {
    this.#streams = streams;
    this.#acks = acks;
    this.#blockLimits = blockLimits;
    this.#handlers = handlers;
    this.#flood = new FloodBudget(streams.now);
  }

  counted(payloadLength: number): void {
    this.#acks.received(payloadLength);
  }

  data(streamId: number, payload: Uint8Array, endStream: boolean): void {
    const stream = this.#find(streamId);
    if (stream === null) return this.#measure("DATA", COST.LATE_DATA);
    this.#usefulFrames++;
    this.receivedDataBytes += payload.length;
    try {
      stream.receiveData(payload, endStream);
    } catch (error) {
      failStream(stream, error);
    }
  }

  headers(streamId: number, block: Uint8Array, flags: number): void {
    if (this.#streams.table.opens(streamId)) return this.#openStream(streamId, block, flags);
    const stream = this.#find(streamId);
    if (stream === null) return this.#measure("HEADERS", COST.CONTROL);
    if ((flags & Flag.INFORMATIONAL) === 0) this.#usefulFrames++;
    else this.#measureInterim(stream, block.length);
    if (stream.accepted && (flags & HEAD_KIND_FLAGS) === 0) {
      throw violation(`Stream ${streamId} was opened twice`, streamId);
    }
    try {
      stream.receiveHeaders(decodeHeaderBlock(block, flags, this.#blockLimits), flags, block.length);
    } catch (error) {
      failStream(stream, error);
    }
  }

  rstStream(streamId: number, errorCode: number, half: boolean): void {
    this.#measure("RST_STREAM", COST.CONTROL);
    const stream = this.#find(streamId);
    if (stream === null) return;
    if (stream.accepted && !half) this.#streams.countReset();
    stream.receiveReset(errorCode, half);
  }

  stopSending(streamId: number, errorCode: number): void {
    this.#measure("STOP_SENDING", COST.CONTROL);
    this.#find(streamId)?.receiveStop(errorCode);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#measure("WINDOW_UPDATE", increment < SMALL_UPDATE_BYTES ? COST.USELESS : COST.CONTROL);
    const stream = this.#find(streamId);
    if (stream === null || stream.receiveCredit(increment)) return;
    throw new ProtocolError({
      errorCode: ErrorCode.FLOW_CONTROL_ERROR,
      reason: `WINDOW_UPDATE of ${increment} bytes lets the window of stream ${streamId} pass 2^31-1`,
      scope: "connection",
      streamId,
    });
  }

  settings(pairs: readonly number[]): void {
    if (this.#hasSettings) throw violation("SETTINGS came twice");
    if (this.#acks.count !== 1) throw violation("SETTINGS were not the first frame");
    this.#hasSettings = true;
    this.#handlers.onSettings(readPeerSettings(pairs));
  }

  goAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#requireSettings();
    this.#measure("GOAWAY", COST.USELESS);
    this.#handlers.onGoAway(lastStreamId, errorCode, reason);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    if (ack && this.#handlers.onPong(payload)) return;
    this.#measure("PING", COST.USELESS);
    if (!ack) this.#handlers.onPing(payload.slice());
  }

  ack(count: number): void {
    if (!this.#handlers.onAck(count)) this.#measure("ACK", COST.USELESS);
  }

  /** An unknown type is ignored. But like every counted frame, it must not come before SETTINGS. */
  unknown(type: number): void {
    if (isCounted(type)) this.#requireSettings();
    this.#measure("unknown", COST.USELESS);
  }

  #measureInterim(stream: MuxStream, bytes: number): void {
    work.units += bytes;
    if (++stream.interimHeads > MAX_INTERIM_HEADS) this.#measure("interim HEADERS", COST.USELESS);
  }

  /** A frame came that has no use, or may have none. @throws {ProtocolError} where it is one too many */
  #measure(what: string, cost: number): void {
    const usefulFrames = this.#usefulFrames + this.#handlers.sentFrames;
    if (this.#flood.take(this.#streams.now, usefulFrames, cost)) return;
    throw new ProtocolError({
      errorCode: ErrorCode.ENHANCE_YOUR_CALM,
      reason: `More frames without use came than the others allow, at last ${what}`,
      scope: "connection",
    });
  }

  #openStream(streamId: number, block: Uint8Array, flags: number): void {
    this.#requireSettings();
    if ((flags & HEAD_KIND_FLAGS) !== 0) throw violation(`Stream ${streamId} was never opened`, streamId);
    this.#streams.table.usePeerId(streamId);
    this.#usefulFrames++;
    work.units += this.#streams.unitsPerOpen;
    let fields: string[];
    try {
      fields = decodeHeaderBlock(block, flags, this.#blockLimits);
    } catch (error) {
      if (!isStreamFault(error)) throw error;
      return this.#streams.refuse(streamId, error.errorCode);
    }
    this.#streams.accept(streamId, fields, (flags & Flag.END_STREAM) !== 0);
  }

  /** The stream of a frame, or null where it is closed: the frame is then ignored. */
  #find(streamId: number): MuxStream | null {
    const stream = this.#streams.table.find(streamId);
    return stream === null || stream.isOver ? null : stream;
  }

  #requireSettings(): void {
    if (!this.#hasSettings) throw violation("A frame came before SETTINGS");
  }
}

function isStreamFault(error: unknown): error is ProtocolError {
  return error instanceof ProtocolError && error.scope === "stream";
}

/** Resets a stream on which the peer broke the protocol; the connection goes on. Throws `error` where it is another. */
function failStream(stream: MuxStream, error: unknown): void {
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

function violation(reason: string, streamId?: number): ProtocolError {
  return new ProtocolError({ errorCode: ErrorCode.PROTOCOL_ERROR, reason, scope: "connection", streamId });
}
