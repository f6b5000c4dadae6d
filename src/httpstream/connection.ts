/**
 * One session of the multiplexer on one link: it introduces itself, carries streams, watches whether the peer lives,
 * and leaves in order. What comes in is judged in incoming.ts, what leaves is gathered in outgoing.ts, and what the
 * streams share is in streams.ts.
 */
import { callAtTickEnd, type Clock, Deferred, Liveness, systemClock, Timeout } from "../base/mod.ts";
import { release } from "../memory/mod.ts";
import { decodeMessage, ErrorCode, errorCodeName, MAX_U31, ProtocolError, SettingId } from "./wire/mod.ts";
import { ConnectionError, type ConnectionErrorInit } from "./errors.ts";
import { Incoming } from "./incoming.ts";
import { FrameKind } from "./flow/mod.ts";
import type { Link, LinkCloseInfo } from "./link.ts";
import {
  type ConnectionLimits,
  connectionLimits,
  type ConnectionOptions,
  defaultMaxConcurrentStreams,
} from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { Streams } from "./streams.ts";
import type {
  CloseInfo,
  Connection as ConnectionFace,
  Fields,
  HeadOptions,
  NewStreamHandler,
  Role,
  Stream,
} from "./types.ts";

/** Refuses every stream. */
export const noOpNewStreamHandler: NewStreamHandler = () => {
  throw new Error("This side takes no streams");
};

/** The WebSocket's close codes (RFC 6455 §7.4.1): going away, and protocol error. */
const GOING_AWAY = 1001;
const BROKEN = 1002;
/** Control frames that a peer may leave unacknowledged: this, and what resetting every stream would take. */
const CONTROL_ROOM = 1_048_576;
const CONTROL_ROOM_PER_STREAM = 512;

/** How far this side is in leaving (RFC 9113 §6.8): GOAWAY with the highest id, a round trip, GOAWAY with the last one. */
const Leaving = { NO: 0, ANNOUNCED: 1, FINAL: 2 } as const;
type Leaving = typeof Leaving[keyof typeof Leaving];

export class Connection implements ConnectionFace {
  readonly role: Role;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #defer: (callback: () => void) => void;
  readonly #limits: ConnectionLimits;
  readonly #outgoing: Outgoing;
  readonly #streams: Streams;
  readonly #incoming: Incoming;
  readonly #liveness: Liveness;
  readonly #ready = new Deferred<void>();
  readonly #closed = new Deferred<CloseInfo>();
  readonly #controlRoom: number;
  #leaving: Leaving = Leaving.NO;
  #peerLeaves = false;
  /** How the connection ended, once it did; the link may still be closing. */
  #end: CloseInfo | null = null;
  #pinging: { sentAt: number; answer: Deferred<number> } | null = null;
  #pings = 0;
  #pingRttMs = 0;
  #idle: Timeout | null = null;

  /** Takes the link over and introduces itself on it. @throws {OptionError} for a limit that cannot be. */
  constructor(link: Link, options: ConnectionOptions) {
    this.role = options.role;
    this.#link = link;
    this.#clock = options.clock ?? systemClock;
    this.#defer = options.defer ?? callAtTickEnd;
    this.#limits = connectionLimits(options.role, options.limits);
    const streams = defaultMaxConcurrentStreams(this.role) + this.#limits.maxConcurrentStreams;
    this.#controlRoom = CONTROL_ROOM + CONTROL_ROOM_PER_STREAM * streams;
    this.#outgoing = new Outgoing({
      link,
      clock: this.#clock,
      defer: this.#defer,
      onFlushed: (now) => this.#flushed(now),
    });
    this.#streams = new Streams({
      ...options,
      clock: this.#clock,
      onStream: options.onStream ?? noOpNewStreamHandler,
      onHandlerError: options.onHandlerError ?? throwOutside,
      outgoing: this.#outgoing,
      onActivity: () => this.#idle?.touch(),
    }, this.#limits);
    this.#incoming = new Incoming(this.#streams, this.#outgoing.receipts, {
      onSettings: (windowBytes, maxStreams, maxHeaderBlock) => {
        this.#streams.applySettings(windowBytes, maxStreams, maxHeaderBlock);
        this.#outgoing.open();
        this.#ready.resolve();
      },
      onGoAway: (lastStreamId, errorCode, reason) => this.#takeGoAway(lastStreamId, errorCode, reason),
      onPing: (payload) => this.#outgoing.pong(payload),
      onPong: (payload) => this.#takePong(payload),
      onAck: (count) => this.#takeAck(count),
    });
    this.#liveness = new Liveness({
      clock: this.#clock,
      pingAfterMs: this.#limits.pingAfterMs,
      deadAfterMs: this.#limits.deadAfterMs,
      onSilence: () => void this.ping(),
      onDead: (reason) => this.#die(reason),
    });
    link.handlers = {
      onMessage: (message) => this.#takeMessage(message),
      onDrain: () => this.#outgoing.drained(),
      onClose: (info) => this.#linkClosed(info),
      onBytes: () => this.#liveness.heard(this.#clock.now()),
    };
    this.#introduce();
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get closed(): Promise<CloseInfo> {
    return this.#closed.promise;
  }

  get streams(): number {
    return this.#streams.table.ownSlots + this.#streams.table.acceptedSlots;
  }

  get acceptedStreams(): number {
    return this.#streams.table.acceptedSlots;
  }

  get bufferedBytes(): number {
    return this.#streams.bufferedBytes;
  }

  get grownBytes(): number {
    return this.#streams.pool.grantedBytes;
  }

  get rttMs(): number {
    return this.#streams.rttMs || this.#pingRttMs;
  }

  get draining(): boolean {
    return this.#leaving !== Leaving.NO || this.#peerLeaves;
  }

  createStream(headers: Fields, options?: HeadOptions): Stream {
    if (this.#end !== null) throw this.#refuse("closed", `The connection ended: ${this.#end.reason}`);
    if (this.draining) throw this.#refuse("draining", "The connection is draining");
    try {
      return this.#streams.create(headers, options);
    } catch (error) {
      // Without ids left, those streams that are open end here, and new ones need a new connection.
      if (error instanceof ConnectionError) void this.drain();
      throw error;
    }
  }

  ping(): Promise<number> {
    if (this.#end !== null) return Promise.reject(this.#refuse("closed", `The connection ended: ${this.#end.reason}`));
    if (this.#pinging === null) {
      this.#pinging = { sentAt: this.#clock.now(), answer: new Deferred() };
      const payload = new Uint8Array(8);
      new DataView(payload.buffer).setUint32(4, ++this.#pings);
      this.#outgoing.ping(payload);
    }
    return this.#pinging.answer.promise;
  }

  setIdleTimeout(idleTimeoutMs: number): void {
    this.#idle?.close();
    this.#idle = null;
    if (idleTimeoutMs > 0 && this.#end === null) this.#watchIdle(idleTimeoutMs);
  }

  drain(): Promise<CloseInfo> {
    if (this.#leaving !== Leaving.NO || this.#end !== null) return this.closed;
    this.#leaving = Leaving.ANNOUNCED;
    this.#outgoing.goAway(MAX_U31, ErrorCode.NO_ERROR, "draining");
    // What the peer opened before it heard of this has arrived after one round trip.
    this.ping().then(() => this.#announceLast(), () => {/* The connection ended before: there is nothing to drain. */});
    return this.closed;
  }

  close(code: number = ErrorCode.NO_ERROR, reason = "closed"): void {
    if (this.#end !== null) return;
    this.#leave(
      code,
      reason,
      code === ErrorCode.NO_ERROR ? null : this.#error({
        code: "closed",
        reason: `The connection was closed with ${errorCodeName(code)}: ${reason}`,
        initiator: "user",
        errorCode: code,
      }),
    );
  }

  #introduce(): void {
    this.#outgoing.settings([
      SettingId.INITIAL_WINDOW,
      this.#limits.initialWindowBytes,
      SettingId.MAX_CONCURRENT_STREAMS,
      this.#limits.maxConcurrentStreams,
      SettingId.MAX_HEADER_BLOCK,
      this.#limits.maxHeaderBlockBytes,
    ]);
  }

  #takeMessage(message: Uint8Array): void {
    if (this.#end !== null) return void release(message);
    const now = this.#clock.now();
    this.#streams.now = now;
    this.#liveness.heard(now);
    try {
      decodeMessage(message, this.#incoming);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#refuseProtocol(error);
    } finally {
      // Streams have retained the parts that they keep.
      release(message);
    }
    this.#streams.dispatch();
    this.#outgoing.received();
  }

  #flushed(now: number): void {
    if (this.#end !== null) return;
    this.#streams.now = now;
    this.#streams.settle();
    const { inflight } = this.#outgoing;
    if (inflight.sentCount > inflight.ackedCount) this.#liveness.sent(now);
    if (inflight.bytes(FrameKind.CONTROL) > this.#controlRoom) {
      const reason = `${inflight.bytes(FrameKind.CONTROL)} bytes of control frames are unacknowledged`;
      return this.#fail(ErrorCode.ENHANCE_YOUR_CALM, { code: "flooded", reason, initiator: "remote" });
    }
    this.#streams.dispatch();
    if (this.#leaving === Leaving.FINAL && this.#streams.table.size === 0) {
      this.#leave(ErrorCode.NO_ERROR, "drained", null);
    }
  }

  #takeAck(count: number): void {
    const { inflight, scheduler } = this.#outgoing;
    const before = inflight.ackedCount;
    if (!inflight.acknowledge(count, this.#streams.now)) {
      throw new ProtocolError({
        errorCode: ErrorCode.PROTOCOL_ERROR,
        reason: `ACK of ${count} frames, of which ${inflight.sentCount} were sent and ${before} acknowledged`,
        scope: "connection",
      });
    }
    if (count === before) return;
    this.#liveness.progressed(this.#streams.now, inflight.sentCount > count);
    if (!scheduler.empty) this.#outgoing.wake();
  }

  #takePong(payload: Uint8Array): void {
    const pinging = this.#pinging;
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(4);
    // An answer to no question, or to an old one, says nothing.
    if (pinging === null || number !== this.#pings) return;
    this.#pinging = null;
    this.#pingRttMs = this.#streams.now - pinging.sentAt;
    pinging.answer.resolve(this.#pingRttMs);
  }

  #takeGoAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#peerLeaves = true;
    if (errorCode === ErrorCode.NO_ERROR) return this.#streams.peerLeaves(lastStreamId);
    this.#finish(
      errorCode,
      reason,
      this.#error({
        code: "peer_failed",
        reason: `The peer ended the connection with ${errorCodeName(errorCode)}: ${reason}`,
        initiator: "remote",
        errorCode,
        retryable: true,
      }),
    );
    this.#link.close(GOING_AWAY, "");
  }

  #announceLast(): void {
    if (this.#end !== null) return;
    this.#leaving = Leaving.FINAL;
    this.#outgoing.goAway(this.#streams.stopAccepting(), ErrorCode.NO_ERROR, "draining");
  }

  #watchIdle(idleTimeoutMs: number): void {
    const idle = new Timeout(this.#clock, () => {
      if (this.streams > 0) idle.start(idleTimeoutMs);
      else this.#leave(ErrorCode.NO_ERROR, "idle", null);
    });
    idle.start(idleTimeoutMs);
    this.#idle = idle;
  }

  /** The peer broke the protocol: its stream is reset, where the fault has one, then the connection ends. */
  #refuseProtocol(fault: ProtocolError): void {
    if (fault.streamId !== undefined) this.#outgoing.refuse(fault.streamId, fault.errorCode);
    const flooded = fault.errorCode === ErrorCode.ENHANCE_YOUR_CALM;
    this.#fail(fault.errorCode, {
      code: flooded ? "flooded" : "protocol_error",
      reason: fault.reason,
      initiator: "remote",
      cause: fault,
    });
  }

  #fail(errorCode: number, init: ConnectionErrorInit): void {
    this.#leave(errorCode, init.reason, this.#error({ ...init, errorCode }));
  }

  /** Says goodbye, and ends everything on this side; the link closes behind what was sent. */
  #leave(errorCode: number, reason: string, error: ConnectionError | null): void {
    // After a drain the peer knows already up to where streams were processed.
    const said = this.#leaving === Leaving.FINAL && errorCode === ErrorCode.NO_ERROR;
    if (!said) this.#outgoing.goAway(this.#streams.stopAccepting(), errorCode, reason);
    this.#end = { code: errorCode, reason, error };
    this.#outgoing.flush();
    this.#finish(errorCode, reason, error);
    this.#link.close(errorCode === ErrorCode.NO_ERROR ? GOING_AWAY : BROKEN, closeReason(reason));
  }

  #die(reason: string): void {
    this.#finish(
      ErrorCode.NO_ERROR,
      reason,
      this.#error({ code: "peer_silent", reason, initiator: "library", retryable: true }),
    );
    this.#link.abort();
  }

  #linkClosed(info: LinkCloseInfo): void {
    if (this.#end === null) {
      const orderly = info.clean && info.code === GOING_AWAY && this.#peerLeaves;
      const reason = `The link closed with ${info.code}${info.reason === "" ? "" : `: ${info.reason}`}`;
      this.#finish(
        ErrorCode.NO_ERROR,
        reason,
        orderly ? null : this.#error({
          code: "link_lost",
          reason,
          initiator: "remote",
          retryable: true,
        }),
      );
    }
    this.#streams.dispatch();
    this.#closed.resolve(this.#end!);
  }

  /** Everything on this side ends: streams, timers, what waited. */
  #finish(code: number, reason: string, error: ConnectionError | null): void {
    this.#end = { code, reason, error };
    this.#outgoing.stop();
    this.#liveness.stop();
    this.#idle?.close();
    this.#idle = null;
    this.#pinging?.answer.reject(this.#refuse("closed", `The connection ended: ${reason}`));
    this.#pinging = null;
    this.#ready.resolve();
    this.#streams.end(`The connection ended: ${reason}`, error);
    this.#defer(() => this.#streams.dispatch());
  }

  #refuse(code: "closed" | "draining", reason: string): ConnectionError {
    return this.#error({ code, reason, initiator: this.#peerLeaves ? "remote" : "library", retryable: true });
  }

  #error(init: ConnectionErrorInit): ConnectionError {
    return new ConnectionError(init);
  }
}

/** A close frame takes 123 bytes of reason (RFC 6455 §5.5); the GOAWAY has it whole. */
function closeReason(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);
}

function throwOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
