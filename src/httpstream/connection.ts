/**
 * One session of the multiplexer (`runnel.v2`, docs/protocol.md): it sends its SETTINGS, carries streams, watches whether
 * the peer lives, and ends in order. It has one link at a time, and may outlive it:
 *
 *     link ── messages ──▶ Incoming ── frames ──▶ Streams ──▶ stream owners
 *     link ◀── messages ── Outgoing ◀─ frames ─── Streams ◀── stream owners
 *
 *     ┌────────┐  link lost   ┌───────────┐  resumeTimeoutMs without another one, close()
 *     │ linked │ ───────────▶ │ suspended │ ────────────────────────────────────────────▶ over
 *     └────────┘ ◀─────────── └───────────┘
 *         │        resume()
 *         └─ close(), the peer's GOAWAY or fault, the end of a drain ─▶ over
 */
import { callAtTickEnd, type Clock, Deferred, systemClock, Timeout } from "../base/mod.ts";
import { release } from "../memory/mod.ts";
import { CloseCode } from "../websocket/mod.ts";
import { ConnectionError, type ConnectionErrorInit, throwUncaught } from "./errors.ts";
import { FrameKind } from "./flow/mod.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Incoming } from "./incoming.ts";
import { closeReason, deafHandlers, type Link, type LinkCloseInfo } from "./link.ts";
import {
  type ConnectionLimits,
  connectionLimits,
  type ConnectionOptions,
  defaultMaxConcurrentStreams,
} from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { Streams } from "./streams.ts";
import { Suspension } from "./suspension.ts";
import {
  type CloseInfo,
  type Fields,
  type HeadOptions,
  noOpNewStreamHandler,
  noSuspensionHandlers,
  type Role,
  type Stream,
  type SuspensionHandlers,
} from "./types.ts";
import { decodeMessage, ErrorCode, errorCodeName, Feature, MAX_U31, ProtocolError, SettingId } from "./wire/mod.ts";

/** Bytes of control frames that a peer may leave unacknowledged: these, and what resetting every stream would take. */
const UNACKED_CONTROL_BYTES = 1_048_576;
const UNACKED_CONTROL_BYTES_PER_STREAM = 512;

/**
 * How far this side's drain is (RFC 9113 §6.8): GOAWAY with the highest id, `drain()` and a round trip, GOAWAY with the
 * last one.
 */
const DrainStep = { NONE: 0, ANNOUNCED: 1, DRAINING: 2, FINAL: 3 } as const;
type DrainStep = typeof DrainStep[keyof typeof DrainStep];

export class Connection {
  /** Which end this is. */
  readonly role: Role;
  /** Set by the owner, and replaced at any time. Default: none. */
  suspensionHandlers: SuspensionHandlers = noSuspensionHandlers;
  /** Null while suspended. */
  #link: Link | null;
  readonly #clock: Clock;
  readonly #defer: (callback: () => void) => void;
  readonly #limits: ConnectionLimits;
  readonly #outgoing: Outgoing;
  readonly #streams: Streams;
  readonly #incoming: Incoming;
  readonly #heartbeat: Heartbeat;
  readonly #suspension: Suspension;
  readonly #ready = new Deferred<void>();
  readonly #peerLeaving = new Deferred<void>();
  readonly #ended = new Deferred<CloseInfo>();
  readonly #closed = new Deferred<CloseInfo>();
  readonly #maxControlBytes: number;
  #drainStep: DrainStep = DrainStep.NONE;
  #isPeerDraining = false;
  /** The peer has sent its last GOAWAY: behind it the link may close. */
  #isPeerFinal = false;
  /** How the connection ended; null until it did. The link may close later. */
  #closeInfo: CloseInfo | null = null;
  #idleTimeout: Timeout | null = null;

  /**
   * Takes the link over and sends SETTINGS on it.
   *
   * @throws {OptionError} for a limit that is out of its range.
   */
  constructor(link: Link, options: ConnectionOptions) {
    this.role = options.role;
    this.#link = link;
    this.#clock = options.clock ?? systemClock;
    this.#defer = options.defer ?? callAtTickEnd;
    this.#limits = connectionLimits(options.role, options.limits);
    const maxStreams = defaultMaxConcurrentStreams(this.role) + this.#limits.maxConcurrentStreams;
    this.#maxControlBytes = UNACKED_CONTROL_BYTES + UNACKED_CONTROL_BYTES_PER_STREAM * maxStreams;
    const { resumeTimeoutMs = 0 } = options;
    const onExpired = () => this.expire(`It was not resumed within ${resumeTimeoutMs} ms`);
    this.#suspension = new Suspension(this.#clock, resumeTimeoutMs, onExpired);
    this.#outgoing = new Outgoing({
      link,
      isResumable: resumeTimeoutMs > 0,
      clock: this.#clock,
      defer: this.#defer,
      onFlushed: (now) => this.#afterFlush(now),
      onFailed: (error) => this.#failMessage(error, options.onHandlerError ?? throwUncaught),
    });
    this.#streams = new Streams({
      ...options,
      clock: this.#clock,
      onStream: options.onStream ?? noOpNewStreamHandler,
      onHandlerError: options.onHandlerError ?? throwUncaught,
      outgoing: this.#outgoing,
      defer: this.#defer,
      onActivity: () => this.#idleTimeout?.touch(),
    }, this.#limits);
    const { maxFields, maxHeaderBlockBytes } = this.#limits;
    const { inflight } = this.#outgoing;
    this.#incoming = new Incoming(this.#streams, this.#outgoing.acks, { maxFields, maxBytes: maxHeaderBlockBytes }, {
      onSettings: (settings) => {
        this.#streams.applySettings(settings);
        this.#outgoing.allowStreams();
        this.#ready.resolve();
      },
      onGoAway: (lastStreamId, errorCode, reason) => this.#receiveGoAway(lastStreamId, errorCode, reason),
      onPing: (payload) => this.#outgoing.pong(payload),
      onPong: (payload) => this.#heartbeat.pong(payload, this.#streams.now),
      onAck: (count) => this.#receiveAck(count),
      get sentFrames() {
        return inflight.sentCount;
      },
    });
    this.#heartbeat = new Heartbeat({
      clock: this.#clock,
      limits: this.#limits,
      isBusy: () => this.streams > 0,
      send: (payload) => this.#outgoing.ping(payload),
      onDead: (reason) => this.#abandon(reason),
    });
    this.#listen(link);
    this.#sendSettings(options.features ?? 0);
  }

  /** Resolves when the peer's SETTINGS are here. Streams may be created before; their frames wait for it. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves, never rejects, once the peer has announced that it leaves. It may go on opening streams. */
  get peerLeaving(): Promise<void> {
    return this.#peerLeaving.promise;
  }

  /** Resolves, never rejects, once the connection carries nothing any more. The link may take longer to close. */
  get ended(): Promise<CloseInfo> {
    return this.#ended.promise;
  }

  /**
   * Resolves, never rejects, once the link has ended at both sides and every stream has ended, but for those that only
   * wait for their readers.
   */
  get closed(): Promise<CloseInfo> {
    return this.#closed.promise;
  }

  /** What the peer takes beyond the first version of the protocol (`Feature`); 0 until its SETTINGS are here. */
  get peerFeatures(): number {
    return this.#streams.peerFeatures;
  }

  /** Streams that are open, hold bytes, or hold a slot (`Stream.hold`). */
  get streams(): number {
    return this.#streams.table.ownSlots + this.#streams.table.acceptedSlots;
  }

  /** Those of them that the peer opened. */
  get acceptedStreams(): number {
    return this.#streams.table.acceptedSlots;
  }

  /** Bytes held for all streams, both directions: unsent, unread, taken but not consumed, and header bytes. */
  get bufferedBytes(): number {
    return this.#streams.bufferedBytes;
  }

  /** Bytes by which windows have grown out of the connection's pool (`growthPoolBytes`), and were not withdrawn. */
  get grownBytes(): number {
    return this.#streams.pool.grantedBytes;
  }

  /** Bytes of streams, without heads, that were sent to the peer so far. */
  get sentBytes(): number {
    return this.#outgoing.sentDataBytes;
  }

  /** The same that came from the peer. */
  get receivedBytes(): number {
    return this.#incoming.receivedDataBytes;
  }

  /** The last measured round trip in milliseconds; 0 before the first. */
  get rttMs(): number {
    return this.#streams.rttMs || this.#heartbeat.rttMs;
  }

  /** True while the link is lost and another one is waited for. Streams may be created; their frames wait. */
  get isSuspended(): boolean {
    return this.#suspension.isOn;
  }

  /** Milliseconds for which there was no link, all times together. It grows while the connection is suspended. */
  get suspendedMs(): number {
    return this.#suspension.totalMs;
  }

  /** Bytes that have left and are kept until the peer acknowledges them. At most what may be in flight. */
  get keptBytes(): number {
    return this.#outgoing.keptBytes;
  }

  /** The IP address of this end of the link; null where there is none. */
  get localAddress(): string | null {
    return this.#link?.localAddress ?? null;
  }

  /** Counted frames that were taken since the session began. While suspended it does not change. */
  get receivedFrames(): number {
    return this.#outgoing.acks.count;
  }

  /** True once this side drains, or the peer has announced its end: `createStream()` then throws. */
  get draining(): boolean {
    return this.#drainStep >= DrainStep.DRAINING || this.#isPeerDraining;
  }

  /**
   * Opens a stream. With `endStream: true`, and with a small body, everything leaves in one message.
   *
   * @throws {StreamError} `refused` (retryable) above the peer's limit of streams or this side's of waiting header
   *   bytes, `invalid_headers` where the fields cannot be sent, `headers_too_large` where the peer takes fewer.
   * @throws {ConnectionError} `draining` (retryable) after GOAWAY, `closed` after the end.
   */
  createStream(headers: Fields, options?: HeadOptions): Stream {
    if (this.#closeInfo !== null) throw this.#unusable("closed", `The connection ended: ${this.#closeInfo.reason}`);
    if (this.draining) throw this.#unusable("draining", "The connection is draining");
    try {
      return this.#streams.create(headers, options);
    } catch (error) {
      // Its ids ran out. Streams that are open go on, and new ones need a new connection.
      if (error instanceof ConnectionError) void this.drain();
      throw error;
    }
  }

  /**
   * Measures one round trip in milliseconds. Calls that overlap get the same answer. While suspended it waits for the
   * next link.
   *
   * @throws {ConnectionError} `closed` (as a rejection) when the connection ends before the answer.
   */
  ping(): Promise<number> {
    if (this.#closeInfo !== null) {
      return Promise.reject(this.#unusable("closed", `The connection ended: ${this.#closeInfo.reason}`));
    }
    return this.#heartbeat.ping();
  }

  /** Closes the connection once it had no stream for `idleTimeoutMs`; 0 (the default) never does. */
  setIdleTimeout(idleTimeoutMs: number): void {
    this.#idleTimeout?.close();
    this.#idleTimeout = null;
    if (idleTimeoutMs > 0 && this.#closeInfo === null) this.#startIdleTimeout(idleTimeoutMs);
  }

  /** Tells the peer that `drain()` follows: it is to open no more streams. This side may go on opening some. */
  announceDrain(): void {
    if (this.#drainStep !== DrainStep.NONE || this.#closeInfo !== null) return;
    this.#drainStep = DrainStep.ANNOUNCED;
    this.#outgoing.goAway(MAX_U31, ErrorCode.NO_ERROR, "draining");
  }

  /** Ends in order: no new streams, open ones end in their own time, then the link closes with 1001. */
  drain(): Promise<CloseInfo> {
    this.announceDrain();
    if (this.#drainStep >= DrainStep.DRAINING || this.#closeInfo !== null) return this.closed;
    this.#drainStep = DrainStep.DRAINING;
    // After one round trip, every stream that the peer opened before it heard of the drain is here.
    this.ping().then(() => this.#sendFinalGoAway(), () => {/* The connection ended: there is nothing to drain. */});
    return this.closed;
  }

  /**
   * Gives the link up without a word, such as because the peer comes by another one: what it still brings is not taken.
   * The connection is suspended afterwards, or over where it does not outlive its link. Does nothing without a link.
   */
  detach(reason: string): void {
    if (this.#closeInfo === null && this.#link !== null) this.#loseLink(reason, "library");
  }

  /** From now on the connection ends with its link. One that is suspended ends now. */
  endWithLink(): void {
    this.#suspension.timeoutMs = 0;
    if (this.isSuspended) this.expire("It was not resumed before this side went away");
  }

  /** False where a peer cannot have taken so many counted frames: `resume()` would end the connection. */
  canResume(received: number): boolean {
    return this.#closeInfo === null && this.#outgoing.inflight.canAcknowledge(received);
  }

  /**
   * Goes on with another link. What the peer has not taken is sent again, in order, before anything new.
   *
   * @param received counted frames that the peer has taken (`Runnel-Received`). Where that cannot be, the connection ends
   *   with `PROTOCOL_ERROR`.
   */
  resume(link: Link, received: number): void {
    this.detach("The peer came by another link");
    const now = this.#clock.now();
    this.#streams.now = now;
    if (this.#closeInfo !== null) return link.abort();
    this.#link = link;
    this.#listen(link);
    const { sentCount, ackedCount } = this.#outgoing.inflight;
    if (!this.#outgoing.resume(link, received, now)) {
      const reason =
        `The peer has taken ${received} frames, of which ${sentCount} were sent and ${ackedCount} acknowledged`;
      this.#suspension.end();
      return this.#fail(ErrorCode.PROTOCOL_ERROR, { code: "protocol_error", reason, initiator: "remote" });
    }
    const suspendedMs = this.#suspension.end();
    this.#heartbeat.resume(now);
    this.suspensionHandlers.onResumed(suspendedMs);
  }

  /**
   * Ends a suspended connection: every stream fails with `errorCode`, by default `RESUME_EXPIRED`. Does nothing while there
   * is a link.
   */
  expire(reason: string, errorCode: number = ErrorCode.RESUME_EXPIRED): void {
    if (this.#closeInfo !== null || !this.isSuspended) return;
    const init = { code: "resume_expired", reason, initiator: "library", retryable: true, errorCode } as const;
    this.#finish(errorCode, reason, new ConnectionError(init), true);
  }

  /** Ends at once: open streams are reset. `code` defaults to `NO_ERROR`; another one makes it an error. */
  close(code: number = ErrorCode.NO_ERROR, reason = "closed"): void {
    if (this.#closeInfo !== null) return;
    this.#closeWith(
      code,
      reason,
      code === ErrorCode.NO_ERROR ? null : new ConnectionError({
        code: "closed",
        reason: `The connection was closed with ${errorCodeName(code)}: ${reason}`,
        initiator: "user",
        errorCode: code,
      }),
    );
  }

  #listen(link: Link): void {
    link.handlers = {
      onMessage: (message) => this.#receiveMessage(message),
      onDrain: () => this.#outgoing.linkDrained(),
      onEnd: (info) => this.#linkEnded(info),
      onClose: (info) => this.#linkEnded(info),
      onBytes: () => this.#heartbeat.heard(this.#clock.now()),
    };
  }

  #sendSettings(features: number): void {
    this.#outgoing.settings([
      SettingId.INITIAL_WINDOW,
      this.#limits.initialWindowBytes,
      SettingId.MAX_CONCURRENT_STREAMS,
      this.#limits.maxConcurrentStreams,
      SettingId.MAX_HEADER_BLOCK,
      this.#limits.maxHeaderBlockBytes,
      SettingId.MAX_FIELDS,
      this.#limits.maxFields,
      SettingId.FEATURES,
      Feature.REASON | Feature.UPGRADES | features,
    ]);
  }

  #receiveMessage(message: Uint8Array): void {
    if (this.#closeInfo !== null) return void release(message);
    const now = this.#clock.now();
    this.#streams.now = now;
    this.#heartbeat.heard(now);
    try {
      decodeMessage(message, this.#incoming);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#failProtocol(error);
    } finally {
      // Streams have retained the parts that wait for their readers.
      release(message);
    }
    this.#streams.dispatch();
    this.#outgoing.scheduleAck();
  }

  #afterFlush(now: number): void {
    if (this.#closeInfo !== null) return;
    this.#streams.now = now;
    this.#streams.compact();
    const { inflight } = this.#outgoing;
    if (inflight.sentCount > inflight.ackedCount) this.#heartbeat.sent(now);
    const controlBytes = inflight.bytes(FrameKind.CONTROL);
    if (controlBytes > this.#maxControlBytes) {
      const reason = `${controlBytes} bytes of control frames are unacknowledged`;
      return this.#fail(ErrorCode.ENHANCE_YOUR_CALM, { code: "flooded", reason, initiator: "remote" });
    }
    this.#streams.dispatch();
    if (this.#drainStep === DrainStep.FINAL && this.#streams.table.size === 0 && this.#isAllTaken) {
      this.#closeWith(ErrorCode.NO_ERROR, "drained", null);
    }
  }

  /** Whether the peer has all that it may ask for again. Who can resume waits for that. */
  get #isAllTaken(): boolean {
    const { inflight } = this.#outgoing;
    return this.#suspension.timeoutMs === 0 || inflight.ackedCount === inflight.sentCount;
  }

  #receiveAck(count: number): boolean {
    const { inflight, scheduler } = this.#outgoing;
    const before = inflight.ackedCount;
    if (!this.#outgoing.acknowledge(count, this.#streams.now)) {
      throw new ProtocolError({
        errorCode: ErrorCode.PROTOCOL_ERROR,
        reason: `ACK of ${count} frames, of which ${inflight.sentCount} were sent and ${before} acknowledged`,
        scope: "connection",
      });
    }
    if (count === before) return false;
    this.#heartbeat.progressed(this.#streams.now, inflight.sentCount > count);
    if (!scheduler.isEmpty || this.#drainStep === DrainStep.FINAL) this.#outgoing.scheduleFlush();
    return true;
  }

  #receiveGoAway(lastStreamId: number, errorCode: number, reason: string): void {
    this.#isPeerDraining = true;
    if (lastStreamId !== MAX_U31) this.#isPeerFinal = true;
    if (errorCode === ErrorCode.NO_ERROR) {
      // One that says its last word at once is about to be gone: there is nothing to do before that.
      if (!this.#isPeerFinal) this.#peerLeaving.resolve();
      return this.#streams.failUnprocessed(lastStreamId);
    }
    this.#finish(
      errorCode,
      reason,
      new ConnectionError({
        code: "peer_failed",
        reason: `The peer ended the connection with ${errorCodeName(errorCode)}: ${reason}`,
        initiator: "remote",
        errorCode,
        retryable: true,
      }),
    );
    this.#link?.close(CloseCode.goingAway, "");
  }

  #sendFinalGoAway(): void {
    if (this.#closeInfo !== null) return;
    this.#drainStep = DrainStep.FINAL;
    this.#outgoing.goAway(this.#streams.stopAccepting(), ErrorCode.NO_ERROR, "draining");
  }

  #startIdleTimeout(idleTimeoutMs: number): void {
    const timeout = new Timeout(this.#clock, () => {
      if (this.streams > 0) timeout.start(idleTimeoutMs);
      else this.#closeWith(ErrorCode.NO_ERROR, "idle", null);
    });
    timeout.start(idleTimeoutMs);
    this.#idleTimeout = timeout;
  }

  /** The peer broke the protocol: its stream is reset, where the fault has one, then the connection ends. */
  #failProtocol(fault: ProtocolError): void {
    if (fault.streamId !== undefined) this.#outgoing.refuse(fault.streamId, fault.errorCode);
    this.#fail(fault.errorCode, {
      code: fault.errorCode === ErrorCode.ENHANCE_YOUR_CALM ? "flooded" : "protocol_error",
      reason: fault.reason,
      initiator: "remote",
      cause: fault,
    });
  }

  #fail(errorCode: number, init: ConnectionErrorInit): void {
    this.#closeWith(errorCode, init.reason, new ConnectionError({ ...init, errorCode }));
  }

  /** Ends everything on this side, with a GOAWAY. The link closes behind what was sent. */
  #closeWith(errorCode: number, reason: string, error: ConnectionError | null): void {
    // The last GOAWAY of a drain has said already which streams were processed.
    const isSaid = this.#drainStep === DrainStep.FINAL && errorCode === ErrorCode.NO_ERROR;
    if (!isSaid) this.#outgoing.goAway(this.#streams.stopAccepting(), errorCode, reason);
    this.#closeInfo = { code: errorCode, reason, error };
    this.#outgoing.flush();
    this.#finish(errorCode, reason, error);
    const closeCode = errorCode === ErrorCode.NO_ERROR ? CloseCode.goingAway : CloseCode.protocolError;
    this.#link?.close(closeCode, closeReason(reason));
  }

  /** The peer does not answer: nothing is sent to it on this link any more. */
  #abandon(reason: string): void {
    if (this.#suspension.timeoutMs > 0) return this.#suspend(reason);
    const init = { code: "peer_silent", reason, initiator: "library", retryable: true } as const;
    this.#finish(ErrorCode.NO_ERROR, reason, new ConnectionError(init));
    this.#link?.abort();
  }

  /** A message could not be made. The peer must not get those that follow: ends everything, without a GOAWAY. */
  #failMessage(cause: unknown, report: (error: unknown) => void): void {
    if (this.#closeInfo !== null) return;
    const reason = "A message could not be made";
    const errorCode = ErrorCode.INTERNAL_ERROR;
    const init = { code: "link_lost", reason, initiator: "library", retryable: true, errorCode, cause } as const;
    this.#finish(errorCode, reason, new ConnectionError(init));
    this.#link?.abort();
    report(cause);
  }

  /** The link carries nothing any more, whether its socket is closed yet or not. */
  #linkEnded(info: LinkCloseInfo): void {
    if (this.#closeInfo === null) {
      const reason = `The link closed with ${info.code}${info.reason === "" ? "" : `: ${info.reason}`}`;
      const isOrderly = info.clean && info.code === CloseCode.goingAway;
      // A proxy may close with 1001, too, in the middle of all.
      if (this.#isPeerFinal && (isOrderly || this.#streams.table.size === 0)) {
        this.#finish(ErrorCode.NO_ERROR, reason, null, true);
      } else if (info.isViolation === true) this.#breakOff(reason, "remote");
      else return this.#loseLink(reason, "remote");
    }
    this.#streams.dispatch();
    this.#closed.resolve(this.#closeInfo!);
  }

  #loseLink(reason: string, initiator: "remote" | "library"): void {
    if (this.#suspension.timeoutMs > 0 && !this.#isBlank) return this.#suspend(reason);
    this.#breakOff(reason, initiator);
    this.#link?.abort();
    this.#streams.dispatch();
    this.#closed.resolve(this.#closeInfo!);
  }

  /** True of an edge's connection whose agent has sent nothing yet: there is nothing to come back for. */
  get #isBlank(): boolean {
    return this.role === "edge" && this.receivedFrames === 0;
  }

  #breakOff(reason: string, initiator: "remote" | "library"): void {
    const error = new ConnectionError({ code: "link_lost", reason, initiator, retryable: true });
    this.#finish(ErrorCode.NO_ERROR, reason, error, true);
  }

  #suspend(reason: string): void {
    const link = this.#link!;
    this.#link = null;
    link.handlers = deafHandlers;
    link.abort();
    this.#heartbeat.pause();
    this.#outgoing.suspend();
    const isDone = this.#streams.table.size === 0 && this.#outgoing.inflight.streamBytes === 0;
    this.#suspension.begin(isDone && this.#drainStep >= DrainStep.DRAINING);
    this.#streams.dispatch();
    this.suspensionHandlers.onSuspended(reason);
  }

  /**
   * Ends everything on this side: streams, timers, what waits to leave.
   *
   * @param isLinkLost streams that were exchanged to their end keep what waits for their readers. Default false.
   */
  #finish(code: number, reason: string, error: ConnectionError | null, isLinkLost = false): void {
    this.#closeInfo = { code, reason, error };
    this.#outgoing.stop();
    this.#suspension.end();
    this.#idleTimeout?.close();
    this.#idleTimeout = null;
    this.#heartbeat.end(this.#unusable("closed", `The connection ended: ${reason}`));
    this.#ready.resolve();
    this.#streams.failAll(`The connection ended: ${reason}`, error, isLinkLost);
    this.#ended.resolve(this.#closeInfo);
    this.#defer(() => {
      this.#streams.dispatch();
      // There is no link that would close.
      if (this.#link === null) this.#closed.resolve(this.#closeInfo!);
    });
  }

  #unusable(code: "closed" | "draining", reason: string): ConnectionError {
    const initiator = this.#isPeerDraining ? "remote" : "library";
    const cause = this.#closeInfo?.error ?? undefined;
    return new ConnectionError({ code, reason, initiator, retryable: true, cause });
  }
}
