/**
 * `Socket` on `node:net`, which both runtimes have: the only implementation that can send RST on Deno.
 */
import type * as net from "node:net";
import { weigh } from "./ballast.ts";
import { formatAddress, tcpAddress, unixAddress } from "./address.ts";
import { closeDescriptor, openDescriptor } from "./descriptors.ts";
import { socketError } from "./failure.ts";
import { handleOf, interceptReads, writeAtOnce } from "./handle.ts";
import { isOwned, lend, share, spend, unpinned } from "./lease.ts";
import { needsWatch, unwatch, watch } from "./paused_watch.ts";
import type { Socket, SocketAddress, SocketError, SocketHandlers } from "./socket.ts";
import { hearTurnEnd, type TurnListener } from "./turn.ts";

/**
 * `write()` returns false from here on: a chunk of bulk, and no more, since every stalled reader holds as much here.
 * Four times as much was no faster.
 */
export const HIGH_WATER_BYTES = 64 * 1024;
/** So much leaves at once, so that its source goes on in the same turn. */
const BULK_BYTES = 32 * 1024;
/** What leaves at once within a turn: then the other sockets have theirs, however much a client takes. */
const TURN_BYTES = 1024 * 1024;
/** Up to here neighbours are copied into one buffer: the copy is cheaper than a second system call. */
const GATHER_BYTES = 16 * 1024;

/** For the moment between making a socket and its owner's handlers: a paused socket has only its end to tell. */
export const NOBODY: SocketHandlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

export class NodeSocket implements Socket, TurnListener {
  handlers: SocketHandlers = NOBODY;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;

  readonly #raw: net.Socket;
  /** Written and not yet given to the runtime, which gets one piece at a time: given several, it joins them all. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #flushWaits = false;
  /** Bytes that left within the turn. */
  #turnBytes = 0;
  #drainWanted = false;
  #paused = true;
  #ended = false;
  #peerEnded = false;
  #reset = false;
  #closed = false;
  #error: Error | null = null;
  readonly #onWritten = () => this.#written();

  /** @param raw connected, paused, `allowHalfOpen`; @param path where it is a unix socket's. */
  constructor(raw: net.Socket, path: string | null) {
    openDescriptor();
    this.#raw = raw;
    this.local = path === null ? tcpAddress(raw.localAddress, raw.localPort) : unixAddress(path);
    this.remote = path === null ? tcpAddress(raw.remoteAddress, raw.remotePort) : unixAddress(path);
    raw.pause();
    if (path === null) raw.setNoDelay(true);
    raw.on("data", (chunk: Uint8Array) => this.#takeData(chunk));
    interceptReads(raw, (chunk) => this.#takeRead(chunk));
    raw.on("end", () => this.#takeEnd());
    raw.on("error", (error: Error) => this.#error ??= error);
    raw.on("close", () => this.#takeClose());
    this.#updateWatch();
  }

  get bufferedBytes(): number {
    return this.#gatheredBytes + this.#raw.writableLength;
  }

  get closed(): boolean {
    return this.#closed || this.#reset;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.#reset || this.#closed) return true;
    if (bytes.length > 0) {
      this.#gathered.push(bytes);
      this.#gatheredBytes += bytes.length;
      this.#flushSoon();
      if (this.#gatheredBytes >= BULK_BYTES) this.#flushBulk();
    }
    if (this.bufferedBytes < HIGH_WATER_BYTES) return true;
    this.#drainWanted = true;
    return false;
  }

  end(): void {
    if (this.#ended || this.closed) return;
    this.#ended = true;
    this.#updateWatch();
    this.#flushSoon();
  }

  reset(): void {
    if (this.closed) return;
    this.#reset = true;
    this.#updateWatch();
    this.#dropGathered();
    // Unix sockets know no RST: closing them is all there is, and the runtimes refuse the call.
    if (this.remote.kind === "unix") this.#raw.destroy();
    else this.#raw.resetAndDestroy();
  }

  pause(): void {
    this.#raw.pause();
    // Left to itself Bun goes on until one more read, of up to 512 KiB, waits in the paused stream: 500 stalled readers
    // held 180 MB so.
    handleOf(this.#raw)?.pause?.();
    this.#paused = true;
    this.#updateWatch();
  }

  resume(): void {
    if (this.closed) return;
    this.#raw.resume();
    handleOf(this.#raw)?.resume?.();
    this.#paused = false;
    this.#updateWatch();
  }

  onTurnEnd(): void {
    this.#flushWaits = false;
    this.#turnBytes = 0;
    this.flush();
  }

  flush(): void {
    if (this.closed) return this.#dropGathered();
    while (this.#gatheredBytes > 0 && this.#raw.writableLength === 0) {
      const rest = this.#writeAtOnce(this.#nextPiece());
      if (rest === null) continue;
      if (isOwned(rest)) this.#raw.write(rest, (error) => this.#spendWritten(rest, error));
      else this.#raw.write(rest, this.#onWritten);
    }
    if (this.#drainWanted && this.#raw.writableLength === 0) queueMicrotask(this.#onWritten);
    if (this.#gatheredBytes > 0) this.#gathered = this.#gathered.map(unpinned);
    else if (this.#ended) this.#raw.end();
  }

  /** Who does not read, or has read all there is, must look whether the peer is still there. */
  #updateWatch(): void {
    if (!needsWatch || this.remote.kind === "unix") return;
    const isBlind = (this.#paused || this.#peerEnded) && !this.#ended && !this.closed;
    if (isBlind) watch(this.#raw);
    else unwatch(this.#raw);
  }

  #flushBulk(): void {
    if (this.#raw.writableLength > 0 || this.#turnBytes >= TURN_BYTES) return;
    this.#turnBytes += this.#gatheredBytes;
    this.flush();
  }

  #flushSoon(): void {
    if (this.#flushWaits) return;
    this.#flushWaits = true;
    hearTurnEnd(this);
  }

  /** What the kernel did not take; null where it took all. */
  #writeAtOnce(piece: Uint8Array): Uint8Array | null {
    const taken = writeAtOnce(this.#raw, piece);
    if (taken === 0) return piece;
    const rest = taken === piece.length ? null : piece.subarray(taken);
    if (rest !== null) share(piece, rest);
    spend(piece);
    return rest;
  }

  /** A chunk as it is, or neighbours that are small together. */
  #nextPiece(): Uint8Array {
    const chunks = this.#gathered;
    let count = 1;
    let length = chunks[0].length;
    while (count < chunks.length && length + chunks[count].length <= GATHER_BYTES) length += chunks[count++].length;
    const taken = count === chunks.length ? chunks : chunks.slice(0, count);
    this.#gathered = count === chunks.length ? [] : chunks.slice(count);
    this.#gatheredBytes -= length;
    if (count === 1) {
      if (!isOwned(taken[0])) weigh(length);
      return taken[0];
    }
    weigh(length);
    const piece = joined(taken, length);
    for (const chunk of taken) spend(chunk);
    return piece;
  }

  #dropGathered(): void {
    if (this.#gatheredBytes === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #spendWritten(piece: Uint8Array, error: Error | null | undefined): void {
    // A socket that broke may still have it somewhere.
    if (!error && !this.#raw.destroyed) spend(piece);
    this.#written();
  }

  #written(): void {
    // What a destroyed socket still held was not written: its 'close' says so.
    if (this.closed || this.#raw.destroyed) return;
    if (this.#gatheredBytes > 0 && !this.#flushWaits) this.flush();
    if (!this.#drainWanted || this.bufferedBytes >= HIGH_WATER_BYTES) return;
    this.#drainWanted = false;
    this.handlers.onDrain();
  }

  /** Returns false where the owner does not want it now. */
  #takeRead(chunk: Uint8Array): boolean {
    if (this.#paused) return false;
    this.#takeData(chunk);
    return true;
  }

  #takeData(chunk: Uint8Array): void {
    if (this.closed) return;
    lend(chunk);
    this.handlers.onData(chunk);
  }

  #takeEnd(): void {
    // Bun can emit 'end' for a socket that was destroyed while data came in; that is no FIN of the peer's.
    if (this.closed || this.#raw.destroyed || this.#peerEnded) return;
    this.#peerEnded = true;
    this.#updateWatch();
    this.handlers.onEnd();
  }

  #takeClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#updateWatch();
    closeDescriptor();
    this.#dropGathered();
    this.handlers.onClose(this.#reset ? null : this.#failure());
  }

  #failure(): SocketError | null {
    if (this.#error === null && this.#ended && this.#peerEnded) return null;
    // A close with neither an error nor both FINs is a connection that broke: never to be taken for a clean end.
    const cause = this.#error ?? Object.assign(new Error("closed before its end"), { code: "ECONNRESET" });
    return socketError(`connection with ${formatAddress(this.remote)} failed`, cause);
  }
}

/** In one buffer of `total` bytes. */
export function joined(chunks: readonly Uint8Array[], total: number): Uint8Array {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
