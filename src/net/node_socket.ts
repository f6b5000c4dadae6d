/** `Socket` on `node:net`, which all runtimes have. On Deno no other API can send an RST. */
import type * as net from "node:net";
import { atTickEnd, type Clock, systemClock, type TickListener, Timeout, work } from "../base/mod.ts";
import {
  assertUsable,
  compacted,
  compactPieces,
  concat,
  count,
  isCounted,
  MAX_LOOSE_PIECES,
  release,
  reportGarbage,
  share,
  slice,
} from "../memory/mod.ts";
import { formatAddress, tcpAddress, unixAddress } from "./address.ts";
import { runtime } from "./current_runtime.ts";
import { closeDescriptor, openDescriptor } from "./descriptors.ts";
import { socketError } from "./failure.ts";
import { HeldReads, type HeldReadsOwner } from "./held_reads.ts";
import { silenceWatch, type Watched } from "./silence_watch.ts";
import {
  BROKEN_WAIT_MS,
  noHandlers,
  type Socket,
  type SocketAddress,
  type SocketError,
  type SocketHandlers,
} from "./socket.ts";
import { setUnsentBound } from "./tcp_options.ts";
import { BYTES_PER_COPY_UNIT, CHEAP_UNITS, turns, UNITS_PER_ITERATION } from "./turns.ts";
import { UnsentBound } from "./unsent_bound.ts";

/**
 * From here on `write()` returns false. This is one chunk of bulk, since as much is held for every stalled reader. Four
 * times as much was no faster.
 */
export const HIGH_WATER_BYTES = 64 * 1024;
/** From here on bytes are sent at once, so that their source can go on in the same tick. */
const BULK_BYTES = 32 * 1024;
/** The most that is sent at once within a tick. Then other sockets are served, however fast this peer takes bytes. */
const BULK_BYTES_PER_TICK = 1024 * 1024;
/** The most that the runtime gets while the kernel has no room. It may copy that, and close the socket where it fails. */
const PENDING_BYTES = 256 * 1024;
/** Adjacent chunks are copied into one buffer up to here: the copy is cheaper than a second system call. */
const GATHER_BYTES = 16 * 1024;

/** A socket of which so much is held is not read meanwhile. */
const HELD_BYTES = 64 * 1024;

export interface NodeSocketOptions {
  /** Milliseconds until a peer that vanished is given up. Default `Infinity`: never. */
  tcpTimeoutMs?: number;
  /** Whether the kernel takes few unsent bytes for it (`setTcpOptions`). Default false. */
  isBounded?: boolean;
  clock?: Clock;
}

export class NodeSocket implements Socket, TickListener, HeldReadsOwner {
  handlers: SocketHandlers = noHandlers;
  readonly local: SocketAddress;
  /** Set anew where a PROXY header says whose connection it is (proxy_protocol.ts). */
  remote: SocketAddress;

  readonly #raw: net.Socket;
  /** Written and not yet passed to the runtime, which gets one piece at a time: of several it would join all. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #isFlushScheduled = false;
  #bulkBytesOfTick = 0;
  #isDrainWanted = false;
  #isPaused = true;
  /** A read is held where so many units were spent in this iteration; 0 while its reads are dear (turns.ts). */
  #unitLimit = UNITS_PER_ITERATION;
  /** Null while nothing is held. The end of the raw socket, and its close, wait behind what is held. */
  #held: HeldReads | null = null;
  #isEndHeld = false;
  #isCloseHeld = false;
  #hasEnded = false;
  #hasPeerEnded = false;
  #isReset = false;
  /** Nothing can be sent any more. `#error` is held back until everything that came before was read. */
  #isBroken = false;
  #isClosed = false;
  #error: Error | null = null;
  /** Of a broken socket whose owner reads on. */
  #brokenTimeout: Timeout | null = null;
  #watched: Watched | null = null;
  readonly #isBounded: boolean;
  /** Null until the kernel has no room for the first time. */
  #unsentBound: UnsentBound | null = null;
  readonly #clock: Clock;
  readonly #onWritten = () => this.#takeWritten();
  readonly #onLost = () => this.#break(brokenError());

  /**
   * @param raw connected, paused, `allowHalfOpen`
   * @param path that of a unix socket, else null
   */
  constructor(raw: net.Socket, path: string | null, options: NodeSocketOptions = {}) {
    const { tcpTimeoutMs = Infinity, isBounded = false, clock = systemClock } = options;
    openDescriptor();
    this.#raw = raw;
    this.#clock = clock;
    this.#isBounded = isBounded;
    this.local = path === null ? tcpAddress(raw.localAddress, raw.localPort) : unixAddress(path);
    this.remote = path === null ? tcpAddress(raw.remoteAddress, raw.remotePort) : unixAddress(path);
    raw.pause();
    if (path === null) raw.setNoDelay(true);
    raw.on("data", (chunk: Uint8Array) => this.#takeData(chunk));
    runtime.interceptReads(raw, (chunk) => this.#takeRead(chunk));
    runtime.interceptWriteErrors(raw, (error) => this.#break(error));
    raw.on("end", () => this.#takeEnd());
    raw.on("error", (error: Error) => this.#error ??= error);
    raw.on("close", () => this.#takeClose());
    if (path === null && tcpTimeoutMs !== Infinity) {
      this.#watched = silenceWatch()?.add(raw, tcpTimeoutMs, () => this.#giveUp()) ?? null;
    }
    this.#updateWatch();
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#raw.writableLength;
  }

  get unreadBytes(): number {
    return this.#raw.readableLength;
  }

  get closed(): boolean {
    return this.#isClosed || this.#isReset;
  }

  write(bytes: Uint8Array): boolean {
    assertUsable(bytes);
    if (this.#hasEnded || this.#isReset || this.#isBroken || this.#isClosed) return true;
    if (bytes.length > 0) {
      this.#gathered.push(bytes);
      this.#gatheredBytes += bytes.length;
      this.#scheduleFlush();
      if (this.#gatheredBytes >= BULK_BYTES) this.#flushBulk();
    }
    if (this.bufferedBytes < HIGH_WATER_BYTES) return true;
    this.#isDrainWanted = true;
    return false;
  }

  end(): void {
    if (this.#hasEnded || this.closed) return;
    this.#hasEnded = true;
    this.#updateWatch();
    this.#scheduleFlush();
  }

  reset(): void {
    if (this.closed) return;
    this.#isReset = true;
    this.#updateWatch();
    this.#dropGathered();
    this.#held?.drop();
    // The raw socket does not tell its close a second time.
    if (this.#isCloseHeld) return queueMicrotask(() => this.#finishClose());
    // Unix sockets have no RST, and the runtimes refuse the call.
    if (this.local.kind === "unix") this.#raw.destroy();
    else this.#raw.resetAndDestroy();
  }

  pause(): void {
    this.#pauseRaw();
    this.#isPaused = true;
    this.#updateWatch();
  }

  resume(): void {
    if (this.closed) return;
    if (this.#held === null) this.#resumeRaw();
    else this.#held.wait(this.#unitLimit > 0);
    this.#isPaused = false;
    this.#brokenTimeout?.start(BROKEN_WAIT_MS);
    this.#updateWatch();
  }

  /** Gives back bytes, with their reference, for the next owner: they come first. The socket must be paused. */
  putBack(bytes: Uint8Array): void {
    this.#held ??= new HeldReads(this);
    this.#held.unshift(bytes);
  }

  get canTakeReads(): boolean {
    return !this.#isPaused && !this.closed;
  }

  takeRead(part: Uint8Array): void {
    this.handlers.onData(part);
  }

  heldReadsTaken(isCheap: boolean): void {
    if (this.closed) return;
    this.#unitLimit = isCheap ? UNITS_PER_ITERATION : 0;
    // Its end waits for the owner's `resume()`.
    if (this.#isPaused && (this.#isEndHeld || this.#isCloseHeld)) return;
    this.#held = null;
    if (this.#isEndHeld) this.#deliverEnd();
    if (this.#isCloseHeld) this.#finishClose();
    else if (this.canTakeReads) this.#resumeRaw();
  }

  onTickEnd(): void {
    this.#isFlushScheduled = false;
    this.#bulkBytesOfTick = 0;
    this.flush();
  }

  flush(): void {
    if (this.closed || this.#isBroken) return this.#dropGathered();
    while (this.#gatheredBytes > 0 && this.#raw.writableLength === 0) {
      const piece = this.#nextPiece();
      this.#unsentBound?.add(piece.length);
      let rest = this.#writeNow(piece);
      if (rest === null) continue;
      if (rest.length > PENDING_BYTES) rest = this.#cut(rest);
      if (this.#isBounded) this.#waitForRoom();
      if (isCounted(rest)) this.#raw.write(rest, (error) => this.#releaseWritten(rest, error));
      else this.#raw.write(rest, this.#onWritten);
    }
    if (this.#isBroken) return;
    if (this.#isDrainWanted && this.#raw.writableLength === 0) queueMicrotask(this.#onWritten);
    if (this.#gatheredBytes > 0) this.#compactGathered();
    else if (this.#hasEnded) this.#raw.end();
  }

  /** What waits may do so for long. */
  #compactGathered(): void {
    this.#gathered = this.#gathered.map(compacted);
    if (this.#gathered.length >= MAX_LOOSE_PIECES) this.#gathered = compactPieces(this.#gathered);
  }

  /** While a socket does not read, or has read the peer's FIN, it does not notice that the connection broke. */
  #updateWatch(): void {
    if (runtime.watch === null || this.local.kind === "unix") return;
    const isBlind = (this.#isPaused || this.#hasPeerEnded) && !this.#hasEnded && !this.#isBroken && !this.closed;
    if (isBlind) runtime.watch.add(this.#raw, this.#onLost);
    else runtime.watch.remove(this.#raw);
  }

  #flushBulk(): void {
    if (this.#raw.writableLength > 0 || this.#bulkBytesOfTick >= BULK_BYTES_PER_TICK) return;
    this.#bulkBytesOfTick += this.#gatheredBytes;
    this.flush();
  }

  #pauseRaw(): void {
    this.#raw.pause();
    runtime.pause(this.#raw);
  }

  #resumeRaw(): void {
    this.#raw.resume();
    runtime.resume(this.#raw);
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    atTickEnd(this);
  }

  /**
   * Returns what the kernel has no room for; null where it took all, or the connection broke. It is asked until it says
   * so: the runtime's own second attempt, if it failed, would close the socket with all that lies unread.
   */
  #writeNow(piece: Uint8Array): Uint8Array | null {
    for (let left = piece;;) {
      const taken = runtime.writeNow(this.#raw, left);
      if (taken === 0) return left;
      if (taken < 0) this.#break(brokenError());
      const rest = taken === left.length || taken < 0 ? null : left.subarray(taken);
      if (rest !== null) share(left, rest);
      release(left);
      if (rest === null) return null;
      left = rest;
    }
  }

  #waitForRoom(): void {
    this.#unsentBound ??= new UnsentBound((isOn) => setUnsentBound(this.#raw, isOn), this.#clock);
    this.#unsentBound.wait();
  }

  /** The part of `rest` that the runtime gets. The other one waits here, where a broken connection is noticed. */
  #cut(rest: Uint8Array): Uint8Array {
    const pending = slice(rest, 0, PENDING_BYTES);
    const later = slice(rest, PENDING_BYTES, rest.length);
    release(rest);
    this.#gathered.unshift(later);
    this.#gatheredBytes += later.length;
    return pending;
  }

  /** The next chunk as it is, or several small ones copied into one. */
  #nextPiece(): Uint8Array {
    const chunks = this.#gathered;
    let taken = 1;
    let length = chunks[0].length;
    while (taken < chunks.length && length + chunks[taken].length <= GATHER_BYTES) length += chunks[taken++].length;
    const pieces = taken === chunks.length ? chunks : chunks.slice(0, taken);
    this.#gathered = taken === chunks.length ? [] : chunks.slice(taken);
    this.#gatheredBytes -= length;
    if (taken === 1) {
      if (!isCounted(pieces[0])) reportGarbage(length);
      return pieces[0];
    }
    reportGarbage(length);
    const piece = concat(pieces, length);
    for (const chunk of pieces) release(chunk);
    return piece;
  }

  #dropGathered(): void {
    if (this.#gatheredBytes === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #releaseWritten(piece: Uint8Array, error: Error | null | undefined): void {
    // The runtime may still use it where the socket broke.
    if (!error && !this.#isBroken && !this.#raw.destroyed) release(piece);
    this.#takeWritten();
  }

  #takeWritten(): void {
    // A destroyed socket calls back, too, although it has not written. Its 'close' follows.
    if (this.closed || this.#raw.destroyed) return;
    this.#unsentBound?.endWait();
    if (this.#gatheredBytes > 0 && !this.#isFlushScheduled) this.flush();
    if (!this.#isDrainWanted || this.bufferedBytes >= HIGH_WATER_BYTES) return;
    this.#isDrainWanted = false;
    this.handlers.onDrain();
  }

  /** A write failed, or the peer's reset was noticed. What came before is still in the kernel. */
  #break(error: Error): void {
    if (this.#isBroken || this.closed || this.#raw.destroyed) return;
    this.#isBroken = true;
    this.#error ??= error;
    this.#dropGathered();
    this.#updateWatch();
    // The owner may be in the middle of a write.
    queueMicrotask(() => this.#tellBroken());
  }

  #tellBroken(): void {
    if (this.closed || this.#raw.destroyed) return;
    // Behind the peer's FIN there is nothing to read.
    if (this.#hasPeerEnded || this.handlers.onBroken?.() !== true) return void this.#raw.destroy();
    if (this.closed) return;
    this.#startBrokenTimeout();
    this.#takeWritten();
  }

  /** The peer has vanished. A reset has the kernel forget what it holds for it. */
  #giveUp(): void {
    if (this.closed || this.#raw.destroyed) return;
    this.#error ??= Object.assign(new Error("The peer has vanished"), { code: "ETIMEDOUT" });
    this.#raw.resetAndDestroy();
  }

  #startBrokenTimeout(): void {
    this.#brokenTimeout ??= new Timeout(this.#clock, () => {
      if (this.#isCloseHeld) this.#finishClose();
      else this.#raw.destroy();
    });
    this.#brokenTimeout.start(BROKEN_WAIT_MS);
  }

  /** A read that bypasses the runtime's stream. Returns false while paused: the stream then holds it. */
  #takeRead(chunk: Uint8Array): boolean {
    if (this.#isPaused) return false;
    this.#takeData(chunk);
    return true;
  }

  #takeData(chunk: Uint8Array): void {
    if (this.closed) return;
    const { length } = chunk;
    if ((turns.spentUnits >= this.#unitLimit || this.#held !== null) && this.#hold(chunk)) return;
    turns.spentUnits += length / BYTES_PER_COPY_UNIT;
    work.units = 0;
    this.handlers.onData(count(chunk));
    if (work.units > CHEAP_UNITS) this.#account(length);
  }

  /** The read was dear, or may have been. */
  #account(bytes: number): void {
    this.#unitLimit = turns.account(work.units, bytes);
    // For the socket of a TLS socket: counted once is enough.
    work.units = 0;
  }

  /** Keeps a read until its turn comes. False where too much is held already, by all sockets together. */
  #hold(chunk: Uint8Array): boolean {
    if (this.#held === null) {
      if (!turns.canHold) return false;
      this.#held = new HeldReads(this);
    }
    this.#held.add(count(chunk));
    // On Bun a paused socket loses what is unread when the peer resets it, such as the rest of a short answer.
    if (this.#held.bytes >= HELD_BYTES) this.#pauseRaw();
    this.#held.wait(this.#unitLimit > 0);
    return true;
  }

  #takeEnd(): void {
    // Bun can emit 'end' for a socket that was destroyed while data came in, without a FIN of the peer.
    if (this.closed || this.#raw.destroyed || this.#hasPeerEnded) return;
    // The kernel has told the error to the write that failed, and shows an end in its place.
    if (this.#isBroken) return void this.#raw.destroy();
    if (this.#held === null) this.#deliverEnd();
    else this.#isEndHeld = true;
  }

  #deliverEnd(): void {
    this.#isEndHeld = false;
    this.#hasPeerEnded = true;
    this.#updateWatch();
    this.handlers.onEnd();
  }

  #takeClose(): void {
    if (this.#isClosed || this.#isCloseHeld) return;
    closeDescriptor();
    this.#unsentBound?.close();
    if (this.#watched !== null) silenceWatch()?.remove(this.#watched);
    if (this.#held === null || !this.#wantsHeld()) return this.#finishClose();
    this.#isCloseHeld = true;
    // Nothing can be sent any more.
    this.#isBroken = true;
    this.#dropGathered();
    this.#updateWatch();
    this.#startBrokenTimeout();
  }

  /** The raw socket has closed. What is held was read before, and comes first, where the owner reads on. */
  #wantsHeld(): boolean {
    if (this.#isReset) return false;
    if (!this.#isPaused || this.#error === null || this.#brokenTimeout !== null) return true;
    return this.handlers.onBroken?.() === true;
  }

  #finishClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held?.drop();
    this.#brokenTimeout?.close();
    this.#updateWatch();
    this.#dropGathered();
    this.handlers.onClose(this.#isReset ? null : this.#failure());
  }

  #failure(): SocketError | null {
    if (this.#error === null && this.#hasEnded && this.#hasPeerEnded) return null;
    // A close without an error and without both FINs is a broken connection, too.
    return socketError(`Connection with ${formatAddress(this.remote)} failed`, this.#error ?? brokenError());
  }
}

/** For where the runtime has none. */
function brokenError(): Error {
  return Object.assign(new Error("The socket closed before its end"), { code: "ECONNRESET" });
}
