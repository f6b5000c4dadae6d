/**
 * Notices that the TCP connection of a paused socket broke. Bun is notified by the system. Deno and Node notice it only
 * when they read or write: a transfer that backpressure has stopped would outlive its client until a timeout.
 *
 * So the kernel is polled: getpeername(2) fails once the peer's RST came or the kernel gave the peer up, and consumes
 * nothing. (A write of no bytes does not reach the kernel, and a read would take bytes that must wait.) It fails after
 * an orderly end of both directions, too, while there are bytes to read. So only sockets whose own direction is open
 * are watched.
 *
 * One timer polls an eighth of them at a time: each socket about every 400 ms, first within 800 ms. One poll takes 2 µs
 * (Deno 2.9.6), and a limit keeps all of them under 2 % of a processor: with more than 4,000 sockets the rounds take
 * longer, with 10,000 a second.
 */
import type * as net from "node:net";
import { systemClock, type Timer } from "../base/mod.ts";

const TICK_MS = 50;
const TICKS_PER_ROUND = 8;
const MAX_POLLS_PER_TICK = 500;

/** With what is called when its connection is found broken. */
const watched = new Map<net.Socket, () => void>();
/** The sockets of this round, polled up to `next`. New ones wait for the next round, removed ones are skipped. */
let round: readonly net.Socket[] = [];
let next = 0;
let timer: Timer | null = null;

export const pausedWatch = {
  /** Calls `onBroken` as soon as the connection of `raw` is found broken, and ends the watch. */
  add(raw: net.Socket, onBroken: () => void): void {
    watched.set(raw, onBroken);
    timer ??= systemClock.after(TICK_MS, tick);
  },

  /** Ends that. Must be called before `raw` ends its own direction, and when it closes. */
  remove(raw: net.Socket): void {
    watched.delete(raw);
  },
};

function tick(): void {
  timer = null;
  if (next === round.length) {
    round = [...watched.keys()];
    next = 0;
  }
  const polls = Math.min(Math.ceil(round.length / TICKS_PER_ROUND), MAX_POLLS_PER_TICK);
  for (const end = Math.min(next + polls, round.length); next < end; next++) {
    const raw = round[next];
    const onBroken = watched.get(raw);
    if (onBroken === undefined || !isBroken(raw)) continue;
    watched.delete(raw);
    onBroken();
  }
  if (round.length > 0) timer = systemClock.after(TICK_MS, tick);
}

/** The handle under a socket of Deno and Node. `getpeername` returns an error number, or 0 with the name in `out`. */
type Handle = { getpeername?(out: object): number } | null | undefined;

/** Required by the call, never read. */
const peerName = {};

function isBroken(raw: net.Socket): boolean {
  const handle = (raw as { _handle?: Handle })._handle;
  // A destroyed socket has no handle, and its 'close' follows.
  return handle?.getpeername !== undefined && handle.getpeername(peerName) !== 0;
}
