/**
 * Notices that a TCP connection broke whose socket nobody reads. The system tells Bun so. Deno and Node find out by
 * reading or writing alone: a transfer held by backpressure would outlive its client until a timeout.
 *
 * The kernel is asked instead: getpeername(2) fails once the peer's RST came or the kernel gave the peer up, and takes
 * nothing. (A write of no bytes does not reach the kernel, and a read takes what nobody has room for.) It also fails
 * after an orderly end of both directions, with bytes still to be read. So only sockets belong here whose own direction
 * is open.
 *
 * One timer serves all of them, an eighth at a time: each is asked about every 400 ms, first within 800 ms. Asking costs
 * 2 µs (Deno 2.9.6), and a cap holds all of it to 2 % of a processor: beyond 4,000 sockets the rounds grow longer, with
 * 10,000 to a second.
 */
import type * as net from "node:net";
import { systemClock, type Timer } from "../base/mod.ts";

const TICK_MS = 50;
const TICKS_PER_ROUND = 8;
const MAX_ASKED_PER_TICK = 500;

const watched = new Set<net.Socket>();
/** The sockets of this round, from `next` on still to ask. New ones wait for the next round; those that left are skipped. */
let round: readonly net.Socket[] = [];
let next = 0;
let timer: Timer | null = null;

export const pausedWatch = {
  /** Destroys `raw`, without an error, as soon as its connection is found broken. A second call changes nothing. */
  add(raw: net.Socket): void {
    watched.add(raw);
    timer ??= systemClock.after(TICK_MS, tick);
  },

  /** Ends that. To be called before `raw` ends its own direction, and when it closes. */
  remove(raw: net.Socket): void {
    watched.delete(raw);
  },
};

function tick(): void {
  timer = null;
  if (next === round.length) {
    round = [...watched];
    next = 0;
  }
  const asked = Math.min(Math.ceil(round.length / TICKS_PER_ROUND), MAX_ASKED_PER_TICK);
  for (const end = Math.min(next + asked, round.length); next < end; next++) {
    const raw = round[next];
    if (!watched.has(raw) || !isBroken(raw)) continue;
    watched.delete(raw);
    raw.destroy();
  }
  if (round.length > 0) timer = systemClock.after(TICK_MS, tick);
}

/** What Deno and Node keep under a socket: getpeername(2) gives an error number, or 0 and the name in `out`. */
type Handle = { getpeername?(out: object): number } | null | undefined;

/** Where the handle writes the peer's name, which nobody reads. */
const name = {};

function isBroken(raw: net.Socket): boolean {
  const handle = (raw as { _handle?: Handle })._handle;
  // Without a handle it was destroyed, and its 'close' follows.
  return handle?.getpeername !== undefined && handle.getpeername(name) !== 0;
}
