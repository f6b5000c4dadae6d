/**
 * All streams of a connection: opening, accepting and refusing them, what they hold together, and when their owners are
 * told of events and their waiting bytes are compacted. Owners are called after a message or a flush, never during it.
 */
import { type Clock, TokenBucket } from "../base/mod.ts";
import { ConnectionError, StreamError } from "./errors.ts";
import { MemoryAccount } from "../memory/mod.ts";
import { GrowthPool } from "./flow/mod.ts";
import { type ConnectionLimits, type ConnectionOptions, defaultMaxConcurrentStreams } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import type { PeerSettings } from "./peer_settings.ts";
import type { Scheduler } from "./scheduler.ts";
import { MuxStream, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";
import type { Fields, HeadOptions, NewStreamHandler } from "./types.ts";
import {
  DEFAULT_FIELDS,
  DEFAULT_HEADER_BLOCK_BYTES,
  DEFAULT_INITIAL_WINDOW_BYTES,
  EncodeError,
  encodeHeaderBlock,
  ErrorCode,
  type HeaderBlockLimits,
  ProtocolError,
} from "./wire/mod.ts";

/**
 * With this part of the limit held (32 MiB by default) senders do not send ahead any more. Few streams never hold as
 * much, and with many one chunk of each keeps the link busy.
 */
const CROWDED_DIVISOR = 8;

/** What an agent asks of its edge takes some 0.1 ms. An agent trusts its edge, whose visitors may be many. */
const UNITS_PER_OPEN = 5_000;

export interface StreamsOptions extends ConnectionOptions {
  clock: Clock;
  onStream: NewStreamHandler;
  onHandlerError: (error: unknown) => void;
  outgoing: Outgoing;
  /** Calls it at the end of the tick. */
  defer(call: () => void): void;
  /** The first stream was opened, or the last one is over. */
  onActivity(): void;
}

export class Streams implements StreamHost {
  readonly table: StreamTable;
  readonly scheduler: Scheduler;
  readonly pool: GrowthPool;
  readonly initialWindowBytes: number;
  /** What a stream that the peer opens costs (src/net/turns.ts). */
  readonly unitsPerOpen: number;
  peerWindowBytes = DEFAULT_INITIAL_WINDOW_BYTES;
  peerFeatures = 0;
  now: number;
  readonly clock: Clock;
  readonly #options: StreamsOptions;
  readonly #limits: ConnectionLimits;
  readonly #memory: MemoryAccount;
  #headerBytes = 0;
  #peerMaxStreams: number;
  #peerBlockLimits: HeaderBlockLimits = { maxFields: DEFAULT_FIELDS, maxBytes: DEFAULT_HEADER_BLOCK_BYTES };
  /** Streams of the peer's above this id are refused. The last GOAWAY lowers it. */
  #acceptUpTo = Infinity;
  /** Accepted streams that their handler has not seen. */
  #acceptQueue: MuxStream[] = [];
  /** Streams with events to tell; each is here once. */
  #eventQueue: MuxStream[] = [];
  /** Streams with bytes that wait for their reader: since the last flush, and since the one before. */
  #compactionQueue: MuxStream[] = [];
  #compactionDue: MuxStream[] = [];
  #isDispatching = false;
  /** Nothing is flushed any more. */
  #isOver = false;
  /**
   * Limits on what an agent may do to an edge. They are null at an agent: its edge opens and resets streams because
   * visitors do, and a visitor who aborts must never cost the tunnel.
   */
  readonly #openBucket: TokenBucket | null;
  readonly #resetBucket: TokenBucket | null;
  /** Opens beyond the limit are refused. Too many of those end the connection. */
  readonly #refusalBucket: TokenBucket | null;

  constructor(options: StreamsOptions, limits: ConnectionLimits) {
    this.#options = options;
    this.#limits = limits;
    this.clock = options.clock;
    this.now = options.clock.now();
    this.table = new StreamTable(options.role, options.firstStreamIndex ?? 0);
    this.scheduler = options.outgoing.scheduler;
    this.pool = new GrowthPool({
      clock: options.clock,
      poolBytes: limits.growthPoolBytes,
      maxWindowBytes: limits.maxWindowBytes,
    });
    this.initialWindowBytes = limits.initialWindowBytes;
    this.#memory = new MemoryAccount(
      limits.maxHeldBytes,
      options.memory ?? null,
      () => this.#resetLongestStalled(),
    );
    const isLimited = options.role === "edge";
    this.unitsPerOpen = isLimited ? UNITS_PER_OPEN : 0;
    this.#openBucket = isLimited ? new TokenBucket(limits.openBurst, limits.opensPerSecond, this.now) : null;
    this.#refusalBucket = isLimited ? new TokenBucket(limits.openBurst, limits.opensPerSecond, this.now) : null;
    this.#resetBucket = isLimited ? new TokenBucket(limits.resetBurst, limits.resetsPerSecond, this.now) : null;
    this.#peerMaxStreams = defaultMaxConcurrentStreams(options.role === "edge" ? "agent" : "edge");
  }

  get bufferedBytes(): number {
    return this.#memory.heldBytes;
  }

  get rttMs(): number {
    return this.#options.outgoing.inflight.rttMs;
  }

  get isCrowded(): boolean {
    return this.#memory.heldBytes > this.#limits.maxHeldBytes / CROWDED_DIVISOR;
  }

  get isHeaderLimitReached(): boolean {
    return this.#headerBytes >= this.#limits.maxHeldHeaderBytes;
  }

  /** Opens a stream of this side's. @throws {StreamError} {ConnectionError} see `Connection.createStream`. */
  create(headers: Fields, options: HeadOptions | undefined): MuxStream {
    if (this.table.ownSlots >= this.#peerMaxStreams) {
      throw refusedError(`The peer takes no more than ${this.#peerMaxStreams} streams at once`);
    }
    if (this.isHeaderLimitReached) throw refusedError(`${this.#headerBytes} header bytes wait already`);
    const id = this.table.takeId();
    if (id === null) {
      throw new ConnectionError({
        code: "draining",
        reason: "Stream ids ran out",
        initiator: "library",
        retryable: true,
      });
    }
    const stream = new MuxStream(this, id, headers, false);
    stream.open(options);
    this.#add(stream);
    return stream;
  }

  /**
   * The peer opens a stream. Its id was used up before.
   *
   * @throws {ProtocolError} where the peer opens so many that even refusing them is too much.
   */
  accept(id: number, headers: Fields, endStream: boolean): void {
    const code = this.#refusalCode(id);
    if (code !== null) return this.refuse(id, code);
    const stream = new MuxStream(this, id, headers, true);
    stream.accept(endStream);
    this.#add(stream);
    this.#acceptQueue.push(stream);
  }

  /** Resets a stream of the peer's that is not taken. */
  refuse(id: number, code: number): void {
    this.#options.outgoing.refuse(id, code);
  }

  /** The peer resets a stream that it opened. @throws {ProtocolError} where it does so too often. */
  countReset(): void {
    if (this.#resetBucket === null || this.#resetBucket.take(this.now)) return;
    throw floodError(`The agent reset more than ${this.#limits.resetBurst} streams at once`);
  }

  /** The peer's SETTINGS are here. */
  applySettings({ windowBytes, maxStreams, maxHeaderBlockBytes, maxFields, features }: PeerSettings): void {
    const delta = windowBytes - this.peerWindowBytes;
    this.peerWindowBytes = windowBytes;
    if (maxStreams !== null) this.#peerMaxStreams = maxStreams;
    this.#peerBlockLimits = { maxFields, maxBytes: maxHeaderBlockBytes };
    this.peerFeatures = features;
    if (delta !== 0) { for (const stream of this.table.values()) stream.adjustWindow(delta); }
  }

  /** Refuses all streams that the peer opens from now on. Returns the last id that was taken. */
  stopAccepting(): number {
    this.#acceptUpTo = this.table.lastPeerId;
    return this.#acceptUpTo;
  }

  /** The peer drains: it has not processed streams of this side's above `lastId`, and will not. They may be retried. */
  failUnprocessed(lastId: number): void {
    for (const stream of this.table.values()) {
      if (!stream.accepted && stream.id > lastId) {
        stream.fail(StreamError.reset(ErrorCode.REFUSED_STREAM, "remote", `Stream ${stream.id}`), null);
      }
    }
  }

  /**
   * The connection is over: every stream fails.
   *
   * @param isLinkLost by none of this side's doing: streams that were exchanged to their end are left to their readers
   */
  failAll(reason: string, cause: ConnectionError | null, isLinkLost: boolean): void {
    this.#isOver = true;
    for (const stream of this.table.values()) {
      if (isLinkLost && stream.isExchanged) continue;
      const initiator = cause?.initiator ?? "library";
      const errorCode = cause?.code === "resume_expired" ? cause.errorCode : undefined;
      stream.fail(new StreamError({ code: "connection_lost", reason, initiator, errorCode, cause }), null);
    }
    this.pool.stop();
    this.#memory.close();
  }

  /** Tells the owners of all events, and frees memory where too much is held. */
  dispatch(): void {
    // An owner may do something that calls this again. The loop below then goes on with the new events.
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    try {
      do {
        if (this.#hasEvents) this.#dispatchOnce();
        // What waits to leave makes no event. To free some of it makes one.
        this.#memory.enforceLimit();
      } while (this.#hasEvents);
    } finally {
      this.#isDispatching = false;
    }
  }

  /**
   * To be called at each flush. Compacts what waited at the flush before and still waits: it may do so for long. A reader
   * that only waited until a socket had taken what one tick wrote has come back by then.
   */
  compact(): void {
    for (const stream of this.#compactionDue) stream.compact();
    this.#compactionDue = this.#compactionQueue;
    this.#compactionQueue = [];
    for (const stream of this.#compactionDue) stream.isInCompactionQueue = false;
    if (this.#compactionDue.length > 0) this.scheduleFlush();
  }

  // For the streams: see `StreamHost`.

  encode(fields: Fields, flags: number): Uint8Array {
    try {
      return encodeHeaderBlock(fields, flags, this.#peerBlockLimits);
    } catch (error) {
      throw error instanceof EncodeError ? unsendableError(error) : error;
    }
  }

  scheduleFlush(): void {
    this.#options.outgoing.scheduleFlush();
  }

  queueEvents(stream: MuxStream): void {
    if (!stream.isInEventQueue) this.#eventQueue.push(stream);
    stream.isInEventQueue = true;
    if (this.#isOver) this.#options.defer(() => this.dispatch());
    else this.scheduleFlush();
  }

  queueCompaction(stream: MuxStream): void {
    if (!stream.isInCompactionQueue) this.#compactionQueue.push(stream);
    stream.isInCompactionQueue = true;
    this.scheduleFlush();
  }

  addHeldBytes(bytes: number, headerBytes: number): void {
    this.#memory.add(bytes);
    this.#headerBytes += headerBytes;
  }

  streamOver(stream: MuxStream): void {
    this.table.delete(stream);
    if (!stream.hasHeldSlot) this.table.releaseSlot(stream);
    if (this.table.size === 0) this.#options.onActivity();
  }

  slotReleased(stream: MuxStream): void {
    this.table.releaseSlot(stream);
  }

  get #hasEvents(): boolean {
    return this.#acceptQueue.length + this.#eventQueue.length > 0;
  }

  #dispatchOnce(): void {
    const accepted = this.#acceptQueue;
    if (accepted.length > 0) {
      this.#acceptQueue = [];
      for (const stream of accepted) this.#callNewStreamHandler(stream);
    }
    const streams = this.#eventQueue;
    this.#eventQueue = [];
    for (const stream of streams) {
      stream.isInEventQueue = false;
      this.#tellEvents(stream);
    }
  }

  #add(stream: MuxStream): void {
    this.table.add(stream);
    if (this.table.size === 1) this.#options.onActivity();
  }

  /** The code with which a stream of the peer's is refused; null: it is taken. */
  #refusalCode(id: number): number | null {
    const isTooFast = this.#openBucket !== null && !this.#openBucket.take(this.now);
    const isFull = this.table.acceptedSlots >= this.#limits.maxConcurrentStreams || this.isHeaderLimitReached;
    if (!isTooFast && !isFull && id <= this.#acceptUpTo) return null;
    if (this.#refusalBucket !== null && !this.#refusalBucket.take(this.now)) {
      throw floodError(`The agent opened more than ${this.#limits.openBurst} streams that were refused`);
    }
    return isTooFast ? ErrorCode.ENHANCE_YOUR_CALM : ErrorCode.REFUSED_STREAM;
  }

  #callNewStreamHandler(stream: MuxStream): void {
    // Opened and broken by one message: its handler never sees it.
    if (stream.error !== null) return;
    try {
      this.#options.onStream(stream, stream.replySent);
    } catch (cause) {
      const error = new StreamError({
        code: "refused",
        reason: `Stream ${stream.id} was refused`,
        initiator: "user",
        errorCode: ErrorCode.REFUSED_STREAM,
        retryable: true,
        cause,
      });
      return stream.fail(error, ErrorCode.REFUSED_STREAM);
    }
    stream.growFirst();
  }

  /** An owner that throws loses its stream, and no other. */
  #tellEvents(stream: MuxStream): void {
    try {
      stream.dispatch();
    } catch (cause) {
      const error = StreamError.reset(ErrorCode.INTERNAL_ERROR, "library", `Stream ${stream.id}`, cause);
      stream.fail(error, ErrorCode.INTERNAL_ERROR);
      this.#options.onHandlerError(cause);
    }
  }

  /** Resets the stream whose bytes moved longest ago. Returns false where none holds any. */
  #resetLongestStalled(): boolean {
    let longest: MuxStream | null = null;
    for (const stream of this.table.values()) {
      if (stream.bufferedBytes > 0 && (longest === null || stream.movedAt < longest.movedAt)) longest = stream;
    }
    if (longest === null) return false;
    const what = `Stream ${longest.id}, which stalled longest,`;
    longest.fail(StreamError.reset(ErrorCode.MEMORY_PRESSURE, "library", what), ErrorCode.MEMORY_PRESSURE);
    return true;
  }
}

function refusedError(reason: string): StreamError {
  return new StreamError({
    code: "refused",
    reason,
    initiator: "library",
    errorCode: ErrorCode.REFUSED_STREAM,
    retryable: true,
  });
}

function unsendableError(cause: EncodeError): StreamError {
  const code = cause.isTooLarge ? "headers_too_large" : "invalid_headers";
  return new StreamError({ code, reason: cause.reason, initiator: "user", cause });
}

function floodError(reason: string): ProtocolError {
  return new ProtocolError({ errorCode: ErrorCode.ENHANCE_YOUR_CALM, reason, scope: "connection" });
}
