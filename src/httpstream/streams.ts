/**
 * All streams of a connection: opening and accepting them, what they hold together, and when their owners hear of
 * news. Owners are called when a message or a flush was dealt with, never in the midst of it.
 */
import type { Clock } from "../base/mod.ts";
import { EncodeError, encodeHeaderBlock, ErrorCode, MAX_HEADER_BLOCK, ProtocolError } from "./wire/mod.ts";
import { ConnectionError, StreamError } from "./errors.ts";
import { GrowthPool, MemoryAccount, TokenBucket } from "./flow/mod.ts";
import { type ConnectionLimits, type ConnectionOptions, defaultMaxConcurrentStreams } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Scheduler } from "./scheduler.ts";
import { MuxStream, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";
import type { Fields, HeadOptions, NewStreamHandler } from "./types.ts";

/** What an own stream is opened with before the peer's SETTINGS say otherwise. */
const DEFAULT_WINDOW = 65_536;

export interface StreamsOptions extends ConnectionOptions {
  clock: Clock;
  onStream: NewStreamHandler;
  onHandlerError: (error: unknown) => void;
  outgoing: Outgoing;
  /** The first stream came, or the last one is over. */
  onActivity(): void;
}

export class Streams implements StreamHost {
  readonly table: StreamTable;
  readonly scheduler: Scheduler;
  readonly pool: GrowthPool;
  readonly initialWindowBytes: number;
  peerWindowBytes = DEFAULT_WINDOW;
  now: number;
  readonly #options: StreamsOptions;
  readonly #limits: ConnectionLimits;
  readonly #memory: MemoryAccount;
  #headerBytes = 0;
  #peerMaxStreams: number;
  #peerMaxHeaderBlock = MAX_HEADER_BLOCK;
  /** Streams of the peer's above this id are refused; lowered by the second GOAWAY. */
  #acceptUpTo = Infinity;
  /** Streams with something to tell; each stands here once. */
  #news: MuxStream[] = [];
  /** Streams whose reader has left bytes: in this turn, and in the one before. */
  #unsettled: MuxStream[] = [];
  #unsettledBefore: MuxStream[] = [];
  #dispatching = false;
  /** Accepted streams that their handler has not seen. */
  #fresh: MuxStream[] = [];
  /** Caps on what an agent may do to an edge; null at an agent: a visitor who aborts must never cost the tunnel. */
  readonly #openCap: TokenBucket | null;
  readonly #resetCap: TokenBucket | null;
  /** Opens beyond the cap are refused; too many of those end the connection. */
  readonly #refusalCap: TokenBucket | null;

  constructor(options: StreamsOptions, limits: ConnectionLimits) {
    this.#options = options;
    this.#limits = limits;
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
    const capped = options.role === "edge";
    this.#openCap = capped ? new TokenBucket(limits.openBurst, limits.opensPerSecond, this.now) : null;
    this.#refusalCap = capped ? new TokenBucket(limits.openBurst, limits.opensPerSecond, this.now) : null;
    this.#resetCap = capped ? new TokenBucket(limits.resetBurst, limits.resetsPerSecond, this.now) : null;
    this.#peerMaxStreams = defaultMaxConcurrentStreams(options.role === "edge" ? "agent" : "edge");
  }

  get bufferedBytes(): number {
    return this.#memory.heldBytes;
  }

  get rttMs(): number {
    return this.#options.outgoing.inflight.rttMs;
  }

  get headersFull(): boolean {
    return this.#headerBytes >= this.#limits.maxHeldHeaderBytes;
  }

  /** Opens a stream of our own. @throws {StreamError} {ConnectionError} see `Connection.createStream`. */
  create(headers: Fields, options: HeadOptions | undefined): MuxStream {
    if (this.table.ownSlots >= this.#peerMaxStreams) {
      throw refused(`The peer takes no more than ${this.#peerMaxStreams} streams at once`);
    }
    if (this.headersFull) throw refused(`${this.#headerBytes} header bytes wait already`);
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
   * The peer opens a stream, whose id is used up by it.
   *
   * @throws {ProtocolError} where the peer opens more than it may even be refused.
   */
  accept(id: number, headers: Fields, endStream: boolean): void {
    const code = this.#refusal(id);
    if (code !== null) return this.refuse(id, code);
    const stream = new MuxStream(this, id, headers, true);
    stream.accept(endStream);
    this.#add(stream);
    this.#fresh.push(stream);
  }

  /** Resets a stream of the peer's that never came to be. */
  refuse(id: number, code: number): void {
    this.#options.outgoing.refuse(id, code);
  }

  /** The peer resets a stream that it opened. @throws {ProtocolError} where it does so too often. */
  countReset(): void {
    if (this.#resetCap === null || this.#resetCap.take(this.now)) return;
    throw calm(`The agent reset more than ${this.#limits.resetBurst} streams at once`);
  }

  /** The peer's SETTINGS. */
  applySettings(windowBytes: number, maxStreams: number | null, maxHeaderBlock: number): void {
    const delta = windowBytes - this.peerWindowBytes;
    this.peerWindowBytes = windowBytes;
    if (maxStreams !== null) this.#peerMaxStreams = maxStreams;
    this.#peerMaxHeaderBlock = Math.min(MAX_HEADER_BLOCK, maxHeaderBlock);
    if (delta !== 0) { for (const stream of this.table.values()) stream.adjustWindow(delta); }
  }

  /** From now on only streams up to the last id are taken; returns it. */
  stopAccepting(): number {
    this.#acceptUpTo = this.table.lastPeerId;
    return this.#acceptUpTo;
  }

  /** The peer did not process streams above `lastId`, and will not. */
  peerLeaves(lastId: number): void {
    for (const stream of this.table.values()) {
      if (!stream.accepted && stream.id > lastId) {
        stream.fail(StreamError.reset(ErrorCode.REFUSED_STREAM, "remote", `Stream ${stream.id}`), null);
      }
    }
  }

  /** The connection is over: every stream ends with it. */
  end(reason: string, cause: ConnectionError | null): void {
    for (const stream of this.table.values()) {
      stream.fail(
        new StreamError({ code: "connection_lost", reason, initiator: cause?.initiator ?? "library", cause }),
        null,
      );
    }
    this.pool.stop();
    this.#memory.close();
  }

  /** Tells the owners what there is to tell, and makes room where too much is held. */
  dispatch(): void {
    // An owner that is being told may do what leads here again: the loop below goes on with it.
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      while (this.#fresh.length + this.#news.length > 0) this.#dispatchOnce();
    } finally {
      this.#dispatching = false;
    }
  }

  /**
   * The turn ends. What readers have left since the turn before may wait for long, and not in the messages that brought
   * it; who waited only for a socket to take what this turn wrote has had its chance.
   */
  settle(): void {
    for (const stream of this.#unsettledBefore) stream.compact();
    this.#unsettledBefore = this.#unsettled;
    this.#unsettled = [];
    for (const stream of this.#unsettledBefore) stream.isInCompactionQueue = false;
    if (this.#unsettledBefore.length > 0) this.wake();
  }

  // What a stream asks of its host.

  encode(fields: Fields, flags: number): Uint8Array {
    const block = encoded(fields, flags);
    if (block.length <= this.#peerMaxHeaderBlock) return block;
    throw invalidHeaders(`Header block of ${block.length} bytes exceeds the ${this.#peerMaxHeaderBlock} of the peer`);
  }

  wake(): void {
    this.#options.outgoing.wake();
  }

  queueEvents(stream: MuxStream): void {
    if (!stream.isInEventQueue) this.#news.push(stream);
    stream.isInEventQueue = true;
    this.#options.outgoing.wake();
  }

  queueCompaction(stream: MuxStream): void {
    if (!stream.isInCompactionQueue) this.#unsettled.push(stream);
    stream.isInCompactionQueue = true;
    this.#options.outgoing.wake();
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

  #dispatchOnce(): void {
    const fresh = this.#fresh;
    if (fresh.length > 0) {
      this.#fresh = [];
      for (const stream of fresh) this.#introduce(stream);
    }
    const news = this.#news;
    this.#news = [];
    for (const stream of news) {
      stream.isInEventQueue = false;
      this.#tell(stream);
    }
    this.#memory.relieve();
  }

  #add(stream: MuxStream): void {
    this.table.add(stream);
    if (this.table.size === 1) this.#options.onActivity();
  }

  /** Why a stream of the peer's is not taken, as a code for RST_STREAM; null: it is. */
  #refusal(id: number): number | null {
    const capped = this.#openCap !== null && !this.#openCap.take(this.now);
    const full = this.table.acceptedSlots >= this.#limits.maxConcurrentStreams || this.headersFull;
    if (!capped && !full && id <= this.#acceptUpTo) return null;
    if (this.#refusalCap !== null && !this.#refusalCap.take(this.now)) {
      throw calm(`The agent opened more than ${this.#limits.openBurst} streams that were refused`);
    }
    return capped ? ErrorCode.ENHANCE_YOUR_CALM : ErrorCode.REFUSED_STREAM;
  }

  #introduce(stream: MuxStream): void {
    // Opened and broken in one message: its handler never hears of it.
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
    stream.grantFirst();
  }

  /** An owner that throws when it is told of news loses its stream, and no other. */
  #tell(stream: MuxStream): void {
    try {
      stream.dispatch();
    } catch (cause) {
      const error = StreamError.reset(ErrorCode.INTERNAL_ERROR, "library", `Stream ${stream.id}`, cause);
      stream.fail(error, ErrorCode.INTERNAL_ERROR);
      this.#options.onHandlerError(cause);
    }
  }

  /** Resets the stream that stalled longest. Returns whether there was one that holds anything. */
  #resetLongestStalled(): boolean {
    let victim: MuxStream | null = null;
    for (const stream of this.table.values()) {
      if (stream.bufferedBytes > 0 && (victim === null || stream.movedAt < victim.movedAt)) victim = stream;
    }
    if (victim === null) return false;
    const what = `Stream ${victim.id}, which stalled longest,`;
    victim.fail(StreamError.reset(ErrorCode.MEMORY_PRESSURE, "library", what), ErrorCode.MEMORY_PRESSURE);
    return true;
  }
}

function refused(reason: string): StreamError {
  return new StreamError({
    code: "refused",
    reason,
    initiator: "library",
    errorCode: ErrorCode.REFUSED_STREAM,
    retryable: true,
  });
}

function encoded(fields: Fields, flags: number): Uint8Array {
  try {
    return encodeHeaderBlock(fields, flags);
  } catch (error) {
    throw error instanceof EncodeError ? invalidHeaders(error.reason, error) : error;
  }
}

function invalidHeaders(reason: string, cause?: unknown): StreamError {
  return new StreamError({ code: "invalid_headers", reason, initiator: "user", cause });
}

function calm(reason: string): ProtocolError {
  return new ProtocolError({ errorCode: ErrorCode.ENHANCE_YOUR_CALM, reason, scope: "connection" });
}
