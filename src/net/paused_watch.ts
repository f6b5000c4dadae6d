/**
 * Notices that a TCP connection broke whose socket nobody reads. The system tells Bun so. Deno, as Node, finds out by
 * reading or writing alone: a transfer that backpressure holds would outlive its client until a timeout ended it.
 *
 * The kernel is asked instead: getpeername(2) fails once the peer's RST came, or the kernel gave the peer up, and takes
 * nothing (a write of no bytes does not reach it, and a read takes what nobody has room for). It fails, too, after an
 * orderly end of both directions, with bytes still to be read: so only sockets belong here whose own direction is open.
 *
 * One timer looks after all of them, an eighth of them at a time: each comes up every 400 ms, and is paused for 800 ms
 * at most before it does. A look costs 2 µs (Deno 2.9.6), and a cap holds all together to 2 % of a processor: beyond
 * 4,000 sockets the rounds grow longer, with 10,000 to a second.
 */
import type * as net from "node:net";
import { systemClock, type Timer } from "../clock.ts";
import { handleOf } from "./handle.ts";
import { runtimeName } from "./platform.ts";

const TICK_MS = 50;
const TICKS_PER_ROUND = 8;
const MAX_LOOKS_PER_TICK = 500;

const watched = new Set<net.Socket>();
/** Those of this round; `next` is whose turn it is. Who came since waits for the next one, who left is passed over. */
let round: readonly net.Socket[] = [];
let next = 0;
let timer: Timer | null = null;

/** False where the system itself tells of a reset, so that nobody has to look. */
export const needsWatch = runtimeName !== "bun";

/** Destroys `raw`, without an error, as soon as its connection is found broken. A second call changes nothing. */
export function watch(raw: net.Socket): void {
  watched.add(raw);
  timer ??= systemClock.after(TICK_MS, tick);
}

/** Ends that. To be called before `raw` ends its own direction, and when it closes. */
export function unwatch(raw: net.Socket): void {
  watched.delete(raw);
}

function tick(): void {
  timer = null;
  if (next === round.length) {
    round = [...watched];
    next = 0;
  }
  const looks = Math.min(Math.ceil(round.length / TICKS_PER_ROUND), MAX_LOOKS_PER_TICK);
  for (const end = Math.min(next + looks, round.length); next < end; next++) {
    const raw = round[next];
    if (!watched.has(raw) || !isBroken(raw)) continue;
    watched.delete(raw);
    raw.destroy();
  }
  if (round.length > 0) timer = systemClock.after(TICK_MS, tick);
}

/** Where the handle writes the peer's name, which nobody reads. */
const name = {};

function isBroken(raw: net.Socket): boolean {
  const handle = handleOf(raw);
  // No handle: it was destroyed, and its 'close' is on the way.
  return handle?.getpeername !== undefined && handle.getpeername(name) !== 0;
}
